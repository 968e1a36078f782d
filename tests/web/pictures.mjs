// The pictures of phones and cameras in the page: formats that browsers do not show, other
// colour spaces, and orientations. vips and exiftool make them.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { accessible, chooseContent, close, open, shot, start, style } from './browser.mjs'
import { Server } from './server.mjs'
import { note, test, until } from './tap.mjs'

const WIDTH = 480
const HEIGHT = 320
/** The colours of the quarters: top left and right, bottom left and right. */
const QUARTERS = [
  [200, 40, 30],
  [40, 160, 60],
  [50, 70, 190],
  [120, 120, 120],
]
const AT = [
  [0.25, 0.25],
  [0.75, 0.25],
  [0.25, 0.75],
  [0.75, 0.75],
]
const LEVELS = 8

/** Make the pictures in a folder; an encoder that is missing leaves out its file. */
function make(folder) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  const run = (program, ...args) => execFileSync(program, args, { cwd: folder, stdio: 'pipe' })
  const vips = (...args) => run('vips', ...args)
  const best = '[Q=98,subsample-mode=off]'
  QUARTERS.forEach((colour, i) => {
    vips('black', 'black.v', `${WIDTH / 2}`, `${HEIGHT / 2}`, '--bands', '3')
    vips('linear', 'black.v', `${i}.v`, '1 1 1', colour.join(' '), '--uchar')
  })
  vips('arrayjoin', '0.v 1.v 2.v 3.v', 'joined.v', '--across', '2')
  vips('copy', 'joined.v', 'truth.png', '--interpretation', 'srgb')
  vips('colourspace', 'truth.png', 'sixteen bits.png', 'rgb16')
  vips('copy', 'truth.png', 'scan.tiff')
  vips('icc_transform', 'truth.png', `p3.jpg${best}`, 'p3', '--input-profile', 'srgb')
  vips('icc_transform', 'truth.png', `inks.jpg${best}`, 'cmyk', '--input-profile', 'srgb')
  vips('rot', 'truth.png', `turned 3.jpg${best}`, 'd180')
  vips('rot', 'truth.png', `turned 6.jpg${best}`, 'd270')
  for (const n of [3, 6])
    run('exiftool', '-q', '-overwrite_original', '-n', `-Orientation=${n}`, `turned ${n}.jpg`)
  for (const name of ['IMG_0001.HEIC', 'photo.avif'])
    try {
      vips('copy', 'truth.png', `${name.toLowerCase()}[lossless]`)
      run('cp', name.toLowerCase(), `${name}.new`)
      rmSync(join(folder, name.toLowerCase()))
      run('mv', `${name}.new`, name)
    } catch {
      note(`skipped: ${name} cannot be made here`)
    }
  // what the inks look like, as no printer has the red of the truth
  vips('icc_transform', 'inks.jpg', 'inks.png', 'srgb', '--embedded', '--black-point-compensation')
  const inks = AT.map(([x, y]) =>
    String(vips('getpoint', 'inks.png', `${x * WIDTH}`, `${y * HEIGHT}`))
      .trim()
      .split(/\s+/)
      .map(Number),
  )
  return [
    'IMG_0001.HEIC',
    'photo.avif',
    'scan.tiff',
    'sixteen bits.png',
    'inks.jpg',
    'turned 3.jpg',
    'turned 6.jpg',
    'p3.jpg',
  ]
    .map((name) => ({
      name,
      path: join(folder, name),
      truth: name === 'inks.jpg' ? inks : QUARTERS,
    }))
    .filter((one) => existsSync(one.path))
}

/** The size of a picture that the page shows, and its colours at the centres of the quarters. */
const look = (locator) =>
  locator.evaluate(async (image, at) => {
    if (image instanceof HTMLImageElement) await image.decode()
    const [w, h] = [image.naturalWidth ?? image.width, image.naturalHeight ?? image.height]
    const canvas = new OffscreenCanvas(w, h)
    const c = canvas.getContext('2d', { willReadFrequently: true })
    c.drawImage(image, 0, 0)
    return {
      size: [w, h],
      colours: at.map(([x, y]) => [...c.getImageData(x * w, y * h, 1, 1).data].slice(0, 3)),
    }
  }, AT)

function near(colours, truth, what, levels = LEVELS) {
  colours.forEach((colour, i) =>
    colour.forEach((v, k) =>
      assert.ok(
        Math.abs(v - truth[i][k]) <= levels,
        `${what}: quarter ${i} is ${colour}, not ${truth[i]}`,
      ),
    ),
  )
}

const draftOf = (page) => page.evaluate(() => JSON.parse(localStorage.getItem('nst.draft') ?? '{}'))
const content = (page) => page.locator('[data-test=content]')

