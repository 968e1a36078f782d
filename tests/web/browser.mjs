// Debian's Chromium, and pages that record their errors.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const packages = createRequire(join(process.env.srcdir, 'src/web/package.json'))
const { chromium } = packages('playwright-core')
const axe = packages('axe-core')

export const shots = process.env.NST_SHOTS
mkdirSync(shots, { recursive: true })

export const picture = (name) => join(process.env.srcdir, 'src/web/src/pictures', name)

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream',
    ],
  })
}

/**
 * Open a page of a server. Its faults are console errors and warnings, exceptions, and requests
 * to other servers; expect: patterns of faults that the test causes on purpose.
 */
export async function open(browser, server, options = {}) {
  const { path = '/', prefs = {}, expect = [], context: of = {} } = options
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    locale: 'en-GB',
    serviceWorkers: 'block', // shell.mjs tests it; elsewhere requests come from the page itself
    ...of,
  })
  await context.addInitScript(
    (p) => {
      for (const [name, value] of Object.entries(p))
        if (localStorage.getItem(`nst.${name}`) === null)
          localStorage.setItem(`nst.${name}`, JSON.stringify(value))
    },
    { toured: true, ...prefs },
  )
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  page.faults = []
  page.on('console', (m) => {
    if (m.text().startsWith('Service Worker registration blocked by Playwright')) return
    if (m.type() === 'error' || m.type() === 'warning')
      page.faults.push(`${m.text()} ${m.location().url}`)
  })
  page.on('pageerror', (e) => page.faults.push(String(e)))
  page.on('request', (r) => {
    const url = r.url()
    if (!url.startsWith(`${server.url}/`) && !/^(blob|data):/.test(url))
      page.faults.push(`a request left: ${url}`)
  })
  page.expected = expect
  await page.goto(server.url + path)
  return page
}

/** Close the page; fails if there were unexpected faults. */
export async function close(page) {
  const left = page.faults.filter((f) => !page.expected.some((e) => e.test(f)))
  await page.context().close()
  assert.deepEqual(left, [])
}

/** Take a screenshot for who looks at the tests; shots.mjs makes those of docs/WEB.md. */
export async function shot(page, name) {
  await page.screenshot({ path: join(shots, `${name}.png`), animations: 'disabled' })
}

/** Fails if axe-core finds a violation of any weight. */
export async function accessible(page, state) {
  await page.evaluate(axe.source)
  const found = await page.evaluate(() =>
    globalThis.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      resultTypes: ['violations'],
    }),
  )
  // ignore targets partially behind the start bar; look.mjs measures their size
  for (const v of found.violations)
    if (v.id === 'target-size')
      v.nodes = v.nodes.filter((n) => !n.failureSummary.includes('partially obscured'))
  const all = found.violations
    .filter((v) => v.nodes.length > 0)
    .map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join('; ')}`)
  assert.deepEqual(all, [], state)
}

/** The same on a small phone, a phone and a desktop, in light and dark. */
export async function accessibleEverywhere(page, state) {
  const before = page.viewportSize()
  for (const [width, height, ...schemes] of [
    [320, 640, 'light'],
    [390, 844, 'dark'],
    [1280, 800, 'light', 'dark'],
  ]) {
    await page.setViewportSize({ width, height })
    for (const colorScheme of schemes) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' }) // no colours on their way
      await accessible(page, `${state}, ${colorScheme}, ${width} pixels`)
    }
  }
  await page.setViewportSize(before)
  await page.emulateMedia({ colorScheme: null, reducedMotion: null })
}

/** Press Tab until the element has the focus. */
export async function tabTo(page, locator, most = 90) {
  for (let i = 0; i < most; i++) {
    await page.keyboard.press('Tab')
    if (await locator.evaluate((e) => e === document.activeElement).catch(() => false)) return
  }
  throw new Error(`the focus does not come to ${locator}`)
}

export const status = (page) => page.locator('[data-test=status]')

/** Choose a content picture and wait for the end of its upload. */
export async function chooseContent(page, file = picture('sample.jpg')) {
  const sent = page.waitForResponse((r) => r.url().endsWith('/api/upload-content'))
  await page.setInputFiles('[data-test=content-file]', file)
  await sent
}

/** Numbers are folded away at first. */
export async function unfold(page) {
  const more = page.locator('[data-test=more-settings]')
  if (!(await more.evaluate((e) => e.open))) await more.locator('summary').click()
}

export async function set(page, label, value) {
  await unfold(page)
  const field = page.getByRole('spinbutton', { name: label })
  await field.fill(String(value))
  await field.blur()
}

export async function style(page, name, on = true) {
  const button = page.getByRole('button', { name, exact: true })
  if (((await button.getAttribute('aria-pressed')) === 'true') !== on) await button.click()
}

/** Add a style to the mix, or take it out, by the second button of its tile. */
export async function mix(page, name, on = true) {
  const button = page.getByRole('button', { name, exact: true })
  if (((await button.getAttribute('aria-pressed')) === 'true') !== on)
    await page.locator('li', { has: button }).locator('[data-test=mix]').click()
}

export async function start(page) {
  await page.getByRole('button', { name: 'Start', exact: true }).click()
}

export async function waitDone(page, ms = 60_000) {
  await status(page).filter({ hasText: 'Done' }).waitFor({ timeout: ms })
}

export const draftOf = (page) =>
  page.evaluate(() => JSON.parse(localStorage.getItem('nst.draft') ?? '{}'))
