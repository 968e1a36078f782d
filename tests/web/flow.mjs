// The main workflow, with real transfers.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import {
  accessible,
  chooseContent,
  close,
  draftOf,
  mix,
  open,
  picture,
  set,
  shot,
  start,
  status,
  style,
  tabTo,
  waitDone,
} from './browser.mjs'
import { test, until } from './tap.mjs'

/** A picture of the page with other bytes, since the same bytes are the same upload. */
const variant = (file, text) => Buffer.concat([readFileSync(picture(file)), Buffer.from(text)])

/** Dispatch a drop or paste event with a file. */
const bring = (page, type, target, file) =>
  page.evaluate(
    async ([type, target, bytes]) => {
      const data = new DataTransfer()
      const blob = await (await fetch(`data:image/jpeg;base64,${bytes}`)).blob()
      data.items.add(new File([blob], 'a.jpg', { type: 'image/jpeg' }))
      const where = target ? document.querySelector(target) : document.body
      where.dispatchEvent(
        type === 'paste'
          ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true })
          : new DragEvent(type, {
              dataTransfer: data,
              bubbles: true,
              cancelable: true,
            }),
      )
    },
    [type, target, variant(file, type).toString('base64')],
  )

async function pictures(browser, server) {
  await test('a first visit is shown around, with keys, and the next one is not', async () => {
    const page = await open(browser, server, { prefs: { toured: false } })
    const tour = page.getByRole('dialog', { name: 'A look around' })
    await tour.waitFor()
    await shot(page, 'tour')
    for (let i = 1; i <= 5; i++) {
      await tour.getByText(`${i} of 5`).waitFor()
      await page.keyboard.press('Enter')
    }
    await tour.waitFor({ state: 'detached' })
    await page.reload()
    await page.getByRole('button', { name: 'Van Gogh', exact: true }).waitFor()
    await page.waitForTimeout(300)
    assert.equal(await tour.count(), 0)
    await close(page)
  })

  await test('a picture is chosen, dropped, pasted, photographed, or the sample', async () => {
    // the test fetches data: URLs, which the page's policy forbids
    const page = await open(browser, server, { context: { bypassCSP: true } })
    const seen = new Set()
    const another = (how) =>
      until(`a picture that was ${how}`, async () => {
        const { content } = await draftOf(page)
        return content && !seen.has(content) && seen.add(content)
      })
    await shot(page, 'empty')
    await page.getByRole('button', { name: 'Use the sample' }).click()
    await another('the sample')
    await chooseContent(page, {
      name: 'a.jpg',
      mimeType: 'image/jpeg',
      buffer: variant('sample.jpg', 'chosen'),
    })
    await another('chosen')
    await bring(page, 'dragover', '[data-drop=content]', 'van-gogh.jpg')
    await page.getByText('Let go to use this picture').waitFor()
    await bring(page, 'drop', '[data-drop=content]', 'van-gogh.jpg')
    await another('dropped')
    await bring(page, 'paste', '', 'van-gogh.jpg')
    await another('pasted')
    await page.getByRole('button', { name: 'Take a photo' }).click()
    await until('a camera that sees', () =>
      page.evaluate(() => document.querySelector('video')?.videoWidth > 0),
    )
    await page.getByRole('button', { name: 'Take the photo' }).click()
    await another('photographed')
    await close(page)
  })

  await test('styles are searched, mixed with sliders, added and deleted, with undo', async () => {
    const page = await open(browser, server, {
      context: { bypassCSP: true },
      expect: [/404/], // a reloaded page repeats the deletion, perhaps too late
    })
    await page.getByRole('searchbox').fill('munch')
    await until('one style', async () => (await page.locator('li [aria-pressed]').count()) === 1)
    await page.getByRole('searchbox').fill('nothing')
    await page.getByText('No style has that name.').waitFor()
    await page.getByRole('searchbox').fill('')
    await style(page, 'Van Gogh')
    await bring(page, 'drop', '[data-drop=style]', 'van-gogh.jpg')
    const added = page.getByRole('button', { name: 'A', exact: true })
    await until(
      'one style, the new one',
      async () => (await added.getAttribute('aria-pressed')) === 'true',
    )
    await mix(page, 'Van Gogh')
    await page.getByRole('slider', { name: 'Van Gogh: share of the mix' }).fill('30')
    await page.getByRole('slider', { name: 'A: share of the mix' }).fill('90')
    await page.getByText('25 %', { exact: true }).waitFor()
    const all = await server.json('/api/styles')
    const own = all.filter((s) => s.removable)
    assert.equal(own.length, 1)
    const remove = page.getByRole('button', { name: 'Delete the style A' })
    await remove.click()
    await remove.waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Undo' }).click()
    await remove.waitFor()
    assert.equal((await server.json('/api/styles')).length, all.length)
    await remove.click()
    await page.reload() // runs pending deletions
    const left = all.length - 1
    await until('one less', async () => (await server.json('/api/styles')).length === left)
    await close(page)
  })

  await test('an own style is renamed with the keyboard, for every browser of its owner', async () => {
    const page = await open(browser, server, { expect: [/507/] })
    await page.setInputFiles('[data-test=style-file]', picture('van-gogh.jpg'))
    const button = (name) => page.getByRole('button', { name, exact: true })
    await button('Rename the style Van Gogh').waitFor()
    assert.equal(await button('Rename the style Munch').count(), 0) // it is not his
    const dialog = page.getByRole('dialog', { name: 'Rename the style Van Gogh' })
    const field = dialog.getByRole('textbox', { name: 'Name' })
    await tabTo(page, button('Rename the style Van Gogh'))
    await page.keyboard.press('Enter')
    await dialog.waitFor()
    assert.equal(await field.inputValue(), 'Van Gogh')
    await until('the focus', () => field.evaluate((e) => e === document.activeElement))
    await field.fill(' ')
    assert.equal(await dialog.getByRole('button', { name: 'Save' }).isDisabled(), true)
    await accessible(page, 'the dialog that renames a style')
    await shot(page, 'rename')
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    const focused = (name) => button(name).evaluate((e) => e === document.activeElement)
    await until('the focus back', () => focused('Rename the style Van Gogh'))
    await page.keyboard.press('Enter')
    await field.fill('Water  lilies')
    await page.route('**/api/styles/*', (route) =>
      route.fulfill({ status: 507, json: { error: 'no room' } }),
    )
    await page.keyboard.press('Enter')
    await dialog.getByRole('alert').getByText('The server has no room left.').waitFor()
    await page.unrouteAll()
    await field.press('Enter')
    await dialog.waitFor({ state: 'detached' })
    const told = page
      .getByRole('status')
      .filter({ hasText: 'The style is called Water lilies now.' })
    await told.waitFor()
    await until('the focus back', () => focused('Rename the style Water lilies'))
    assert.equal(await button('Water lilies').getAttribute('aria-pressed'), 'true')
    const other = await open(browser, server)
    await other.getByRole('button', { name: 'Water lilies', exact: true }).waitFor()
    const own = (await server.json('/api/styles')).find((s) => s.label === 'Water lilies')
    await fetch(`${server.url}/api/styles/${own.name}`, { method: 'DELETE' })
    await close(other)
    await close(page)
  })
}

