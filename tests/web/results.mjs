// The page of a result: the slider, a closer look, figures, files, links and deletion.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { accessible, close, open, picture, shot, status, waitDone } from './browser.mjs'
import { Server } from './server.mjs'
import { test, until } from './tap.mjs'

/** Upload a picture of the page as content or style; its name on the server. */
async function upload(server, what, file) {
  const form = new FormData()
  form.append(`${what}_image`, new Blob([readFileSync(picture(file))]), 'a')
  const sent = await fetch(`${server.url}/api/upload-${what}`, { method: 'POST', body: form })
  return (await sent.json()).filename
}

/** Paint the sample; the ID of the task. */
async function paint(server, styles, size) {
  const { task_id: id } = await server.json('/api/style-transfer', {
    content_image: await upload(server, 'content', 'sample.jpg'),
    styles: styles.map((name) => ({ name })),
    num_steps: 2,
    size,
    scales: 'none',
  })
  await until('a result', async () => {
    const { status, error } = await server.json(`/api/progress/${id}`)
    assert.notEqual(status, 'failed', error)
    return status === 'completed'
  })
  return id
}

/** The element's position in device pixels, and the picture's own sides. */
const placed = (page) =>
  page.locator('[data-test=close]').evaluate((e) => {
    const b = e.getBoundingClientRect()
    const at = [b.left, b.top, b.width, b.height].map((n) => n * devicePixelRatio)
    return { at, sides: [e.naturalWidth, e.naturalHeight] }
  })

const press = (page, name) => page.getByRole('button', { name }).click()

async function download(page, click) {
  const [file] = await Promise.all([page.waitForEvent('download'), click()])
  return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) }
}

/** The types of the chunks of a PNG. */
function chunks(png) {
  assert.equal(png.toString('latin1', 1, 4), 'PNG')
  const types = []
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at))
    types.push(png.toString('latin1', at + 4, at + 8))
  return types
}

/** The segments of a JPEG up to its pixels. */
function segments(jpeg) {
  assert.equal(jpeg.readUInt16BE(0), 0xffd8)
  const types = []
  for (let at = 2; jpeg[at + 1] !== 0xda; at += 2 + jpeg.readUInt16BE(at + 2))
    types.push(jpeg[at + 1])
  return types
}

