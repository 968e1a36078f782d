// Films and animations: dropped, cut, painted, played, saved. ffmpeg makes them from a photograph.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  accessible,
  chooseContent,
  close,
  draftOf,
  open,
  picture,
  set,
  shot,
  start,
  style,
  waitDone,
} from './browser.mjs'
import { Server } from './server.mjs'
import { note, test, until } from './tap.mjs'

/** Pan over the sample for some seconds. */
function film(work, name, seconds, codec) {
  const file = join(work, name)
  const pan = `scale=640:-2,zoompan=z=1.5:x='on*2':y=40:d=${15 * seconds}:s=320x240:fps=15`
  execFileSync('ffmpeg', [
    ...['-v', 'error', '-y', '-i', picture('sample.jpg'), '-vf', pan],
    ...['-t', String(seconds), '-pix_fmt', 'yuv420p', ...codec, file],
  ])
  return file
}

/** The number of frames of an animated WebP. */
const framesOf = (bytes) => bytes.toString('latin1').split('ANMF').length - 1

async function drop(page, file, type) {
  const data = await page.evaluateHandle(
    ([text, kind]) => {
      const all = new DataTransfer()
      const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
      all.items.add(new File([bytes], 'film', { type: kind }))
      return all
    },
    [readFileSync(file).toString('base64'), type],
  )
  await page.dispatchEvent('[data-drop=content]', 'drop', { dataTransfer: data })
}

const dialog = (page) => page.getByRole('dialog', { name: 'Paint a film' })
const canvas = (page) => page.locator('[data-test=film]')

/** The colour at a point of the film, both from 0 to 1. */
const colourAt = (page, x, y) =>
  canvas(page).evaluate(
    (c, [px, py]) => [
      ...c
        .getContext('2d')
        .getImageData(c.width * px, c.height * py, 1, 1)
        .data.slice(0, 3),
    ],
    [x, y],
  )

async function useFrames(page, seconds) {
  const length = page.locator('[data-test=film-length]')
  await length.fill(String(seconds))
  const sent = page.waitForResponse((r) => r.url().endsWith('/api/upload-content'), {
    timeout: 60_000,
  })
  await page.getByRole('button', { name: /^Use these/ }).click()
  const name = (await (await sent).json()).filename
  await dialog(page).waitFor({ state: 'detached' })
  return name
}

async function films(browser, server, work) {
  // the test reads colours from the canvas
  const page = await open(browser, server, { expect: [/willReadFrequently/] })

  await test('a film is cut in the browser, and its frames are sent as an animation', async () => {
    await drop(page, film(work, 'pan.webm', 4, ['-c:v', 'libvpx', '-b:v', '1M']), 'video/webm')
    const summary = page.locator('[data-test=film-summary]')
    await until('the summary', async () =>
      /24 frames, 320 × 240 pixels, 3 s\. Painting takes about/.test(await summary.innerText()),
    )
    await accessible(page, 'the dialog of a film')
    await shot(page, 'film-dialog')
    await page.getByLabel('Frames per second').selectOption('4')
    await until('12 frames', async () => (await summary.innerText()).startsWith('12 frames'))
    await page.getByLabel('Size of the frames').selectOption('256')
    const name = await useFrames(page, 1)
    const sent = Buffer.from(await (await fetch(`${server.url}/uploads/${name}`)).arrayBuffer())
    assert.match(name, /\.webp$/)
    assert.equal(framesOf(sent), 4)
    await page.locator('[data-test=film-note]').getByText('A film of 4 frames').waitFor()
    assert.equal((await draftOf(page)).frames, 4)
  })

  await test('it is painted frame by frame, plays and is saved', async () => {
    await style(page, 'Munch')
    await set(page, 'Steps', 200)
    await set(page, 'Size', 128)
    await start(page)
    const frame = page.locator('[data-test=frame]')
    await frame.filter({ hasText: /frame [1-4] of 4/ }).waitFor({ timeout: 60_000 })
    await shot(page, 'film-painting')
    await waitDone(page, 120_000)
    await canvas(page).waitFor()
    const seen = new Set()
    await until('all frames', async () => {
      seen.add(await canvas(page).getAttribute('data-frame'))
      return seen.size === 4
    })
    const play = page.locator('[data-test=film-play]')
    await play.click()
    assert.equal(await play.getAttribute('aria-label'), 'Play')
    await page.getByRole('slider', { name: 'Frame', exact: true }).fill('3')
    await until('frame 3', async () => (await canvas(page).getAttribute('data-frame')) === '3')
    const painted = await colourAt(page, 0.25, 0.5)
    await page.getByRole('slider', { name: 'How much of the result is seen' }).fill('50')
    // the same divider as on a still picture
    const line = await page.locator('#stage [data-test=divider]').boundingBox()
    const picture = await canvas(page).boundingBox()
    assert.ok(Math.abs(line.x + line.width / 2 - picture.x - picture.width / 2) < 1.5)
    await page.locator('#stage').getByText('Before', { exact: true }).waitFor()
    await until('the film on the left', async () => {
      const c = await colourAt(page, 0.25, 0.5)
      return c.some((v, i) => v !== painted[i])
    })
    await accessible(page, 'a painted film')
    await shot(page, 'film-result')
    const [whole] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download' }).click(),
    ])
    assert.equal(whole.suggestedFilename(), 'nst-munch.webp')
    assert.equal(framesOf(readFileSync(await whole.path())), 4)
    const [saved] = await Promise.all([
      page.waitForEvent('download', { timeout: 30_000 }),
      page.locator('[data-test=film-save]').click(),
    ])
    assert.match(saved.suggestedFilename(), /^nst-munch\.(mp4|webm)$/)
    const [width, frames] = execFileSync('ffprobe', [
      ...['-v', 'error', '-count_frames', '-select_streams', 'v', '-of', 'csv=p=0'],
      ...['-show_entries', 'stream=nb_read_frames,width', await saved.path()],
    ])
      .toString()
      .split(',')
      .map(Number)
    assert.equal(width, 128)
    assert.ok(frames >= 4, `${frames} frames`)
  })

  await test('it is saved as a GIF of the same frames', async () => {
    const [saved] = await Promise.all([
      page.waitForEvent('download', { timeout: 30_000 }),
      page.locator('[data-test=film-gif]').click(),
    ])
    assert.equal(saved.suggestedFilename(), 'nst-munch.gif')
    const told = execFileSync('ffprobe', [
      ...['-v', 'error', '-count_frames', '-select_streams', 'v', '-of', 'csv=p=0'],
      ...['-show_entries', 'stream=nb_read_frames,width', await saved.path()],
    ])
    assert.equal(told.toString().trim(), '128,4')
  })

  await test('again with other settings is a film again', async () => {
    await page.getByRole('button', { name: /with other settings/ }).click()
    await page.locator('[data-test=film-note]').getByText('A film of 4 frames').waitFor()
    await close(page)
  })
}

