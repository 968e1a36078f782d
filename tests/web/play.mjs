// Settings, variations, larger pictures, settings of a result, batches, stop and keep.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { deflateSync } from 'node:zlib'
import {
  accessible,
  chooseContent,
  close,
  open,
  picture,
  set,
  shot,
  start,
  status,
  style,
  unfold,
  waitDone,
} from './browser.mjs'
import { Server } from './server.mjs'
import { test, until } from './tap.mjs'

const draftOf = (page) => page.evaluate(() => JSON.parse(localStorage.getItem('nst.draft') ?? '{}'))
const button = (page, name) => page.getByRole('button', { name, exact: true })

/** A PNG of waves; a low one takes little time at a large size. */
function waves(width, height) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data])
    const crc = Buffer.alloc(4)
    let c = ~0
    for (const b of body) {
      c ^= b
      for (let i = 0; i < 8; i++) c = (c >>> 1) ^ (c & 1 ? 0xedb88320 : 0)
    }
    crc.writeUInt32BE(~c >>> 0)
    const size = Buffer.alloc(4)
    size.writeUInt32BE(data.length)
    return Buffer.concat([size, body, crc])
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, 2, 0, 0, 0], 8)
  const rows = Buffer.alloc(height * (1 + 3 * width))
  for (let y = 0; y < height; y++)
    for (let x = 0; x < 3 * width; x++)
      rows[y * (1 + 3 * width) + 1 + x] = 128 + 100 * Math.sin(x / 19 + (y * (1 + (x % 3))) / 7)
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

const file = (name, buffer) => ({ name, mimeType: 'image/png', buffer })
const choose = (page, ...files) => page.setInputFiles('[data-test=content-file]', files)

/** Choose a photograph of waves, and wait until it is on the server. */
async function photograph(page, width, height) {
  await choose(page, file('a.png', waves(width, height)))
  await until('the photograph', async () => (await draftOf(page)).content)
}

/** The bodies of all transfers that the page asks for. */
function record(page) {
  const bodies = []
  page.on('request', (r) => {
    if (r.url().endsWith('/api/style-transfer')) bodies.push(r.postDataJSON())
  })
  return bodies
}

const results = async (server) => Object.values(await server.json('/api/history')).flat()
const idOf = (page) => new URL(page.url()).hash.replace('#/task/', '')

async function settings(browser, server) {
  await test('detail and strength come first, numbers are folded away, and the sum is in words', async () => {
    const page = await open(browser, server)
    const bodies = record(page)
    await photograph(page, 96, 64)
    await style(page, 'Munch')
    await page.getByText('Munch · Painting, 512 px').waitFor()
    assert.equal(await page.getByRole('radio', { name: /^Painting/ }).isChecked(), true)
    assert.equal(await page.getByRole('spinbutton', { name: 'Steps' }).count(), 0)
    await shot(page, 'settings')
    await page.getByRole('radio', { name: /^Draft/ }).check({ force: true })
    await start(page)
    await waitDone(page)
    // what is not chosen is the service's to choose
    assert.deepEqual(Object.keys(bodies[0]).sort(), ['content_image', 'preset', 'styles'])
    assert.equal(bodies[0].preset, 'draft')
    // the time that it takes here follows from the first result
    await page.locator('[data-test=detail-fine]').getByText('about').waitFor()
    await page.getByRole('slider', { name: 'Strength' }).fill('60')
    await page.getByRole('slider', { name: 'Strokes' }).fill('0.5')
    await page.getByRole('radio', { name: 'From the picture' }).check({ force: true })
    await set(page, 'Style weight', 1.3)
    await page.getByText(/60 % strength · finer strokes · more style · colours of the/).waitFor()
    await start(page)
    await until('a second request', () => bodies[1])
    const { strength, style_scale, style_weight, colour } = bodies[1]
    assert.deepEqual([strength, style_scale, style_weight, colour], [0.6, 0.5, 9100, 'content'])
    await waitDone(page)
    await page.reload()
    await unfold(page)
    assert.equal(await page.getByRole('spinbutton', { name: 'Style weight' }).inputValue(), '1.3')
    await accessible(page, 'all settings')
    await page.getByLabel('Preset').selectOption('portrait')
    assert.equal(await page.getByRole('radio', { name: /^Painting/ }).isChecked(), false)
    await page.getByText('Munch · Portrait, 512 px').waitFor()
    await page.getByRole('radio', { name: /^Painting/ }).check({ force: true })
    assert.equal(await page.getByLabel('Preset').inputValue(), '')
    await close(page)
  })

  await test('again with other settings keeps those that the page has no control for', async () => {
    const page = await open(browser, server)
    const bodies = record(page)
    await photograph(page, 96, 64)
    const { task_id } = await server.json('/api/style-transfer', {
      content_image: (await draftOf(page)).content,
      style_image: 'munch',
      num_steps: 2,
      size: 64,
      content_weight: 7,
      pooling: 'avg',
    })
    await page.goto(`${server.url}/#/task/${task_id}`)
    await waitDone(page)
    await button(page, 'Again with other settings').click()
    await page.getByText('Also set: pooling, content_weight').waitFor()
    await start(page)
    await until('a request', () => bodies[0])
    assert.deepEqual([bodies[0].content_weight, bodies[0].pooling, bodies[0].size], [7, 'avg', 64])
    await waitDone(page)
    await button(page, 'Again with other settings').click()
    await button(page, 'Leave out').click()
    await start(page)
    await until('another request', () => bodies[1])
    assert.equal(bodies[1].content_weight, undefined)
    await waitDone(page)
    await close(page)
  })
}