async function looking(browser, server, id) {
  await test('the slider is first and large, goes with keys, and hides no picture', async () => {
    for (const [width, height] of [
      [1280, 800],
      [390, 844],
    ]) {
      const page = await open(browser, server, {
        path: `/#/task/${id}`,
        context: { viewport: { width, height } },
      })
      await waitDone(page)
      const after = page.locator('[data-test=after]')
      await until('the picture', () => after.evaluate((e) => e.complete && e.naturalWidth > 0))
      const box = await after.boundingBox()
      const stage = await page.locator('#stage').boundingBox()
      const room = Math.min(stage.width - 34, ((height - 240) * 3) / 2)
      assert.ok(box.width > room - 4, `${box.width} of ${room} pixels`)
      assert.ok(box.y < height / 4)
      const slider = page.getByRole('slider', { name: 'How much of the result is seen' })
      await slider.focus()
      for (let i = 0; i < 10; i++) await page.keyboard.press('ArrowLeft')
      const clip = () => after.evaluate((e) => e.style.clipPath)
      await until('the slider', async () => /inset\(0(px)? 0(px)? 0(px)? 40%\)/.test(await clip()))
      await page.keyboard.press('Home')
      await until('all of it', async () => /0%?\)$/.test(await clip()))
      assert.equal(await page.getByText('Before', { exact: true }).isVisible(), false)
      await close(page)
    }
  })

  await test('a closer look is 1:1 on every screen, and tells the true percent', async () => {
    for (const deviceScaleFactor of [1, 1.5, 3]) {
      const page = await open(browser, server, {
        path: `/#/task/${id}`,
        context: { viewport: { width: 900, height: 700 }, deviceScaleFactor },
      })
      await waitDone(page)
      await press(page, 'Look closely')
      const figure = page.locator('[data-test=zoom]')
      await until('a picture that fits', async () => /^Fit · \d+ %$/.test(await figure.innerText()))
      const fit = await placed(page)
      const percent = (p) => Math.round((100 * p.at[2]) / p.sides[0])
      assert.equal(await figure.innerText(), `Fit · ${percent(fit)} %`)
      await page.keyboard.press('1')
      await until('1:1', async () => (await figure.innerText()) === '100 %')
      const one = await placed(page)
      assert.deepEqual(one.at.slice(2).map(Math.round), one.sides)
      for (const n of one.at.slice(0, 2)) assert.ok(Math.abs(n - Math.round(n)) < 0.05, `at ${n}`)
      await page.keyboard.press('0')
      await until('fit', async () => (await figure.innerText()).startsWith('Fit'))
      await page.getByRole('button', { name: /^1:1/ }).click()
      await until('1:1', async () => (await figure.innerText()) === '100 %')
      await page.getByRole('button', { name: 'Fit', exact: true }).click()
      await until('fit', async () => (await figure.innerText()).startsWith('Fit'))
      await close(page)
    }
  })

  await test('a closer look is zoomed by wheel, keys and double click, and panned', async () => {
    const page = await open(browser, server, { path: `/#/task/${id}` })
    await waitDone(page)
    await press(page, 'Look closely')
    const figure = page.locator('[data-test=zoom]')
    const percent = async () => Number((await figure.innerText()).match(/(\d+) %/)[1])
    await until('a picture', async () => (await percent()) > 100)
    const fit = await percent()
    await page.mouse.move(700, 400)
    await page.mouse.wheel(0, -100)
    await until('closer', async () => Math.abs((await percent()) - fit * Math.exp(0.18)) <= 1)
    await page.mouse.wheel(0, 100)
    await page.keyboard.press('+')
    await until('140 %', async () => Math.abs((await percent()) - 1.4 * fit) <= 1)
    const before = (await placed(page)).at
    await page.keyboard.press('ArrowRight')
    assert.equal((await placed(page)).at[0], before[0] - 60)
    await page.mouse.down()
    await page.mouse.move(720, 390)
    await page.mouse.up()
    const after = (await placed(page)).at
    assert.deepEqual([after[0], after[1]], [before[0] - 40, before[1] - 10])
    await page.mouse.dblclick(700, 400)
    await until('fit', async () => (await figure.innerText()).startsWith('Fit'))
    await page.mouse.dblclick(700, 400)
    await until('twice', async () => Math.abs((await percent()) - 2 * fit) <= 1)
    await page.locator('[role=application]').focus()
    await page.keyboard.press('Space')
    await page.getByRole('button', { name: 'Show the result' }).waitFor()
    assert.match(await page.locator('[data-test=close]').getAttribute('src'), /\/renditions\//)
    assert.ok(Math.abs((await percent()) - 2 * fit) <= 1, 'the photograph takes the same place')
    await accessible(page, 'a closer look')
    await page.keyboard.press('f')
    await until('the whole screen', () => page.evaluate(() => document.fullscreenElement !== null))
    await page.keyboard.press('f')
    await until('the window', () => page.evaluate(() => document.fullscreenElement === null))
    await page.keyboard.press('Escape')
    await until('the focus back', () =>
      page
        .getByRole('button', { name: 'Look closely' })
        .evaluate((e) => e === document.activeElement),
    )
    await close(page)
  })

  await test('a dialog that cannot be loaded is told, and opens once the server is back', async () => {
    const page = await open(browser, server, { expect: [/ERR_FAILED/, /dynamically imported/] })
    for (const name of ['Look closely', 'Variations']) {
      const button = page.locator('#stage').getByRole('button', { name })
      await page.route(/\/(Zoom|Share|Download|Variations)Dialog-/, (route) => route.abort())
      await page.goto(`${server.url}/#/task/${id}`)
      await page.reload()
      await waitDone(page)
      await button.click()
      await page.getByText('The server cannot be reached.').waitFor()
      await page.unrouteAll()
      await page.waitForTimeout(2500) // it does not open by itself
      assert.equal(await page.getByRole('dialog').count(), 0)
      await page.getByRole('button', { name }).last().click()
      await page.getByRole('dialog', { name }).waitFor()
    }
    await close(page)
  })

  await test('two fingers zoom and move a closer look', async () => {
    const page = await open(browser, server, {
      path: `/#/task/${id}`,
      context: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
    })
    await waitDone(page)
    await page.getByRole('button', { name: 'Look closely' }).tap()
    const figure = page.locator('[data-test=zoom]')
    await until('a picture', async () => /\d/.test(await figure.innerText()))
    const percent = async () => Number((await figure.innerText()).match(/(\d+) %/)[1])
    const fit = await percent()
    const cdp = await page.context().newCDPSession(page)
    const touch = (type, ...points) =>
      cdp.send('Input.dispatchTouchEvent', {
        type,
        touchPoints: points.map(([x, y], id) => ({ x, y, id })),
      })
    await touch('touchStart', [150, 400], [250, 400])
    for (let i = 1; i <= 10; i++) await touch('touchMove', [150 - 5 * i, 400], [250 + 5 * i, 400])
    await touch('touchEnd')
    await until('twice', async () => Math.abs((await percent()) - 2 * fit) <= 2 * fit * 0.05)
    const before = (await placed(page)).at
    await touch('touchStart', [200, 400])
    for (let i = 1; i <= 5; i++) await touch('touchMove', [200 + 10 * i, 400])
    await touch('touchEnd')
    await until('moved', async () => Math.abs((await placed(page)).at[0] - before[0] - 50) < 16)
    await close(page)
  })
}

