// What is around the page: languages, the installed app, sign-in, quotas, the queue.
import assert from 'node:assert/strict'
import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { join } from 'node:path'
import {
  accessibleEverywhere,
  chooseContent,
  close,
  open,
  picture,
  set,
  shot,
  start,
  style,
} from './browser.mjs'
import { Server } from './server.mjs'
import { test, until } from './tap.mjs'

/** Chromium logs every error status and every failed request. */
const REFUSED = [/Failed to load resource/, /ERR_CONNECTION_REFUSED/, /ERR_EMPTY_RESPONSE/]

/** Each language by what its button of the gallery is called. */
const LANGUAGES = {
  en: 'Gallery',
  de: 'Galerie',
  es: 'Galería',
  fr: 'Galerie',
  'pt-BR': 'Galeria',
  ja: 'ギャラリー',
  'zh-CN': '画廊',
}
const WEB = process.env.NST_WEB

const languageOf = (page) => page.evaluate(() => document.documentElement.lang)
const menuOf = (page) => page.locator('[aria-controls=menu]')

async function languages(browser, server) {
  await test('the page has the language of the browser, loads no other, and fits 320 pixels', async () => {
    for (const [locale, gallery] of Object.entries(LANGUAGES)) {
      const page = await open(browser, server, {
        path: '/health',
        context: { locale, hasTouch: true, isMobile: true },
      })
      const tables = new Set()
      page.on('request', (r) => {
        const name = /\/assets\/(.*)-[\w-]{8}\.js$/.exec(r.url())?.[1]
        if (name in LANGUAGES) tables.add(name)
      })
      await page.goto(`${server.url}/`)
      const link = page.getByRole('link', { name: gallery, exact: true })
      await link.waitFor()
      assert.equal(await languageOf(page), locale)
      assert.deepEqual([...tables], locale === 'en' ? [] : [locale])
      const fits = async (where, width = 320) => {
        await page.setViewportSize({ width, height: 640 })
        const wide = await page.evaluate(() =>
          [...document.querySelectorAll('body *')]
            .filter((e) => !e.closest('.sky') && e.getBoundingClientRect().right > innerWidth + 1)
            .map((e) => e.outerHTML.slice(0, 120)),
        )
        assert.deepEqual(wide, [], `${where} in ${locale} at ${width}`)
      }
      await fits('the studio', 390)
      await fits('the studio')
      await menuOf(page).click()
      await fits('the menu')
      await page.keyboard.press('Escape')
      await link.click()
      await fits('the gallery')
      await shot(page, `gallery-${locale}`)
      await close(page)
    }
  })

  await test('a menu switches the language, by keys too, and it is remembered', async () => {
    const page = await open(browser, server, { context: { locale: 'pl-PL' } })
    const choice = page.locator('header [data-test=language]').first()
    await choice.waitFor()
    assert.equal(await languageOf(page), 'en') // there is no Polish yet
    assert.equal(await choice.evaluate((e) => e.labels.length > 0 && e.ariaLabel), 'Language')
    await choice.selectOption('de')
    await page.getByRole('link', { name: 'Atelier' }).waitFor()
    assert.equal(await languageOf(page), 'de')
    assert.match(await page.title(), /^Stilübertragung · nst$/)
    await page.reload()
    await page.getByRole('link', { name: 'Atelier' }).waitFor()
    await choice.focus()
    await page.keyboard.press('Home') // English is the first
    await page.getByRole('link', { name: 'Studio' }).waitFor()
    assert.equal(await languageOf(page), 'en')
    for (const one of await choice.locator('option').all())
      assert.equal(await one.getAttribute('lang'), await one.getAttribute('value'))
    await close(page)
  })

  await test('on the smallest screens the menu of languages is in the menu', async () => {
    const page = await open(browser, server, {
      context: { viewport: { width: 320, height: 640 } },
    })
    await menuOf(page).click()
    await page.locator('#menu').getByLabel('Language').selectOption('fr')
    await page.getByRole('link', { name: 'Atelier' }).waitFor()
    await close(page)
  })

  await test('a name from right to left, or one that turns text, leaves the rest as it is', async () => {
    const names = { hebrew: 'צבעי מים 2', turned: 'photo\u202Egpj.exe' }
    const page = await open(browser, server)
    for (const name of Object.values(names)) {
      const sent = page.waitForResponse((r) => r.url().endsWith('/api/upload-style'))
      const chooser = page.waitForEvent('filechooser')
      await page.getByRole('button', { name: 'Add your own' }).click()
      // other bytes: the same ones would be the same style
      const buffer = Buffer.concat([readFileSync(picture('van-gogh.jpg')), Buffer.from(name)])
      await (await chooser).setFiles({ name: `${name}.jpg`, mimeType: 'image/jpeg', buffer })
      await sent
      await page.waitForTimeout(100)
    }
    const all = () =>
      page.evaluate(() =>
        [...document.querySelectorAll('body *')].flatMap((e) => [
          ...[...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data),
          ...[...e.attributes].map((a) => a.value),
        ]),
      )
    const shown = await until('both names', async () => {
      const some = await all()
      return some.some((s) => /צבעי/.test(s)) && some.some((s) => /gpj/i.test(s)) && some
    })
    assert.deepEqual(
      shown.filter((s) => /[\u202A-\u202E]/.test(s)),
      [],
    )
    for (const s of shown.filter((s) => /צבעי/.test(s))) assert.match(s, /\u2068צבעי מים 2\u2069/)
    await close(page)
    for (const s of await server.json('/api/styles'))
      if (s.removable) await fetch(`${server.url}/api/styles/${s.name}`, { method: 'DELETE' })
  })
}

