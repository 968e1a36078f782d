// The gallery: looking, choosing, comparing, downloading, deleting, with keys, and at length.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { accessible, close, open, picture, shot, tabTo, waitDone } from './browser.mjs'
import { Server } from './server.mjs'
import { note, test, until } from './tap.mjs'

const tiles = (page) => page.locator('[data-test=entry]')
const check = (page, n) => tiles(page).nth(n).locator('[data-check]').click()
const bar = (page) => page.locator('[data-test=selection]')
const labels = (page) => tiles(page).evaluateAll((all) => all.map((e) => e.ariaLabel))
const focused = (page) => page.evaluate(() => document.activeElement.ariaLabel ?? '')
const press = (page, name) => page.getByRole('button', { name, exact: true }).click()

async function count(page, n) {
  await until(`${n} tiles`, async () => (await tiles(page).count()) === n)
}

/** Two photographs, and three small pictures of each. */
async function paint(server) {
  for (const file of ['sample.jpg', 'van-gogh.jpg']) {
    const form = new FormData()
    form.append('content_image', new Blob([readFileSync(picture(file))]), file)
    const r = await fetch(`${server.url}/api/upload-content`, { method: 'POST', body: form })
    const { filename } = await r.json()
    for (const [name, preset] of [
      ['munch', 'draft'],
      ['hokusai', 'draft'],
      ['munch', 'classic'],
    ]) {
      const { task_id: id } = await server.json('/api/style-transfer', {
        content_image: filename,
        styles: [{ name, weight: 50 }],
        preset,
        num_steps: 100,
        size: 96,
      })
      await until(
        'a result',
        async () => (await server.json(`/api/progress/${id}`)).status === 'completed',
        60_000,
      )
    }
  }
}

/** Copies of the results of a server that does not run, each ten minutes older. */
function copyResults(data, copies) {
  const read = (f) => JSON.parse(readFileSync(join(data, 'tasks', f)))
  const tasks = readdirSync(join(data, 'tasks')).map(read)
  const styles = ['van-gogh', 'munch', 'hokusai', 'kandinsky', 'monet', 'klimt', 'seurat']
  for (let i = 0; i < copies; i++) {
    const of = tasks[i % tasks.length]
    const id = randomBytes(16).toString('hex')
    const task = { ...of, output_img: `${id}.png`, style_img: styles[i % 7], number: 100 + i }
    task.styles = [{ name: task.style_img, weight: 50 }]
    for (const time of ['created', 'started', 'finished']) task[time] -= 1000 + 600 * i
    writeFileSync(join(data, 'tasks', `${id}.json`), JSON.stringify(task))
    for (const [folder, end] of [
      ['results', 'png'],
      ['thumbs', 'png.jpg'],
      ['owners', 'png'],
    ]) {
      const from = join(data, folder, of.output_img.replace('png', end))
      if (existsSync(from)) copyFileSync(from, join(data, folder, `${id}.${end}`))
    }
  }
}