/** Values of an uploaded mask at some points: 255 inside the region, 0 outside. */
const maskAt = (page, name, points) =>
  page.evaluate(
    async ([name, points]) => {
      const bitmap = await createImageBitmap(await (await fetch(`uploads/${name}`)).blob())
      const canvas = new OffscreenCanvas(bitmap.width, bitmap.height)
      const c = canvas.getContext('2d', { willReadFrequently: true })
      c.drawImage(bitmap, 0, 0)
      return points.map(
        ([x, y]) => c.getImageData(x * bitmap.width, y * bitmap.height, 1, 1).data[0],
      )
    },
    [name, points],
  )

async function transfer(browser, server) {
  // a preview that the page asks for while its task is cancelled is gone
  const page = await open(browser, server, { expect: [/404.*\/preview\?/] })
  let asked
  page.on('request', (r) => {
    if (r.url().endsWith('/api/style-transfer')) asked = r.postDataJSON()
  })

  await test('regions are painted with a pointer and with keys, and sent as masks', async () => {
    await chooseContent(page)
    await style(page, 'Van Gogh')
    await mix(page, 'Munch')
    await page.getByRole('button', { name: 'Paint regions' }).click()
    const canvas = page.locator('canvas')
    await until('the picture', async () => (await canvas.getAttribute('width')) > 100)
    const box = await canvas.boundingBox()
    await page.mouse.move(box.x + box.width * 0.2, box.y + box.height * 0.25)
    await page.mouse.down()
    await page.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.25, {
      steps: 12,
    })
    await page.mouse.up()
    await page.getByRole('radio', { name: 'Keep the photograph' }).check()
    await canvas.focus()
    for (let i = 0; i < 10; i++) await page.keyboard.press('Shift+ArrowDown') // up to the edge
    await page.keyboard.down(' ')
    for (let i = 0; i < 4; i++) await page.keyboard.press('ArrowLeft')
    await page.keyboard.up(' ')
    await shot(page, 'regions')
    await page.getByRole('button', { name: 'Done' }).click()
    await set(page, 'Size', 640)
    await set(page, 'Steps', 1000)
    await start(page)
    await until('a request', () => asked)
    assert.equal(asked.styles.length, 2)
    assert.equal(asked.num_steps, 1000)
    assert.equal(asked.size, 640)
    assert.equal(asked.style_weight, undefined)
    assert.equal(asked.styles[1].mask, undefined)
    const points = [
      [0.4, 0.25],
      [0.4, 0.75],
      [0.55, 0.98],
    ]
    assert.deepEqual(await maskAt(page, asked.styles[0].mask, points), [255, 0, 0])
    assert.deepEqual(await maskAt(page, asked.keep_mask, points), [0, 0, 255])
  })

  await test('a transfer is watched: percent, time left, the picture so far, losses', async () => {
    await status(page).filter({ hasText: 'Being painted' }).waitFor()
    await page.locator('[data-test=eta]').waitFor()
    await until('a preview', () =>
      page.evaluate(() => document.querySelector('[data-test=preview]')?.naturalWidth > 0),
    )
    const percent = async () => parseInt(await page.locator('[data-test=percent]').innerText(), 10)
    const before = await percent()
    await until('more percent', async () => (await percent()) > before)
    const curve = page.getByRole('figure', { name: 'Losses' }).locator('path[stroke-linejoin]')
    assert.equal(await curve.count(), 2)
    await until(
      'a curve',
      async () => (await curve.first().getAttribute('d')).split('L').length > 9,
    )
    await until('a title', async () => /^\d+ % · /.test(await page.title()))
    await shot(page, 'painting')
  })

  await test('a refresh in mid-task restores the view, and what was chosen', async () => {
    const before = await draftOf(page)
    const curve = page.getByRole('figure', { name: 'Losses' }).locator('path[stroke-linejoin]')
    const places = async () =>
      (await curve.first().getAttribute('d')).split(/[ML]/).slice(1).map(parseFloat)
    const [begin] = await places()
    await until('a curve to keep', async () => (await places()).at(-1) > begin + 1)
    await page.reload()
    await status(page).filter({ hasText: 'Being painted' }).waitFor()
    // the curve keeps the points from before the reload
    await until('the curve', async () => (await places())[0] === begin)
    assert.deepEqual(await draftOf(page), before)
    assert.equal(await page.getByRole('spinbutton', { name: 'Size' }).inputValue(), '640')
    assert.equal(
      await page.getByRole('button', { name: 'Munch', exact: true }).getAttribute('aria-pressed'),
      'true',
    )
  })

  await test('a task is cancelled within two seconds, and may be tried again', async () => {
    const begun = Date.now()
    await page.getByRole('button', { name: 'Cancel the task', exact: true }).click()
    await status(page).filter({ hasText: 'Cancelled' }).waitFor()
    assert.ok(Date.now() - begun < 2000)
    await until('no task', async () => (await server.json('/api/tasks')).length === 0)
    await page.getByRole('button', { name: 'Again with other settings' }).click()
    await set(page, 'Steps', 100)
    await set(page, 'Size', 160)
  })

  await test('several tasks are made at once, and the panel shows each', async () => {
    const ids = new Set()
    for (const [name, on] of [
      ['Munch', true],
      ['Munch', false],
      ['Hokusai', true],
    ]) {
      await mix(page, name, on)
      await start(page)
      await until('another task', async () => {
        const id = new URL(page.url()).hash.replace('#/task/', '')
        return id.length === 32 && !ids.has(id) && ids.add(id)
      })
    }
    const panel = page.locator('[data-test=task]')
    assert.ok((await panel.count()) >= 3)
    await shot(page, 'tasks')
    await until(
      'all done',
      async () => (await panel.filter({ hasText: 'Done' }).count()) >= 3,
      90_000,
    )
    await waitDone(page)
  })

  await test('a link to a task shows it to who has nothing of it', async () => {
    const link = page.url()
    const other = await open(browser, server, {
      path: new URL(link).pathname + new URL(link).hash,
    })
    await waitDone(other)
    await other.getByText('Van Gogh + Hokusai').first().waitFor()
    await close(other)
  })

  await test('again with other settings brings back styles, regions and values', async () => {
    const other = await open(browser, server, {
      path: new URL(page.url()).hash,
    })
    await other.goto(page.url())
    await waitDone(other)
    await other.getByRole('button', { name: 'Again with other settings' }).click()
    await other.getByRole('button', { name: 'Change the regions' }).waitFor()
    assert.equal(await other.getByRole('spinbutton', { name: 'Size' }).inputValue(), '160')
    assert.equal(await other.getByRole('spinbutton', { name: 'Steps' }).inputValue(), '100')
    const { styles, keepMask } = await draftOf(other)
    assert.deepEqual(
      styles.map((s) => [s.name, Boolean(s.mask?.under)]),
      [
        ['van-gogh', true],
        ['hokusai', false],
      ],
    )
    assert.ok(keepMask?.under, 'what is kept of the photograph is among it')
    await close(other)
  })
  await test('all of that left nothing on the console, and never the service', () => close(page))
}

export async function flow(browser, server) {
  await pictures(browser, server)
  await transfer(browser, server)
}