async function names(browser, server) {
  await test('the longest name of a style makes nothing wider than the window', async () => {
    const own = await upload(server, 'style', 'van-gogh.jpg')
    const id = await paint(server, [own, 'munch'], 64)
    const label = 'Anameofastylethatsomebodyhasuploadedwithoutanyblankbetweenits'
    for (const width of [320, 1280, 1920]) {
      const page = await open(browser, server, {
        path: `/#/task/${id}`,
        prefs: { labels: { [own]: label } },
        context: { viewport: { width, height: 700 } },
      })
      await waitDone(page)
      await page.locator('bdi', { hasText: `${label} + Munch` }).waitFor()
      const wide = await page.evaluate(() =>
        [...document.querySelectorAll('main *')]
          .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
          .map((e) => e.outerHTML.slice(0, 120)),
      )
      assert.deepEqual(wide, [], `at ${width}`)
      await close(page)
    }
  })
}

async function figures(browser, server, id) {
  await test('how close it is to the photograph is asked for when opened, and told in words', async () => {
    const page = await open(browser, server, { path: `/#/task/${id}` })
    let asked = 0
    page.on('request', (r) => (asked += r.url().endsWith('/quality') ? 1 : 0))
    await waitDone(page)
    const fold = page.locator('[data-test=closeness]')
    await fold.waitFor()
    assert.equal(await fold.evaluate((e) => e.open), false)
    await page.waitForLoadState('networkidle')
    assert.equal(asked, 0)
    await fold.locator('summary').focus()
    await page.keyboard.press('Enter')
    const shown = fold.locator('[data-test=figure]')
    await until('three figures', async () => (await shown.count()) === 3, 60_000)
    const q = await server.json(`/api/tasks/${id}/quality`)
    assert.deepEqual(
      await shown.allInnerTexts(),
      [q.ssim, q.colour_consistency, q.perceptual_distance / 4].map(
        (v) => `${Math.round(100 * Math.min(1, Math.max(0, v)))} %`,
      ),
    )
    const text = await fold.innerText()
    assert.match(text, /not how good the picture is/)
    assert.doesNotMatch(text, /Overall|Quality|dB/)
    await accessible(page, 'the figures')
    await close(page)
  })
}