async function looking(browser, server) {
  await test('the gallery shows equal tiles, and says what tells results apart', async () => {
    const page = await open(browser, server, { path: '/#/gallery' })
    await count(page, 6)
    const sizes = await tiles(page).evaluateAll((all) =>
      all.map((e) => [e.offsetWidth, e.offsetHeight].join('x')),
    )
    assert.equal(new Set(sizes).size, 1, sizes.join(' '))
    const said = await labels(page)
    assert.match(said[0], /^Munch, Classic · 96 px · 100 steps, No rating, /)
    assert.match(said[1], /^Hokusai, Draft · 96 px · 100 steps, No rating, /)
    const hover = () =>
      tiles(page)
        .first()
        .evaluate((e) => getComputedStyle(e.firstElementChild, '::after').display)
    assert.equal(await hover(), 'none')
    await tiles(page).first().hover()
    await until('the settings', async () => (await hover()) === 'block')
    const widths = []
    for (const size of ['0', '1', '2']) {
      await page.getByRole('slider', { name: 'Tiles' }).fill(size)
      await page.waitForFunction(() => document.querySelector('[data-test=entry]'))
      widths.push((await tiles(page).first().boundingBox()).width)
    }
    assert.ok(widths[0] < widths[1] && widths[1] < widths[2], widths.join(' '))
    await page.reload()
    await count(page, 6)
    assert.equal((await tiles(page).first().boundingBox()).width, widths[2])
    await close(page)
  })

  await test('the gallery is searched, filtered and ordered, also on the way back', async () => {
    const page = await open(browser, server, { path: '/#/gallery' })
    await count(page, 6)
    const search = page.getByRole('searchbox')
    await search.fill('classic munch')
    await count(page, 2)
    await page.getByText('2 of 6 results').waitFor()
    await tiles(page).first().click()
    await waitDone(page)
    await page.goBack()
    await count(page, 2)
    assert.equal(await search.inputValue(), 'classic munch')
    await search.fill('nothing like that')
    await page.getByText('No result fits.').waitFor()
    await accessible(page, 'no result')
    await page.getByRole('button', { name: 'Show all' }).last().click()
    await count(page, 6)
    await page.getByLabel('Style', { exact: true }).selectOption('hokusai')
    await count(page, 2)
    await tiles(page).nth(1).focus()
    await page.keyboard.press('4')
    await page.getByLabel('Stars', { exact: true }).selectOption('4')
    await count(page, 1)
    assert.match((await labels(page))[0], /4 of 5 stars/)
    await press(page, 'Show all')
    await page.getByLabel('Order').selectOption('stars')
    await until('the stars first', async () => /^Hokusai.*4 of/.test((await labels(page))[0]))
    await page.getByLabel('Order').selectOption('style')
    await until('Hokusai first', async () =>
      (await labels(page)).slice(0, 2).every((l) => l.startsWith('Hokusai')),
    )
    await page.getByLabel('Date').selectOption('today')
    await count(page, 6)
    await page.getByLabel('Date').selectOption('range')
    await page.getByLabel('to', { exact: true }).fill('2020-01-01')
    await page.getByText('No result fits.').waitFor()
    await close(page)
  })

  await test('results are grouped by photograph', async () => {
    const page = await open(browser, server, { path: '/#/gallery' })
    await press(page, 'By photograph')
    const groups = page.locator('[data-test=group]')
    await until('two photographs', async () => (await groups.count()) === 2)
    assert.equal(await groups.nth(1).locator('[data-test=entry]').count(), 3)
    await accessible(page, 'grouped')
    await tiles(page).first().focus()
    await page.keyboard.press('ArrowDown')
    assert.equal(await focused(page), (await labels(page))[3])
    await shot(page, 'gallery-grouped')
    await close(page)
  })
}

async function choosing(browser, server) {
  await test('the gallery goes with keys alone: move, select, rate, open, and come back', async () => {
    const page = await open(browser, server, { path: '/#/gallery' })
    await count(page, 6)
    const all = await labels(page)
    await tabTo(page, tiles(page).first())
    assert.equal(await page.locator('[role=option][tabindex="0"]').count(), 1)
    await page.keyboard.press('ArrowRight')
    assert.equal(await focused(page), all[1])
    await page.keyboard.press('Space')
    await page.keyboard.press('Shift+ArrowRight')
    await page.keyboard.press('Shift+ArrowRight')
    await page.getByText('3 selected').first().waitFor()
    assert.equal(await page.locator('[aria-selected=true]').count(), 3)
    await page.keyboard.press('Control+a')
    assert.equal(await page.locator('[aria-selected=true]').count(), 6)
    await page.keyboard.press('Escape')
    assert.equal(await bar(page).count(), 0)
    await page.keyboard.press('End')
    assert.equal(await focused(page), all[5])
    await page.keyboard.press('2')
    await until('2 stars', async () => (await focused(page)).includes('2 of 5 stars'))
    await page.keyboard.press('0')
    await until('none', async () => (await focused(page)).includes('No rating'))
    await page.keyboard.press('Enter')
    await waitDone(page)
    assert.ok(page.url().includes('#/task/'))
    await close(page)
  })

  await test('a click opens, a mark, Shift and Control select, one selected shows details', async () => {
    const page = await open(browser, server, { path: '/#/gallery' })
    await count(page, 6)
    await check(page, 0)
    await page.locator('[data-test=details]').getByText('Classic · 96 px · 100 steps').waitFor()
    await page.getByRole('radio', { name: '3 of 5 stars' }).check({ force: true })
    await until('3 stars', async () => /3 of 5 stars/.test((await labels(page))[0]))
    await accessible(page, 'one selected')
    await tiles(page)
      .nth(2)
      .click({ modifiers: ['Shift'] })
    await page.getByText('3 selected').first().waitFor()
    await tiles(page)
      .nth(1)
      .click({ modifiers: ['Control'] })
    await page.getByText('2 selected').first().waitFor()
    await shot(page, 'gallery')
    await press(page, 'Compare the two')
    const table = page.getByRole('table')
    await until('figures of both', async () => !(await table.innerText()).includes('…'), 60_000)
    assert.match(await table.innerText(), /Preset\s+Classic\s+Draft/)
    await page.getByRole('slider', { name: 'How much of the result is seen' }).waitFor()
    await shot(page, 'compare')
    await page.keyboard.press('Escape')
    await press(page, 'Select none')
    await check(page, 0)
    await check(page, 3)
    await press(page, 'Compare the two')
    await until('two side by side', async () => (await page.locator('dialog img').count()) === 2)
    await page.keyboard.press('Escape')
    await press(page, 'Select none')
    await check(page, 0)
    await press(page, 'Run again')
    const draft = () => page.evaluate(() => JSON.parse(localStorage.getItem('nst.draft')))
    await until('the draft', async () => (await draft()).values?.size === 96)
    assert.equal((await draft()).preset, 'classic')
    await close(page)
  })

  await test('a selection comes as a ZIP, whose files Python reads', async () => {
    const page = await open(browser, server, { path: '/#/gallery' })
    await count(page, 6)
    await check(page, 0)
    await press(page, 'Select all 6')
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      press(page, 'Download as ZIP'),
    ])
    assert.match(file.suggestedFilename(), /^nst-\d{4}-\d\d-\d\d\.zip$/)
    const script = `
import json, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
print(json.dumps([z.testzip(), [[i.filename, z.read(i)[1:4].decode()] for i in z.infolist()]]))`
    const said = execFileSync('python3', ['-c', script, await file.path()])
    const [bad, files] = JSON.parse(said)
    assert.equal(bad, null)
    assert.equal(files.length, 6)
    assert.ok(files.every(([name, kind]) => name.endsWith('.png') && kind === 'PNG'))
    assert.match(files[0][0], /^Munch, Classic, 96 px, \d{4}-\d\d-\d\d \d\d\.\d\d\.png$/)
    assert.equal(new Set(files.map(([name]) => name)).size, 6)
    await close(page)
  })
}