/** Choose a picture and wait until the page shows it; its name. */
async function use(page, file) {
  const { content: before } = await draftOf(page)
  await chooseContent(page, file)
  await content(page).waitFor()
  return until('the chosen picture', async () => {
    const { content: name } = await draftOf(page)
    return name && name !== before ? name : undefined
  })
}

/** Paint a picture with few steps; the id of its task. */
async function paint(server, name, more = {}) {
  const { task_id: id } = await server.json('/api/style-transfer', {
    content_image: name,
    style_image: 'munch',
    num_steps: 2,
    size: 96,
    ...more,
  })
  assert.ok(id)
  await until('a painted picture', async () => {
    const { status, error } = await server.json(`/api/progress/${id}`)
    if (status === 'failed') throw new Error(error)
    return status === 'completed'
  })
  return id
}

/** Dispatch a drop of these files, or of a link. */
const drop = (page, files, link = '') =>
  page.evaluate(
    ([files, link]) => {
      const data = new DataTransfer()
      for (const name of files) data.items.add(new File(['x'], name, { type: 'image/png' }))
      if (link) data.setData('text/uri-list', link)
      for (const type of ['dragover', 'drop'])
        document
          .querySelector('[data-drop=content]')
          .dispatchEvent(
            new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }),
          )
    },
    [files, link],
  )

async function shown(browser, server, made) {
  for (const one of made)
    await test(`${one.name} is shown, painted, and stands beside its painting`, async () => {
      const page = await open(browser, server)
      const name = await use(page, one.path)
      const seen = await look(content(page))
      assert.deepEqual(seen.size, [WIDTH, HEIGHT])
      near(seen.colours, one.truth, 'the content picture')
      const id = await paint(server, name)
      const other = await open(browser, server, { path: `/#/task/${id}` }) // a shared link
      for (const [p, path] of [
        [page, `${server.url}/#/task/${id}`],
        [other, ''],
      ]) {
        if (path) await p.goto(path)
        const before = p.locator(`#stage img[src*="renditions/${name}"]`).first()
        await before.waitFor({ state: 'attached' })
        near((await look(before)).colours, one.truth, 'before')
        const after = await look(p.locator(`#stage img[src*="${id}"]`).first())
        assert.deepEqual(after.size, [96, 64])
        // two steps leave the quarters what they are
        const strongest = (c) => c.indexOf(Math.max(...c))
        for (const i of [0, 1, 2])
          assert.equal(strongest(after.colours[i]), strongest(one.truth[i]), `after: ${i}`)
      }
      if (one.name === 'turned 6.jpg') await shot(page, 'rotated')
      await close(other)
      await close(page)
    })
}

async function regions(browser, server, made) {
  const turned = made.find((one) => one.name === 'turned 6.jpg')
  await test('regions are painted on the upright picture, and their masks fit it', async () => {
    const page = await open(browser, server)
    await use(page, turned.path)
    await style(page, 'Munch')
    await page.getByRole('button', { name: 'Paint regions' }).click()
    const canvas = page.getByRole('application')
    await until(
      'the picture in the canvas',
      async () => (await canvas.getAttribute('width')) === '480',
    )
    await until('a canvas with colours', async () => (await look(canvas)).colours[0][0] > 0)
    const { size, colours } = await look(canvas)
    assert.deepEqual(size, [WIDTH, HEIGHT])
    near(colours, QUARTERS, 'the canvas')
    const { width, height } = await canvas.boundingBox()
    await canvas.click({ position: { x: width / 4, y: height / 4 } })
    await page.getByRole('button', { name: 'Done' }).click()
    const asked = page.waitForRequest((r) => r.url().endsWith('/api/style-transfer'))
    await start(page)
    const mask = (await asked).postDataJSON().styles[0].mask
    const seen = await page
      .evaluate(async (name) => {
        const image = new Image()
        image.src = `uploads/${name}`
        await image.decode()
        document.body.append(image)
        image.id = 'mask'
      }, mask)
      .then(() => look(page.locator('#mask')))
    assert.deepEqual(seen.size, [WIDTH, HEIGHT])
    assert.deepEqual(
      seen.colours.map((c) => c[0]),
      [255, 0, 0, 0],
    )
    await close(page)
  })
}