async function variations(browser, server, work) {
  await test('variations fill a grid, and one of them becomes the draft', async () => {
    const page = await open(browser, server, { expect: [/404.*\/preview\?/] })
    const bodies = record(page)
    await photograph(page, 96, 64)
    await style(page, 'Munch')
    const before = (await results(server)).length
    await button(page, 'Variations').click()
    const dialog = page.getByRole('dialog', { name: 'Variations' })
    await dialog.getByRole('radio', { name: 'Strokes' }).check({ force: true })
    await shot(page, 'variations-choice')
    await dialog.getByRole('button', { name: 'Make 4 pictures' }).click()
    await dialog.getByText('4 of 4 are done').waitFor({ timeout: 60_000 })
    assert.deepEqual(
      bodies.map((b) => [b.preset, b.style_scale]),
      [0.5, 0.8, 1.2, 1.8].map((s) => ['draft', s]),
    )
    await until('four pictures', () =>
      dialog
        .locator('img')
        .evaluateAll((all) => all.filter((i) => i.naturalWidth > 0).length === 4),
    )
    await accessible(page, 'variations')
    await shot(page, 'variations')
    assert.equal(await page.locator('[data-test=task]').count(), 0, 'the list has only tasks')
    await dialog.getByRole('button', { name: /^1.8 ×/ }).click()
    await dialog.getByRole('button', { name: 'Use its settings' }).click()
    await dialog.waitFor({ state: 'detached' })
    const { values, preset } = await draftOf(page)
    assert.deepEqual([values, preset], [{ strokes: 1.8 }, ''])
    await until('no small pictures', async () => (await results(server)).length === before)
    await close(page)
  })

  await test('a variation is made large as it is seen, and the others are given up', async () => {
    const page = await open(browser, server, { expect: [/404.*\/preview\?/] })
    const bodies = record(page)
    await photograph(page, 96, 64)
    await style(page, 'Munch')
    await button(page, 'Variations').click()
    const dialog = page.getByRole('dialog', { name: 'Variations' })
    await dialog.getByRole('radio', { name: 'Chance' }).check({ force: true })
    await dialog.getByRole('radio', { name: '9' }).check({ force: true })
    await dialog.getByRole('button', { name: 'Make 9 pictures' }).click()
    await dialog.getByRole('button', { name: /^Chance 2: Done/ }).click({ timeout: 60_000 })
    await dialog.getByRole('button', { name: 'Make it large' }).click()
    await dialog.waitFor({ state: 'detached' })
    await until('the large one alone', async () => {
      const all = await server.json('/api/tasks')
      return all.length === 1 && all[0].task_id === idOf(page)
    })
    const last = bodies.at(-1)
    assert.equal(last.size, 512)
    assert.match(last.init_image, /^[0-9a-f]{32}\.png$/)
    await button(page, 'Cancel the task').click()
    await status(page).filter({ hasText: 'Cancelled' }).waitFor()
    await close(page)
  })

  await test('a full queue is said in words, and the rest of a grid follows', async () => {
    const busy = await new Server(work, 'busy', ['--max-tasks', '1', '--max-queue', '2']).start()
    try {
      const page = await open(browser, busy, { expect: [/429/, /404.*\/preview\?/] })
      await photograph(page, 64, 32)
      await style(page, 'Munch')
      await button(page, 'Variations').click()
      const dialog = page.getByRole('dialog', { name: 'Variations' })
      await dialog.getByRole('radio', { name: '9' }).check({ force: true })
      await dialog.getByRole('button', { name: 'Make 9 pictures' }).click()
      await dialog.getByText(/The queue is full. The rest follows in \d+ s./).waitFor()
      await dialog.getByText('9 of 9 are done').waitFor({ timeout: 90_000 })
      await dialog.getByRole('button', { name: 'Other variations' }).click()
      await dialog.getByRole('button', { name: 'Make 9 pictures' }).click()
      await until('tasks', async () => (await busy.json('/api/tasks')).length > 1)
      await dialog.getByRole('button', { name: 'Cancel all' }).click()
      await until('none', async () => (await busy.json('/api/tasks')).length === 0)
      await close(page)
    } finally {
      await busy.kill()
    }
  })
}