async function deleting(browser, server) {
  const left = async () => Object.values(await server.json('/api/history')).flat().length

  await test('a deletion keeps the focus, can be undone, and happens when the page is left', async () => {
    const page = await open(browser, server, { path: '/#/gallery', expect: [/404/] })
    await count(page, 6)
    const all = await labels(page)
    await tiles(page).nth(1).focus()
    await page.keyboard.press('Delete')
    await count(page, 5)
    await until('the next has the focus', async () => (await focused(page)) === all[2])
    await press(page, 'Undo')
    await count(page, 6)
    assert.equal(await left(), 6)
    await until('a focus in the grid', async () => all.includes(await focused(page)))
    await check(page, 0)
    await check(page, 5)
    await press(page, 'Delete')
    await count(page, 4)
    await page.getByText('2 results are deleted.').waitFor()
    await page.reload()
    await until('four on the server', async () => (await left()) === 4)
    await count(page, 4)
    await close(page)
  })

  await test('a photograph is deleted with all its results, and an empty gallery says so', async () => {
    const page = await open(browser, server, { path: '/#/gallery', expect: [/404/] })
    await press(page, 'By photograph')
    const bins = page.getByRole('button', { name: 'Delete the photograph with all its results' })
    await until('two photographs', async () => (await bins.count()) === 2)
    const second = await page.locator('[data-test=group]').nth(1).locator('[role=option]').count()
    await bins.first().click()
    await count(page, second)
    await page.keyboard.press('Control+a')
    await page.keyboard.press('Delete')
    await page.getByText('Nothing has been painted yet.').waitFor()
    assert.equal(await page.evaluate(() => document.activeElement.localName), 'h1')
    await accessible(page, 'an empty gallery')
    await page.reload()
    await until('none on the server', async () => (await left()) === 0)
    await close(page)
  })
}

