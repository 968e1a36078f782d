import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import tailwindcss from '@tailwindcss/vite'
import vue from '@vitejs/plugin-vue'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

/** Beside each file that gains by it, the same for clients that take gzip or brotli. */
function compress(): Plugin {
  let folder = ''
  return {
    name: 'compress',
    apply: 'build',
    configResolved(config) {
      folder = config.build.outDir
    },
    closeBundle() {
      for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
        const path = join(folder, name)
        if (!/\.(html|js|css|svg)$/.test(name) || !statSync(path).isFile()) continue
        const bytes = readFileSync(path)
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }))
        writeFileSync(
          `${path}.br`,
          brotliCompressSync(bytes, {
            params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
          }),
        )
      }
    },
  }
}

/** A script that is no module runs before anything is painted: src/theme.js. */
function early(): Plugin {
  return {
    name: 'early',
    apply: 'build',
    buildStart() {
      const source = readFileSync(join(import.meta.dirname, 'src/theme.js'))
      this.emitFile({ type: 'asset', name: 'theme.js', source })
    },
    transformIndexHtml: {
      order: 'post',
      handler: (_html, { bundle }) => {
        const name = Object.keys(bundle ?? {}).find((f) => /theme-.*\.js$/.test(f))
        return [{ tag: 'script', attrs: { src: `./${name}` }, injectTo: 'head-prepend' }]
      },
    },
  }
}

export default defineConfig({
  base: './',
  plugins: [vue(), tailwindcss(), compress(), early()],
  build: {
    emptyOutDir: true,
    assetsInlineLimit: 0, // the policy of the page forbids most of what could be inlined
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.md' },
  },
  server: {
    proxy: { '^/(api|uploads|results|styles|thumbs|health|openapi.json)': 'http://127.0.0.1:5000' },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
})