async function problems(browser, server, made) {
  const heic = made.find((one) => one.name.endsWith('HEIC')) ?? made[0]
  await test('a file that the browser cannot show has its name while it is sent', async () => {
    const page = await open(browser, server)
    let go
    const held = new Promise((done) => (go = done))
    await page.route('**/api/upload-content', async (route) => {
      await held
      await route.continue()
    })
    await page.setInputFiles('[data-test=content-file]', heic.path)
    const unseen = page.locator('[data-test=unseen]')
    await unseen.getByText(heic.name).waitFor()
    if (heic !== made[0] || heic.name.endsWith('HEIC'))
      await unseen.getByText('This browser cannot show the file').waitFor()
    await page.getByText('Sending…').waitFor()
    await shot(page, 'unseen')
    await accessible(page, 'a file that cannot be shown')
    go()
    await content(page).waitFor()
    await close(page)
  })

  await test('what cannot be shown just now is told apart from what is gone', async () => {
    const page = await open(browser, server, { expect: [/renditions/, /404/, /ERR_FAILED/] })
    const name = await use(page, heic.path)
    await page.route('**/renditions/**', (route) => route.abort())
    await page.reload()
    await page.locator('[data-test=hidden]').waitFor()
    await accessible(page, 'a picture that cannot be shown')
    assert.equal((await draftOf(page)).content, name)
    for (const folder of ['uploads', 'renditions', 'thumbs'])
      for (const file of readdirSync(join(server.data, folder)))
        if (file.startsWith(name)) rmSync(join(server.data, folder, file))
    await page.reload()
    await page.getByText('not on the server any more').waitFor()
    assert.equal((await draftOf(page)).content, '')
    await close(page)
  })

  await test('an empty file, a link, several files and a thin picture are told in words', async () => {
    const page = await open(browser, server, { expect: [/4\d\d/] })
    const folder = join(process.env.NST_WORK, 'pictures')
    const alert = (text) => page.getByRole('alert').filter({ hasText: text })
    const send = (name) => page.setInputFiles('[data-test=content-file]', join(folder, name))
    writeFileSync(join(folder, 'empty.jpg'), '')
    await send('empty.jpg')
    await alert('The file is empty').waitFor()
    writeFileSync(join(folder, 'words.jpg'), 'no picture')
    await send('words.jpg')
    await alert('cannot read this file as a picture').waitFor()
    await drop(page, [], 'https://example.org/cat.jpg')
    await alert('A link cannot be used').waitFor()
    assert.ok(page.url().startsWith(server.url))
    await drop(page, ['a.png', 'b.png'])
    execFileSync('vips', ['black', join(folder, 'small.png'), '100', '9', '--bands', '3'])
    await send('small.png')
    await alert('too small: each side needs at least 16').waitFor()
    execFileSync('vips', ['black', join(folder, 'thin.png'), '4000', '30', '--bands', '3'])
    await send('thin.png')
    await page.getByText('the short side of this picture has 4 pixels').waitFor()
    await accessible(page, 'a picture that is too thin')
    await close(page)
  })
}

async function names(browser, server, made) {
  await test('the same photograph sent twice is one group of the gallery', async () => {
    const page = await open(browser, server)
    const [one] = made.slice(-1)
    const first = await use(page, one.path)
    await page.evaluate(() => localStorage.clear())
    await page.reload()
    assert.equal(await use(page, one.path), first)
    const ids = [await paint(server, first), await paint(server, first, { seed: 2 })]
    const groups = Object.values(await server.json('/api/history'))
    const group = groups.find((g) => g.some((e) => e.task_id === ids[0]))
    assert.ok(group.some((e) => e.task_id === ids[1]))
    await close(page)
  })

  await test('an own style of any format has a tile, and the name that its owner gave', async () => {
    const heic = made.find((one) => one.name.endsWith('HEIC')) ?? made[0]
    const page = await open(browser, server)
    await page.setInputFiles('[data-test=style-file]', heic.path)
    const check = async (p) => {
      const tile = p.getByRole('button', { name: 'IMG 0001', exact: true }).first()
      await tile.scrollIntoViewIfNeeded()
      const { size, colours } = await look(tile.locator('img').first())
      assert.deepEqual(size, [256, 171])
      near(colours, heic.truth, 'the tile')
    }
    await check(page)
    const other = await open(browser, server) // another browser has no names of its own
    await check(other)
    const own = (await server.json('/api/styles')).find((s) => s.label === 'IMG 0001')
    await fetch(`${server.url}/api/styles/${own.name}`, { method: 'DELETE' })
    await close(other)
    await close(page)
  })
}

export async function pictures(browser, work) {
  let made
  try {
    made = make(join(work, 'pictures'))
  } catch (e) {
    await test('pictures of phones are shown # SKIP vips or exiftool is missing', () =>
      note(e.message))
    return
  }
  const server = await new Server(work, 'pictures-data', ['--min-steps', '1']).start()
  try {
    await shown(browser, server, made)
    await regions(browser, server, made)
    await problems(browser, server, made)
    await names(browser, server, made)
  } finally {
    await server.kill()
  }
}