async function small(browser, server) {
  await test('a phone has three tiles in a row, a bar that fits, and filters on demand', async () => {
    for (const [width, colorScheme] of [
      [390, 'light'],
      [320, 'dark'],
    ]) {
      const page = await open(browser, server, {
        path: '/#/gallery',
        context: {
          viewport: { width, height: 844 },
          hasTouch: true,
          isMobile: true,
          colorScheme,
        },
      })
      await count(page, 6)
      const tops = await tiles(page).evaluateAll((all) =>
        all.map((e) => Math.round(e.getBoundingClientRect().top)),
      )
      assert.equal(tops.filter((top) => top === tops[0]).length, 3)
      await tiles(page).nth(1).locator('[data-check]').tap()
      const box = await bar(page).boundingBox()
      assert.ok(box.x >= 0 && box.x + box.width <= width, JSON.stringify(box))
      await accessible(page, `one selected at ${width}`)
      await shot(page, `gallery-${width}-selected`)
      await tiles(page).nth(2).tap()
      await page.getByText('2 selected').first().waitFor()
      await page.getByRole('button', { name: 'Filters' }).tap()
      await page.getByLabel('Order').waitFor()
      assert.ok(
        await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
        'nothing is wider than the window',
      )
      await close(page)
    }
  })
}

/** CPU milliseconds of the page's main thread for each frame of a trace, in order of size. */
function cpuOfFrames(file) {
  const all = JSON.parse(readFileSync(file)).traceEvents
  const scroll = all.find((e) => e.name === 'EventDispatch' && e.args.data?.type === 'scroll')
  const here = all.filter((e) => e.pid === scroll.pid && e.tid === scroll.tid)
  const ends = here.filter((e) => e.name === 'Layerize').map((e) => e.ts)
  return here
    .filter((e) => e.name.endsWith('RunTask') && e.tdur > 0)
    .filter((e) => ends.some((ts) => ts > e.ts && ts < e.ts + e.dur))
    .map((e) => e.tdur / 1000)
    .sort((a, b) => a - b)
}

async function many(browser, server, work) {
  await test('1000 results are there at once, few of them in the document, and scroll', async () => {
    const page = await open(browser, server, {
      path: '/#/gallery',
      prefs: { gallery: { size: 'small' } },
    })
    await page.getByText('1000 results').waitFor()
    const [first, all] = await page.evaluate(() => {
      const of = performance.getEntriesByType('resource').filter((e) => /history/.test(e.name))
      return of.map((e) => ({ ms: e.duration, bytes: e.transferSize }))
    })
    note(`history: ${first.bytes} bytes for 60, ${all.bytes} for the others in ${all.ms | 0} ms`)
    assert.ok(all.bytes < 150_000, 'compressed')
    await tiles(page).first().hover()
    const trace = join(work, 'scroll.json')
    await browser.startTracing(page, { path: trace, categories: ['toplevel', 'devtools.timeline'] })
    let nodes = 0
    for (let last = -1; ;) {
      for (let i = 0; i < 12; i++) await page.mouse.wheel(0, 120)
      const now = await page.evaluate(() => [scrollY, document.querySelectorAll('*').length])
      nodes = Math.max(nodes, now[1])
      if (now[0] === last) break
      last = now[0]
    }
    await browser.stopTracing()
    const cpu = cpuOfFrames(trace)
    const at = (share) => cpu[Math.floor(share * (cpu.length - 1))].toFixed(1)
    note(
      `CPU ms of ${cpu.length} frames: median ${at(0.5)}, 95 % ${at(0.95)}, 99 % ${at(0.99)}, ` +
        `most ${at(1)}; elements: ${nodes}`,
    )
    assert.ok(nodes < 1500, `${nodes} elements`)
    assert.ok(cpu[Math.floor(0.95 * cpu.length)] < 25, 'frames take less than 25 ms of CPU time')
    const last = await page.evaluate(() => {
      const all = [...document.querySelectorAll('[data-test=entry]')]
      return all.at(-1).getAttribute('data-at')
    })
    assert.equal(last, '999')
    await page.keyboard.press('Home')
    await tabTo(page, page.locator('[role=option][tabindex="0"]'))
    await page.keyboard.press('End')
    await until('the last one', () =>
      page.evaluate(() => document.activeElement.ariaPosInSet === '1000'),
    )
    await page.keyboard.press('Control+a')
    await page.getByText('1000 selected').first().waitFor()
    await close(page)
  })
}

export async function gallery(browser, work) {
  const server = await new Server(work, 'gallery').start()
  try {
    await paint(server)
    await looking(browser, server)
    await choosing(browser, server)
    await small(browser, server)
    await server.kill('SIGTERM')
    copyResults(server.data, 994)
    await server.start()
    await many(browser, server, work)
    await server.kill()
  } finally {
    await server.kill()
  }
  const other = await new Server(work, 'gallery-deleted').start()
  try {
    await paint(other)
    await deleting(browser, other)
  } finally {
    await other.kill()
  }
}