const ALLOWED = { serviceWorkers: 'allow' }

/** Wait until the service worker of the page is active and has kept its files. */
const installed = (page) =>
  until('the service worker', () =>
    page.evaluate(async () => {
      const at = await navigator.serviceWorker.getRegistration()
      return at?.active?.state === 'activated'
    }),
  )

const keptFiles = (page) =>
  page.evaluate(async () => {
    const kept = {}
    for (const name of await caches.keys())
      kept[name] = (await (await caches.open(name)).keys()).map((r) => r.url)
    return kept
  })

async function app(browser, work) {
  const serve = async (name, options, f) => {
    const server = await new Server(work, name, options).start()
    try {
      await f(server)
    } finally {
      await server.kill()
    }
  }

  await test('the browser can install the page; its icons are what the manifest says', () =>
    serve('manifest', [], async (server) => {
      const page = await open(browser, server, { context: ALLOWED })
      const devtools = await page.context().newCDPSession(page)
      const { url, errors, data } = await devtools.send('Page.getAppManifest')
      assert.equal(url, `${server.url}/manifest.webmanifest`)
      assert.deepEqual(errors, [])
      await installed(page)
      const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors')
      // the contexts of tests are private windows, which install nothing
      assert.deepEqual(
        installabilityErrors.filter((e) => e.errorId !== 'in-incognito'),
        [],
      )
      const manifest = JSON.parse(data)
      for (const icon of [...manifest.icons, ...manifest.shortcuts[0].icons]) {
        const [width, height] = await page.evaluate(async (src) => {
          const image = await createImageBitmap(await (await fetch(src)).blob())
          return [image.width, image.height]
        }, icon.src)
        assert.equal(`${width}x${height}`, icon.sizes)
      }
      assert.ok(manifest.icons.some((i) => i.purpose === 'maskable'))
      const colours = () =>
        page.evaluate(() =>
          [...document.querySelectorAll('meta[name=theme-color]')].map((m) => m.content),
        )
      assert.deepEqual(await colours(), ['#eef4fd', '#0a1122'])
      await page.locator('[data-test=theme]').click()
      assert.deepEqual(await colours(), ['#0a1122', '#0a1122'])
      await close(page)
    }))

  await test('without the service the installed page opens, says so, and goes on when it is back', () =>
    serve('offline', [], async (server) => {
      const page = await open(browser, server, {
        expect: REFUSED,
        context: { ...ALLOWED, locale: 'de' },
      })
      await installed(page)
      await page.reload() // under the service worker
      await chooseContent(page)
      await page.getByRole('link', { name: 'Galerie' }).click()
      await page.getByText('noch nichts gemalt').waitFor()
      await server.kill('SIGKILL')
      await page.goto(`${server.url}/#/`)
      await page.reload()
      const banner = page.locator('[data-test=link]')
      await banner.getByText('Der Server ist nicht erreichbar.').waitFor()
      await page.getByRole('heading', { name: 'Einstellungen' }).waitFor()
      await accessibleEverywhere(page, 'the page without a service')
      await shot(page, 'offline')
      await server.start()
      await banner.waitFor({ state: 'detached' })
      await page.getByRole('button', { name: 'Munch', exact: true }).waitFor()
      const kept = Object.entries(await keptFiles(page))
      assert.equal(kept.length, 1)
      for (const url of kept[0][1])
        assert.match(url.slice(server.url.length), /^\/(assets\/[\w.-]+\.(js|css|svg))?$/)
      await close(page)
    }))

  await test('a new version waits until the old page is closed, which lacks nothing until then', async () => {
    const web = join(work, 'web')
    cpSync(WEB, web, { recursive: true })
    const server = await new Server(work, 'update', ['--web', web]).start()
    const page = await open(browser, server, { expect: REFUSED, context: ALLOWED })
    await installed(page)
    const [old] = Object.keys(await keptFiles(page))
    await server.kill()
    // the next version: another name, and without French
    const french = readdirSync(join(web, 'assets')).filter((n) => n.startsWith('fr-'))
    for (const name of french) rmSync(join(web, 'assets', name))
    for (const ending of ['.br', '.gz']) rmSync(join(web, `sw.js${ending}`))
    const sw = readFileSync(join(web, 'sw.js'), 'utf8')
    const next = sw.replace(/prefix \+ '\w+'/, "prefix + 'next'").replace(/"assets\/fr-[^"]*",/, '')
    assert.equal(next.match(/'next'/g).length, 1)
    assert.doesNotMatch(next, /assets\/fr-/)
    writeFileSync(join(web, 'sw.js'), next)
    await server.start()
    const states = () =>
      page.evaluate(async () => {
        const at = await navigator.serviceWorker.ready
        if (!at.waiting) await at.update()
        return [at.active?.state, at.waiting?.state, at.installing?.state].join()
      })
    await until('a new one that waits', async () => (await states()) === 'activated,installed,')
    const both = Object.keys(await keptFiles(page))
    assert.equal(both.length, 2)
    assert.ok(both.includes(old))
    await page.reload()
    await page.locator('header [data-test=language]').first().selectOption('fr')
    await page.getByRole('link', { name: 'Atelier' }).waitFor() // as the old one had it
    const other = await page.context().newPage()
    await page.close()
    await until('the new one alone', async () => {
      await other.goto('about:blank') // until no page of the old one is left
      await other.goto(`${server.url}/`)
      const names = Object.keys(await keptFiles(other))
      return names.length === 1 && names[0].endsWith(' next')
    })
    other.faults = page.faults
    other.expected = page.expected
    await close(other)
    await server.kill()
  })

  await test('pictures that another app shares, and the camera of the shortcut, come to the studio', () =>
    serve('shared', [], async (server) => {
      // the system posts the form, which the page's policy forbids to pages
      const page = await open(browser, server, { context: { ...ALLOWED, bypassCSP: true } })
      await installed(page)
      await page.reload()
      const bytes = readFileSync(picture('van-gogh.jpg')).toString('base64')
      const sent = page.waitForResponse((r) => r.url().endsWith('/api/upload-content'))
      await page.evaluate(async (bytes) => {
        const data = new DataTransfer()
        const blob = await (await fetch(`data:image/jpeg;base64,${bytes}`)).blob()
        data.items.add(new File([blob], 'ünïcode 1.jpg', { type: 'image/jpeg' }))
        const form = document.createElement('form')
        Object.assign(form, { method: 'post', enctype: 'multipart/form-data' })
        form.action = 'share-target'
        const input = document.createElement('input')
        Object.assign(input, { type: 'file', name: 'pictures', files: data.files })
        form.append(input)
        document.body.append(form)
        form.submit()
      }, bytes)
      assert.equal((await sent).status(), 200)
      await page.getByRole('img', { name: 'The picture that will be painted' }).waitFor()
      assert.equal(new URL(page.url()).pathname, '/')
      const kept = await keptFiles(page)
      assert.equal(Object.keys(kept).length, 1) // nothing is left of what was shared
      await page.goto(`${server.url}/#/camera`)
      await page.reload()
      await page.getByRole('dialog', { name: 'Take a photo' }).waitFor()
      await close(page)
    }))

  await test('below a path prefix the page and its service worker keep to it', () =>
    serve('prefix', ['--prefix', '/art'], async (server) => {
      const proxy = createServer((from, to) => {
        if (!from.url.startsWith('/art/')) return to.writeHead(404).end()
        const { method, headers } = from
        const path = from.url.slice('/art'.length)
        const on = request({ port: server.port, host: '127.0.0.1', path, method, headers })
        on.on('response', (r) => {
          to.writeHead(r.statusCode, r.headers)
          r.pipe(to)
        })
        on.on('error', () => to.writeHead(502).end())
        from.pipe(on)
      })
      await new Promise((go) => proxy.listen(0, '127.0.0.1', go))
      const at = { url: `http://127.0.0.1:${proxy.address().port}/art` }
      const page = await open(browser, at, { expect: REFUSED, context: ALLOWED })
      try {
        await installed(page)
        const scope = await page.evaluate(async () => (await navigator.serviceWorker.ready).scope)
        assert.equal(scope, `${at.url}/`)
        const devtools = await page.context().newCDPSession(page)
        const { url, data } = await devtools.send('Page.getAppManifest')
        for (const name of ['start_url', 'scope'])
          assert.equal(new URL(JSON.parse(data)[name], url).href, `${at.url}/`)
        await page.reload()
        await chooseContent(page)
        await page.getByRole('img', { name: 'The picture that will be painted' }).waitFor()
        await server.kill()
        await page.reload() // the proxy answers 502
        await page.locator('[data-test=link]').waitFor()
        const kept = await keptFiles(page)
        assert.deepEqual(
          Object.keys(kept).map((name) => name.includes(`${at.url}/`)),
          [true],
        )
      } finally {
        await close(page)
        proxy.closeAllConnections()
        proxy.close()
      }
    }))
}

