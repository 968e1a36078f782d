// The pictures of docs/WEB.md, from the running page: see scripts/make-shots. Not a test.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { chooseContent, close, launch, open, picture, start, style } from './browser.mjs'
import { Server } from './server.mjs'
import { until } from './tap.mjs'

const { NST_DOCS: docs, NST_WORK: work } = process.env
const ONLY = new RegExp(process.env.NST_TEST_ONLY ?? '')
const DESKTOP = { viewport: { width: 1280, height: 800 } }
const PHONE = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 1.5,
  hasTouch: true,
  isMobile: true,
}
const STYLES = ['van-gogh', 'munch', 'hokusai', 'kandinsky', 'monet', 'seurat']
const SIZE = Number(process.env.NST_SHOTS_SIZE ?? 448)
const TASK_MS = 900_000

const server = await new Server(work, 'shots', ['--max-tasks', '2', '--min-steps', '1']).start()
const browser = await launch()
let failed = 0

/** Wait until the page looks the same for a while, as after the last preview of a tile. */
async function settled(page, ms = 60_000) {
  const end = Date.now() + ms
  let before = Buffer.alloc(0)
  for (let same = 0; same < 3 && Date.now() < end;) {
    const now = await page.screenshot({ animations: 'disabled' })
    same = now.equals(before) ? same + 1 : 0
    before = now
    await page.waitForTimeout(700)
  }
}

/** Take docs/web-NAME.jpg of a page that prepare brings to the state. */
async function take(name, context, path, prepare = () => undefined, prefs = {}) {
  if (!ONLY.test(name)) return
  const page = await open(browser, server, {
    path,
    prefs,
    expect: [/./],
    context: { reducedMotion: 'reduce', ...context },
  })
  try {
    page.setDefaultTimeout(90_000)
    await prepare(page)
    const to = join(docs, `web-${name}.jpg`)
    await page.screenshot({ path: to, type: 'jpeg', quality: 68, animations: 'disabled' })
    console.log(`${to}`)
  } catch (e) {
    failed++
    console.log(`web-${name}.jpg cannot be made: ${e.message}`)
  } finally {
    await close(page)
  }
}

/** Paint the sample in a few styles, for the gallery; the IDs of the tasks. */
async function paint() {
  const form = new FormData()
  form.append('content_image', new Blob([readFileSync(picture('sample.jpg'))]), 'a.jpg')
  const r = await fetch(`${server.url}/api/upload-content`, { method: 'POST', body: form })
  const { filename } = await r.json()
  const there = (await server.json('/api/styles')).map((s) => s.name)
  const names = [...STYLES.filter((s) => there.includes(s)), ...there]
  const ids = []
  for (const name of [...new Set(names)].slice(0, STYLES.length)) {
    const body = { content_image: filename, style_image: name, preset: 'painting', size: SIZE }
    ids.push((await server.json('/api/style-transfer', body)).task_id)
  }
  for (const id of ids)
    await until(
      `task ${id}`,
      async () => (await server.json(`/api/progress/${id}`)).status === 'completed',
      TASK_MS,
    )
  return ids
}

try {
  const [task] = await paint()
  const first = (page) =>
    page
      .getByRole('button', { name: /Van Gogh/ })
      .first()
      .waitFor()
  await take('first', DESKTOP, '/', async (page) => {
    await first(page)
    await settled(page)
  })
  await take('tiles', DESKTOP, '/', async (page) => {
    await first(page)
    await chooseContent(page)
    await settled(page, 180_000)
  })
  await take('regions', DESKTOP, '/', async (page) => {
    await first(page)
    await chooseContent(page)
    await style(page, 'Van Gogh')
    await page.getByRole('button', { name: 'Paint regions' }).click()
    const canvas = page.getByRole('dialog').locator('canvas').last()
    const box = await canvas.boundingBox()
    const to = (x, y) => page.mouse.move(box.x + box.width * x, box.y + box.height * y)
    await to(0.04, 0.1)
    await page.mouse.down()
    for (const [x, y] of [0, 1, 2, 3].flatMap((i) => [
      [0.96, 0.1 + 0.08 * i],
      [0.04, 0.14 + 0.08 * i],
    ]))
      await to(x, y)
    await page.mouse.up()
  })
  const address = `/#/task/${task}`
  const result = async (page) => {
    await page.getByRole('slider').first().waitFor()
    await settled(page)
  }
  await take('result-dark', { ...DESKTOP, colorScheme: 'dark' }, address, result)
  await take('language', { ...DESKTOP, locale: 'ja' }, address, result)
  await take('gallery', DESKTOP, '/#/gallery', async (page) => {
    await page.locator('[data-test=entry]').first().waitFor()
    await settled(page)
  })
  await take('phone', PHONE, address, result)
  await take('painting', DESKTOP, '/', async (page) => {
    await first(page)
    await chooseContent(page)
    await style(page, 'Van Gogh')
    await start(page)
    await page.locator('[data-test=preview]').waitFor({ timeout: TASK_MS })
    await until(
      'half of it',
      async () => parseInt(await page.locator('[data-test=percent]').innerText(), 10) >= 40,
      TASK_MS,
    )
  })
} finally {
  await browser.close()
  await server.kill()
}
process.exitCode = failed ? 1 : 0