async function files(browser, server, id) {
  await test('a result is downloaded as PNG, as JPEG, and without its settings', async () => {
    const page = await open(browser, server, { path: `/#/task/${id}` })
    await waitDone(page)
    await page.locator('bdi', { hasText: 'Van Gogh + Munch' }).waitFor()
    const link = page.getByRole('link', { name: 'Download' })
    const whole = await download(page, () => link.click())
    assert.equal(whole.name, 'nst-van-gogh-munch.png')
    assert.ok(chunks(whole.bytes).includes('zTXt'), 'the settings are in it')

    const dialog = page.getByRole('dialog', { name: 'Download' })
    const size = dialog.locator('[data-test=size]')
    const save = dialog.getByRole('button', { name: 'Download' })
    const text = (bytes) => `Size: ${Math.round(bytes / 1000)} kB`
    await press(page, 'Other formats')
    await until('a size', async () => (await size.innerText()) === text(whole.bytes.length))
    await accessible(page, 'the formats')
    await dialog.getByRole('checkbox', { name: 'Without the settings' }).check()
    await until('less', async () => (await save.getAttribute('href'))?.startsWith('blob:'))
    const first = await save.getAttribute('href')
    await dialog.getByRole('checkbox', { name: 'Without the settings' }).uncheck()
    await until('another', async () => (await save.getAttribute('href')) !== first)
    await dialog.getByRole('checkbox', { name: 'Without the settings' }).check()
    await page.waitForTimeout(100)
    const bare = await download(page, () => save.click())
    assert.equal(bare.name, whole.name)
    for (const type of chunks(bare.bytes)) assert.match(type, /^(IHDR|iCCP|sRGB|IDAT|IEND)$/)
    assert.ok(bare.bytes.length < whole.bytes.length)
    await until('the end of the dialog', async () => (await dialog.count()) === 0)

    await press(page, 'Other formats')
    await dialog.getByRole('radio', { name: /JPEG/ }).check({ force: true })
    const quality = dialog.getByRole('slider', { name: 'Quality' })
    const sizes = []
    for (const value of [40, 95]) {
      const before = await save.getAttribute('href')
      await quality.fill(String(value))
      await until('another file', async () => (await save.getAttribute('href')) !== before)
      sizes.push(parseFloat((await size.innerText()).replace('Size: ', '')))
    }
    assert.ok(sizes[0] < sizes[1], String(sizes))
    const jpeg = await download(page, () => save.click())
    assert.equal(jpeg.name, 'nst-van-gogh-munch.jpg')
    assert.equal(sizes[1], Math.max(1, Math.round(jpeg.bytes.length / 1000)))
    for (const type of segments(jpeg.bytes))
      // no APP1 to APP15 but ICC, no comment
      assert.ok(type === 0xe0 || type === 0xe2 || type < 0xe0, type.toString(16))
    const [one, other] = await page.evaluate(
      (all) =>
        Promise.all(
          all.map(async ([type, bytes]) => {
            const blob = new Blob([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], { type })
            const { width, height } = await createImageBitmap(blob)
            return `${width}x${height}`
          }),
        ),
      [
        ['image/png', bare.bytes.toString('base64')],
        ['image/jpeg', jpeg.bytes.toString('base64')],
      ],
    )
    assert.equal(one, other)
    await close(page)
  })

  await test('a result is copied to the clipboard', async () => {
    const page = await open(browser, server, { path: `/#/task/${id}` })
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await waitDone(page)
    await press(page, 'Copy the picture')
    await page.getByText('The picture is in the clipboard.').waitFor()
    const sides = await page.evaluate(async () => {
      const [item] = await navigator.clipboard.read()
      const { width, height } = await createImageBitmap(await item.getType('image/png'))
      return `${width}x${height}`
    })
    assert.equal(sides, '200x133')
    await close(page)
  })
}