async function larger(browser, server) {
  await test('a result is made larger from itself, with the same settings', async () => {
    const page = await open(browser, server, { expect: [/404.*\/preview\?/] })
    const bodies = record(page)
    await photograph(page, 256, 64)
    await style(page, 'Munch')
    await page.getByRole('radio', { name: /^Draft/ }).check({ force: true })
    await page.getByRole('slider', { name: 'Strength' }).fill('90')
    await start(page)
    await waitDone(page)
    const first = idOf(page)
    await button(page, 'Make it larger: 1024 px').click()
    await until('another task', () => idOf(page) !== first)
    assert.equal(bodies[1].init_image, `${first}.png`)
    assert.deepEqual([bodies[1].size, bodies[1].scales, bodies[1].strength], [1024, 'none', 0.9])
    await waitDone(page, 150_000)
    const result = (await server.json(`/api/progress/${idOf(page)}`)).output_url
    assert.deepEqual(
      await page.evaluate(async (url) => {
        const bitmap = await createImageBitmap(await (await fetch(url)).blob())
        return [bitmap.width, bitmap.height]
      }, result),
      [1024, 256],
    )
    await button(page, 'Make it larger: 2048 px').waitFor()
    await close(page)
  })
}

async function returned(browser, server) {
  await test('a result that is chosen brings its settings back, another PNG is a photograph', async () => {
    const page = await open(browser, server, { expect: [/404.*\/preview\?/] })
    await photograph(page, 96, 64)
    await style(page, 'Munch')
    await style(page, 'Hokusai')
    await page.getByRole('radio', { name: /^Draft/ }).check({ force: true })
    await page.getByRole('slider', { name: 'Strength' }).fill('70')
    await start(page)
    await waitDone(page)
    const { output_url } = await server.json(`/api/progress/${idOf(page)}`)
    const before = await draftOf(page)
    const result = Buffer.from(await (await fetch(server.url + output_url)).arrayBuffer())
    await close(page)

    const other = await open(browser, server)
    await photograph(other, 80, 64)
    const { content } = await draftOf(other)
    assert.deepEqual((await draftOf(other)).styles, [])
    await choose(other, file('nst.png', result))
    await other.getByText('This is a result: its settings are back.').waitFor()
    const now = await draftOf(other)
    assert.deepEqual([now.preset, now.values], ['draft', { strength: 0.7 }])
    assert.deepEqual(
      now.styles.map((s) => [s.name, s.weight]),
      before.styles.map((s) => [s.name, s.weight]),
    )
    assert.equal(now.content, content)
    await button(other, 'Use it as the photograph').click()
    await until('it as the photograph', async () => (await draftOf(other)).content !== content)
    await close(other)
  })
}

/** The names in a ZIP archive, from its directory. */
function zipNames(zip) {
  const names = []
  for (let at = zip.indexOf('PK\x01\x02'); at >= 0; at = zip.indexOf('PK\x01\x02', at + 1))
    names.push(zip.toString('utf8', at + 46, at + 46 + zip.readUInt16LE(at + 28)))
  return names.sort()
}