async function quotas(browser, work) {
  const tokens = join(work, 'tokens')
  const token = 'token-of-ann-0000'
  writeFileSync(
    tokens,
    `ann user ${token} waiting=1 bytes=60K work-per-day=30M\nolga operator token-of-olga-000\n`,
    { mode: 0o600 },
  )
  const signIn = async (page, text) => {
    await page.getByLabel('Token', { exact: true }).fill(text)
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByRole('button', { name: 'Munch', exact: true }).waitFor()
  }
  const fault = (page, text) => page.getByRole('alert').filter({ hasText: text })

  await test('who is signed in, the quotas, and what they refuse are told in words', async () => {
    const options = ['--tokens', tokens, '--max-tasks', '1', '--min-steps', '1']
    const server = await new Server(work, 'quotas', options).start()
    const page = await open(browser, server, { expect: REFUSED })
    await signIn(page, token)
    assert.equal(await page.locator('[data-test=who]').innerText(), 'ann')
    await chooseContent(page) // 39 of 60 kB
    await style(page, 'Munch')
    const meter = (name) => page.getByRole('meter', { name })
    const use = async (name) => {
      await menuOf(page).click()
      await meter(name).waitFor()
      const text = await meter(name).getAttribute('aria-valuetext')
      const now = await meter(name).getAttribute('aria-valuenow')
      await page.keyboard.press('Escape')
      return `${text} = ${now} %`
    }
    assert.match(await use('Space of your pictures'), /^3\d(\.\d)? kB of 61\.4 kB = 6\d %$/)
    assert.equal(await use('Tasks in the queue'), '0 of 1 = 0 %')
    assert.equal(await use('Painting today'), '0 % = 0 %')
    await menuOf(page).click()
    await page.getByText('Signed in as ann').waitFor()
    await page.getByText(/The next day begins at \d\d:\d\d\.$/).waitFor()
    assert.equal(await meter('Running tasks').count(), 0) // there is no such quota
    await accessibleEverywhere(page, 'the menu with quotas')
    await shot(page, 'quotas')
    await page.keyboard.press('Escape')

    await set(page, 'Size', 320)
    await set(page, 'Steps', 400) // 41 of 31 million
    await start(page)
    await fault(page, 'more than is left of your painting for today').waitFor()
    await fault(page, 'Choose a smaller size or fewer steps').waitFor()
    await accessibleEverywhere(page, 'a refused task')
    assert.equal(await page.getByText(/pixels x steps/).count(), 0)
    await set(page, 'Size', 160)
    await set(page, 'Steps', 900)
    await start(page) // 23 of 31 million, which runs
    await page.locator('[data-test=preview]').waitFor({ timeout: 90_000 })
    assert.equal(await use('Painting today'), '73 % = 73 %')
    await page.goto(`${server.url}/#/`)
    const before = page.getByRole('button', { name: 'Start', exact: true })
    await set(page, 'Steps', 100)
    await before.click() // waits
    await page.locator('[data-test=queue-place]').waitFor()
    await page.goto(`${server.url}/#/`)
    await before.click() // one too many
    await fault(page, 'as many tasks in the queue as you may').waitFor()
    await page.setInputFiles('[data-test=content-file]', picture('painted.jpg'))
    await fault(page, 'Your pictures use all the space that you have.').waitFor()
    await close(page)
    await server.kill()
  })

  await test('an operator is told that he is one, and a task its place in the queue', async () => {
    const options = ['--tokens', tokens, '--max-tasks', '1', '--min-steps', '1']
    const server = await new Server(work, 'places', options).start()
    const page = await open(browser, server, { expect: [/status of 401/] })
    await signIn(page, 'token-of-olga-000')
    await menuOf(page).click()
    await page.getByText('You are an operator').waitFor()
    await page.keyboard.press('Escape')
    await chooseContent(page)
    await style(page, 'Munch')
    await set(page, 'Size', 192)
    for (const steps of [800, 100, 100, 100]) {
      await set(page, 'Steps', steps)
      await start(page)
      await page.waitForURL(/#\/task\//)
      await page.goto(`${server.url}/#/`)
    }
    const places = page.locator('[data-test=queue-place]')
    await until('three places', async () => (await places.count()) === 3)
    const texts = await until('the places', async () => {
      const all = await places.allInnerTexts() // the newest first
      return /^2 tasks ahead of it/.test(all[0]) && all
    })
    assert.match(texts[1], /^1 task ahead of it/)
    assert.match(texts[2], /^Next in the queue/)
    await until('an estimate of the next', async () =>
      /^Next in the queue · starts in about \d+ (sec|min)$/.test(await places.last().innerText()),
    )
    await shot(page, 'places')
    // once the queue has moved, the others have an estimate, too
    await until('an estimate', async () =>
      (await places.allInnerTexts()).some((s) => /^1 task ahead of it · starts in about/.test(s)),
    )
    await close(page)
    await server.kill()
  })
}

export async function shell(browser, server, work) {
  await languages(browser, server)
  await app(browser, work)
  await quotas(browser, work)
}