async function sharing(browser, server, id, work) {
  const field = (page) => page.getByRole('textbox', { name: 'Link to the picture' })

  await test('a link is made on request, opens for strangers, and ends', async () => {
    const page = await open(browser, server, {
      path: `/#/task/${id}`,
      expect: [/404/], // the link that has ended
    })
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await waitDone(page)
    await press(page, 'Share…')
    await page.getByRole('button', { name: 'Make a link' }).waitFor()
    assert.deepEqual(await server.json(`/api/tasks/${id}/share`), { url: null })
    await accessible(page, 'sharing')
    await press(page, 'Make a link')
    await field(page).waitFor()
    const link = await field(page).inputValue()
    assert.match(link, /^http:\/\/127\.0\.0\.1:\d+\/share\/[0-9a-f]{32}$/)
    await press(page, 'Copy the link')
    await page.getByText('The link is in the clipboard.').waitFor()
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), link)
    await accessible(page, 'a link')

    // a stranger, also without scripts
    for (const javaScriptEnabled of [true, false])
      for (const colorScheme of ['light', 'dark']) {
        const other = await open(browser, server, {
          path: new URL(link).pathname,
          context: { javaScriptEnabled, colorScheme },
        })
        const image = other.locator('img')
        await until('the picture', () =>
          javaScriptEnabled
            ? image.evaluate((e) => e.complete && e.naturalWidth === 200)
            : image.isVisible(),
        )
        const box = await image.boundingBox()
        assert.ok(box.width > 380 && box.width < 410, `${box.width}: twice its size`)
        assert.equal(await other.locator('h1').innerText(), 'In the style of Van Gogh + Munch')
        assert.equal(await other.locator('a, form, script, button').count(), 0)
        if (javaScriptEnabled) await accessible(other, 'a shared picture')
        await shot(other, `shared-${colorScheme}`)
        await close(other)
      }

    await page.keyboard.press('Escape')
    await page.reload()
    await press(page, 'Share…')
    await field(page).waitFor() // the link is still there
    assert.equal(await field(page).inputValue(), link)
    await press(page, 'Stop sharing')
    await page.getByRole('button', { name: 'Make a link' }).waitFor()
    assert.equal((await fetch(link)).status, 404)
    await page.goto(link)
    await page.getByRole('heading', { name: 'This picture is not shared' }).waitFor()
    await close(page)
  })

  await test('the sheet of the system gets the link and the picture', async () => {
    const page = await open(browser, server, {
      path: '/openapi.json', // to begin with
    })
    await page.addInitScript(() => {
      window.sent = []
      navigator.canShare = ({ files }) => files.every((f) => f.type === 'image/png')
      navigator.share = async ({ url, files }) => {
        window.sent.push(url ?? `${files[0].name} ${files[0].size}`)
        throw new DOMException('closed', 'AbortError') // by the user, which is no fault
      }
    })
    await page.goto(`${server.url}/#/task/${id}`)
    await waitDone(page)
    await press(page, 'Share…')
    await press(page, 'Send the picture…')
    await press(page, 'Make a link')
    await press(page, 'Send the link…')
    const sent = await page.evaluate(() => window.sent)
    assert.match(sent[0], /^nst-van-gogh-munch\.png \d+$/)
    assert.equal(sent[1], await field(page).inputValue())
    await close(page)
  })

  await test('a server without links says so, and another fault is told with a way on', async () => {
    const off = await new Server(work, 'no-links', [
      '--max-shares',
      '0',
      '--min-steps',
      '1',
    ]).start()
    try {
      const one = await paint(off, ['munch'], 64)
      let page = await open(browser, off, { path: `/#/task/${one}`, expect: [/403/] })
      await waitDone(page)
      await press(page, 'Share…')
      await page.getByText('This server makes no links').waitFor()
      assert.equal(await page.getByRole('button', { name: 'Make a link' }).count(), 0)
      await close(page)
      await off.kill()
      await off.start(['--max-shares', '1', '--min-steps', '1'])
      const two = await paint(off, ['munch'], 64)
      assert.match((await off.json(`/api/tasks/${one}/share`, {})).url, /share/)
      page = await open(browser, off, { path: `/#/task/${two}`, expect: [/507/] })
      await waitDone(page)
      await press(page, 'Share…')
      await press(page, 'Make a link')
      await page.getByText('Stop sharing another one first').waitFor()
      await close(page)
    } finally {
      await off.kill()
    }
  })
}

async function deletion(browser, server) {
  await test('one result is deleted, with undo, and at the latest when the page is left', async () => {
    const id = await paint(server, ['munch'], 64)
    const there = async () =>
      Object.values(await server.json('/api/history'))
        .flat()
        .some((e) => e.task_id === id)
    const page = await open(browser, server, { path: `/#/task/${id}`, expect: [/404/] })
    await waitDone(page)
    await press(page, 'Delete this result')
    await page.getByText('The result is deleted.').waitFor()
    await until('an empty stage', async () => (await status(page).count()) === 0)
    await press(page, 'Undo')
    await waitDone(page)
    assert.ok(await there())
    await press(page, 'Delete this result')
    await page.goto(`${server.url}/#/gallery`)
    await page.reload() // runs pending deletions
    await until('its end', async () => !(await there()))
    await page.goto(`${server.url}/#/task/${id}`)
    await status(page).filter({ hasText: 'Not on the server' }).waitFor()
    await close(page)
  })
}

export async function results(browser, server, work) {
  const own = await new Server(work, 'results', ['--min-steps', '1']).start()
  try {
    const id = await paint(own, ['van-gogh', 'munch'], 200)
    await looking(browser, own, id)
    await names(browser, own)
    await figures(browser, own, id)
    await files(browser, own, id)
    await sharing(browser, own, id, work)
    await deletion(browser, own)
  } finally {
    await own.kill()
  }
}