async function animations(browser, server, work) {
  await test('an animation is sent as it is; its first frame may be used instead', async () => {
    const gif = film(work, 'pan.gif', 1, ['-r', '5', '-pix_fmt', 'rgb8'])
    const page = await open(browser, server)
    for (const [button, frames] of [
      ['Use this moment as a picture', undefined],
      ['Use these 5 frames', 5],
    ]) {
      await page.setInputFiles('[data-test=content-file]', gif)
      await dialog(page).waitFor()
      const sent = page.waitForResponse((r) => r.url().endsWith('/api/upload-content'))
      await page.getByRole('button', { name: button }).click()
      assert.match((await (await sent).json()).filename, /\.gif$/)
      await until('the draft', async () => (await draftOf(page)).frames === frames)
    }
    await chooseContent(page) // a still forgets the film
    await until('a still', async () => (await draftOf(page)).frames === undefined)
    await close(page)
  })

  await test('a canvas that writes no WebP sends a lossless one; a film is fitted in', async () => {
    const small = await new Server(work, 'small', ['--max-upload', '320K']).start()
    try {
      const page = await open(browser, small, { expect: [/willReadFrequently/] })
      await page.evaluate(() => {
        const real = HTMLCanvasElement.prototype.toBlob
        HTMLCanvasElement.prototype.toBlob = function (f, type, quality) {
          real.call(this, f, type === 'image/webp' ? 'image/png' : type, quality)
        }
      })
      await page.setInputFiles('[data-test=content-file]', join(work, 'pan.webm'))
      await dialog(page).waitFor()
      const name = await useFrames(page, 1)
      const sent = Buffer.from(await (await fetch(`${small.url}/uploads/${name}`)).arrayBuffer())
      assert.equal(framesOf(sent), 8)
      assert.ok(sent.includes('VP8L'))
      assert.ok(sent.length < 320 << 10)
      await close(page)
    } finally {
      await small.kill()
    }
  })

  await test('a film that a phone has turned stands upright', async () => {
    const [mp4, mov] = [join(work, 'phone.mp4'), join(work, 'phone.mov')]
    film(work, 'phone.mp4', 1, ['-c:v', 'libx264'])
    const turn = ['-i', mp4, '-c', 'copy', '-metadata:s:v', 'rotate=90', mov]
    execFileSync('ffmpeg', ['-v', 'error', '-y', ...turn])
    const page = await open(browser, server)
    await drop(page, mov, 'video/quicktime')
    await page
      .locator('[data-test=film-summary]')
      .getByText('8 frames, 240 × 320 pixels, 1 s')
      .waitFor()
    await close(page)
  })

  await test('what cannot be played, and what may not, is told in words', async () => {
    const page = await open(browser, server)
    await drop(page, join(work, 'pan.gif'), 'video/mp4')
    await dialog(page).getByText('This browser cannot play this film.').waitFor()
    await page.keyboard.press('Escape')
    await close(page)
    const stills = await new Server(work, 'stills', ['--max-frames', '1']).start()
    try {
      const other = await open(browser, stills)
      await other.setInputFiles('[data-test=content-file]', join(work, 'pan.webm'))
      await dialog(other).getByText('This server paints no films').waitFor()
      const sent = other.waitForResponse((r) => r.url().endsWith('/api/upload-content'))
      await other.getByRole('button', { name: 'Use this moment as a picture' }).click()
      assert.match((await (await sent).json()).filename, /\.jpg$/)
      await close(other)
    } finally {
      await stills.kill()
    }
  })

  await test('with reduced motion a film waits for the button', async () => {
    const [entry] = Object.values(await server.json('/api/history')).flat()
    const page = await open(browser, server, {
      path: `/#/task/${entry.task_id}`,
      context: { reducedMotion: 'reduce' },
    })
    await canvas(page).waitFor()
    await page.getByRole('button', { name: 'Play', exact: true }).waitFor()
    assert.equal(await canvas(page).getAttribute('data-frame'), '1')
    await page.getByRole('button', { name: 'Play', exact: true }).click()
    await until(
      'another frame',
      async () => (await canvas(page).getAttribute('data-frame')) !== '1',
    )
    await close(page)
  })
}

export async function live(browser, server, work) {
  if (spawnSync('ffmpeg', ['-version']).error) return note('films are not tested: no ffmpeg')
  await films(browser, server, work)
  await animations(browser, server, work)
}
