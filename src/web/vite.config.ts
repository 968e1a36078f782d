import { createHash } from 'node:crypto'
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
        if (!/\.(html|js|css|svg|webmanifest)$/.test(name) || !statSync(path).isFile()) continue
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

const ICONS = [
  { name: 'icon-192.png', sizes: '192x192' },
  { name: 'icon-512.png', sizes: '512x512' },
  { name: 'icon-maskable-512.png', sizes: '512x512', purpose: 'maskable' },
]

/** What makes the page an app: its manifest, and its service worker src/worker.js. */
function installable(): Plugin {
  const ids = new Map<string, string>()
  return {
    name: 'installable',
    apply: 'build',
    buildStart() {
      for (const { name } of ICONS) {
        const source = readFileSync(join(import.meta.dirname, 'src/pictures', name))
        ids.set(name, this.emitFile({ type: 'asset', name, source }))
      }
    },
    generateBundle: {
      order: 'post',
      handler(_options, bundle) {
        const icons = ICONS.map(({ name, ...rest }) => ({
          src: this.getFileName(ids.get(name) ?? ''),
          type: 'image/png',
          ...rest,
        }))
        const manifest = {
          name: 'nst: style transfer',
          short_name: 'nst',
          description: 'Your photograph in the manner of a painting',
          lang: 'en',
          start_url: './',
          scope: './',
          display: 'standalone',
          background_color: '#eef4fd',
          theme_color: '#eef4fd',
          categories: ['photo', 'graphics'],
          icons,
          shortcuts: [{ name: 'Take a photo', url: './#/camera', icons: icons.slice(0, 1) }],
          share_target: {
            action: './share-target',
            method: 'POST',
            enctype: 'multipart/form-data',
            params: { files: [{ name: 'pictures', accept: ['image/*'] }] },
          },
        }
        this.emitFile({
          type: 'asset',
          fileName: 'manifest.webmanifest',
          source: JSON.stringify(manifest),
        })
        // not the pictures, which are kept by the browser as it likes
        const files = Object.keys(bundle).filter((f) => /^assets\/.*\.(js|css|svg)$/.test(f))
        const hash = createHash('sha256').update(files.sort().join()).digest('hex').slice(0, 12)
        const source = readFileSync(join(import.meta.dirname, 'src/worker.js'), 'utf8')
        this.emitFile({
          type: 'asset',
          fileName: 'sw.js',
          source: source
            .replace('= FILES', `= ${JSON.stringify(files)}`)
            .replace('+ VERSION', `+ '${hash}'`),
        })
      },
    },
    transformIndexHtml: () => [
      { tag: 'link', attrs: { rel: 'manifest', href: './manifest.webmanifest' }, injectTo: 'head' },
    ],
  }
}

export default defineConfig({
  base: './',
  plugins: [vue(), tailwindcss(), installable(), early(), compress()],
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