async function batches(browser, server) {
  const three = [
    file('one.png', waves(96, 64)),
    file('none.png', Buffer.from('this is no picture')),
    file('two.png', waves(64, 96)),
  ]

  await test('several photographs are a batch with one progress, and a zip at the end', async () => {
    const page = await open(browser, server, { expect: [/415/, /404.*\/preview\?/] })
    await choose(page, ...three)
    const panel = page.locator('[data-test=batch]')
    await panel.getByText('1 could not be painted').waitFor()
    await panel.getByText('The server cannot read this file as a picture.').waitFor()
    await button(page, 'Start all 3').click()
    await page.getByText('Now choose a style.').first().waitFor()
    await style(page, 'Munch')
    await page.getByText(/2 of 3 are on the server · Munch/).waitFor()
    await set(page, 'Steps', 300)
    await set(page, 'Size', 192)
    await button(page, 'Start all 3').click()
    const percent = async () =>
      parseInt(await page.locator('[data-test=batch-percent]').innerText(), 10)
    await until('progress', async () => (await percent()) > 35)
    await panel.getByText(/about .* left/).waitFor()
    await page.reload()
    await panel.getByText('Being painted').first().waitFor()
    await shot(page, 'batch')
    await panel.getByText('2 of 3 are done').waitFor({ timeout: 90_000 })
    assert.equal(await percent(), 100)
    await accessible(page, 'batch')
    const saved = page.waitForEvent('download')
    await button(page, 'Download all').click()
    const zip = readFileSync(await (await saved).path())
    assert.deepEqual(zipNames(zip), ['one.png', 'two.png'])
    await panel.getByRole('link', { name: /one\.png/ }).click()
    await waitDone(page)
    await panel.getByRole('button', { name: 'Close' }).click()
    await panel.waitFor({ state: 'detached' })
    await close(page)
  })

  await test('a batch is cancelled, and stopped with what there is', async () => {
    const page = await open(browser, server, { expect: [/404.*\/preview\?/] })
    const panel = page.locator('[data-test=batch]')
    const long = async (name) => {
      await choose(page, file(`${name}1.png`, waves(96, 64)), file(`${name}2.png`, waves(64, 96)))
      await button(page, 'Start all 2').click()
      await until('two tasks', async () => (await server.json('/api/tasks')).length === 2)
    }
    await style(page, 'Munch')
    await set(page, 'Steps', 1000)
    await set(page, 'Size', 256)
    await long('a')
    await panel.getByRole('button', { name: 'Cancel all' }).click()
    await until('no task', async () => (await server.json('/api/tasks')).length === 0)
    await until('two cancelled', async () => (await panel.getByText('Cancelled').count()) === 2)
    const before = (await results(server)).length
    await long('b')
    await until('steps', async () =>
      (await server.json('/api/tasks')).some((one) => one.status === 'running' && one.progress > 2),
    )
    await panel.getByRole('button', { name: 'Stop here and keep what there is' }).click()
    await until('no task', async () => (await server.json('/api/tasks')).length === 0)
    await panel.getByText(/[12] of 2 are done/).waitFor()
    assert.ok((await results(server)).length > before)
    await close(page)
  })

  await test('a batch survives a server that goes', async () => {
    const page = await open(browser, server, { expect: [/ERR_|Failed to load|404/] })
    const panel = page.locator('[data-test=batch]')
    await style(page, 'Munch')
    await set(page, 'Steps', 5)
    await set(page, 'Size', 64)
    await server.kill('SIGKILL')
    await choose(page, file('c1.png', waves(96, 64)), file('c2.png', waves(64, 96)))
    await page.getByText('The server cannot be reached.').first().waitFor()
    // the browser keeps what is not sent
    await until('files', () =>
      page.evaluate(
        () =>
          new Promise((done) => {
            const r = indexedDB.open('nst')
            r.onsuccess = () => {
              const all = r.result.transaction('files').objectStore('files').count()
              all.onsuccess = () => done(all.result === 2)
            }
          }),
      ),
    )
    await server.start()
    await page.reload()
    await panel.getByText('Sent', { exact: true }).nth(1).waitFor()
    await button(page, 'Start all 2').click()
    await panel.getByText('2 of 2 are done').waitFor({ timeout: 60_000 })
    await close(page)
  })
}

async function stop(browser, server) {
  await test('a task is stopped, and its picture so far is the result', async () => {
    const page = await open(browser, server, { expect: [/404.*\/preview\?/] })
    await chooseContent(page, picture('van-gogh.jpg'))
    await style(page, 'Munch')
    await set(page, 'Steps', 1000)
    await set(page, 'Size', 256)
    await start(page)
    await button(page, 'Stop here and keep it').click({ timeout: 30_000 })
    await waitDone(page)
    const { stopped_at_step } = await server.json(`/api/progress/${idOf(page)}`)
    assert.ok(stopped_at_step >= 1 && stopped_at_step < 1000)
    await close(page)
  })
}

export async function play(browser, work) {
  const server = await new Server(work, 'play', ['--min-steps', '1']).start()
  try {
    await settings(browser, server)
    await variations(browser, server, work)
    await larger(browser, server)
    await returned(browser, server)
    await batches(browser, server)
    await stop(browser, server)
  } finally {
    await server.kill()
  }
}
