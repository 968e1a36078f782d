// Error handling, with a real service that is stopped, broken or has strict limits.
import assert from 'node:assert/strict'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
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
  waitDone,
} from './browser.mjs'
import { Server } from './server.mjs'
import { test, until } from './tap.mjs'

/** Chromium logs every error status and every failed request. */
const REFUSED = [/Failed to load resource/, /ERR_CONNECTION_REFUSED/, /ERR_EMPTY_RESPONSE/]

const alert = (page, text) => page.getByRole('alert').filter({ hasText: text })

export async function faults(browser, work) {
  const serve = async (name, options, f) => {
    const server = await new Server(work, name, options).start()
    try {
      await f(server)
    } finally {
      await server.kill()
    }
  }

  await test('a service that goes and comes back is found again, and nothing is lost', () =>
    serve('gone', [], async (server) => {
      const page = await open(browser, server, { expect: REFUSED })
      await chooseContent(page)
      await style(page, 'Munch')
      await set(page, 'Steps', 400)
      await set(page, 'Size', 192)
      await start(page)
      await status(page).filter({ hasText: 'Being painted' }).waitFor()
      await until(
        '30 %',
        async () => parseInt(await page.locator('[data-test=percent]').innerText(), 10) >= 10,
      )
      await server.kill('SIGKILL')
      await alert(page, 'The server cannot be reached. What you chose is kept here.').waitFor()
      await accessible(page, 'without a service')
      await shot(page, 'gone')
      await set(page, 'Style weight', 1.3) // entered while the service is down
      await page.setInputFiles('[data-test=content-file]', picture('van-gogh.jpg'))
      await alert(page, 'Nothing is lost').waitFor()
      await server.start()
      await page.getByText('The server is back.').waitFor()
      await page.locator('[data-test=link]').waitFor({ state: 'detached' })
      await until(
        'the upload, by itself',
        async () => !(await alert(page, 'Nothing is lost').count()),
      )
      assert.equal(await page.getByRole('spinbutton', { name: 'Style weight' }).inputValue(), '1.3')
      await waitDone(page)
      await close(page)
    }))

  await test('a picture that is too large can be shrunk, and one that is none is refused', () =>
    serve('strict', ['--max-upload', '24K', '--max-styles', '4'], async (server) => {
      const page = await open(browser, server, { expect: REFUSED })
      await page.setInputFiles('[data-test=content-file]', {
        name: 'notes.png',
        mimeType: 'image/png',
        buffer: Buffer.from('this is not a picture'),
      })
      await alert(page, 'The server cannot read this file as a picture.').waitFor()
      await alert(page, 'Choose a PNG').waitFor()
      await page.setInputFiles('[data-test=content-file]', {
        name: 'small.bmp',
        mimeType: 'image/bmp',
        buffer: bitmap(40, 30),
      })
      await page.getByRole('button', { name: 'Make a JPEG of it here and send that' }).click()
      await page.getByRole('img', { name: 'The picture that will be painted' }).waitFor()
      await page.setInputFiles('[data-test=content-file]', {
        name: 'large.bmp',
        mimeType: 'image/bmp',
        buffer: bitmap(160, 120),
      })
      await alert(page, 'This picture is too large for the server.').waitFor()
      await accessible(page, 'a picture that is too large')
      await shot(page, 'too-large')
      await page.getByRole('button', { name: 'Shrink it here and send that' }).click()
      await page.getByRole('img', { name: 'The picture that will be painted' }).waitFor()
      assert.equal(await page.getByRole('alert').count(), 0)
      await page.setInputFiles('[data-test=style-file]', picture('van-gogh.jpg'))
      await alert(page, 'The server has no room left.').waitFor()
      await close(page)
    }))

  await test('a full queue is waited for, and the task is sent by itself', () =>
    serve('full', ['--max-tasks', '1', '--max-queue', '1'], async (server) => {
      const page = await open(browser, server, { expect: REFUSED })
      await chooseContent(page)
      await style(page, 'Munch')
      await set(page, 'Steps', 1000)
      await set(page, 'Size', 256)
      for (let i = 1; i <= 2; i++) {
        await start(page)
        await until(`${i} tasks`, async () => (await server.json('/api/tasks')).length === i)
        await until('one that runs', async () =>
          (await server.json('/api/tasks')).some((t) => t.status === 'running'),
        )
      }
      await start(page)
      await alert(page, 'The queue is full.').waitFor()
      await page.getByText(/Again in \d+ s/).waitFor()
      await shot(page, 'full')
      const [first] = await server.json('/api/tasks')
      await fetch(`${server.url}/api/tasks/${first.task_id}`, {
        method: 'DELETE',
      })
      await until('the third task', async () => (await server.json('/api/tasks')).length === 2)
      await until('no complaint', async () => !(await alert(page, 'The queue is full.').count()))
      await close(page)
    }))

  await test('a task that fails says why, and what to do', () =>
    serve('broken', ['--max-tasks', '1'], async (server) => {
      const page = await open(browser, server, { expect: REFUSED })
      await chooseContent(page)
      await style(page, 'Munch')
      await set(page, 'Steps', 1000)
      await set(page, 'Size', 256)
      await start(page)
      await status(page).filter({ hasText: 'Being painted' }).waitFor()
      await chooseContent(page, picture('van-gogh.jpg'))
      await start(page)
      await status(page).filter({ hasText: 'Waiting for its turn' }).waitFor()
      const uploads = join(server.data, 'uploads')
      for (const name of readdirSync(uploads)) rmSync(join(uploads, name))
      await page
        .getByRole('button', { name: /^Cancel the task: / })
        .last()
        .click()
      await alert(page, 'The task could not be finished.').waitFor()
      await page.getByText('the picture no longer exists').waitFor()
      await page.getByRole('button', { name: 'Try again' }).waitFor()
      await accessible(page, 'a task that failed')
      await shot(page, 'failed')
      await close(page)
    }))

  await test('a task that nobody knows is said to be gone', () =>
    serve('unknown', [], async (server) => {
      const path = `/#/task/${'0'.repeat(32)}`
      const page = await open(browser, server, { path, expect: REFUSED })
      await page.getByText('This task is not on the server any more').waitFor()
      await close(page)
    }))

  await test('a token is asked for until it is right, and then pictures are seen too', async () => {
    const file = join(work, 'token.txt')
    writeFileSync(file, 'correct-horse-battery\n')
    await serve('token', ['--token-file', file], async (server) => {
      const page = await open(browser, server, { expect: REFUSED })
      const dialog = page.getByRole('dialog', {
        name: 'This server asks for a token',
      })
      await dialog.waitFor()
      await accessible(page, 'asking for a token')
      await dialog.getByLabel('Token', { exact: true }).fill('battery-staple-wrong')
      await page.keyboard.press('Enter')
      await dialog.getByText('That token is not right.').waitFor()
      await dialog.getByLabel('Token', { exact: true }).fill('correct-horse-battery')
      await page.keyboard.press('Enter')
      await page.getByRole('button', { name: 'Munch', exact: true }).waitFor()
      await chooseContent(page)
      await until('the picture', () =>
        page
          .getByRole('img', { name: 'The picture that will be painted' })
          .evaluate((e) => e.naturalWidth > 0),
      )
      const [cookie, ...others] = await page.context().cookies()
      assert.deepEqual(others, [])
      assert.equal(cookie.name, 'nst_session')
      assert.equal(cookie.sameSite, 'Strict')
      assert.ok(cookie.httpOnly)
      assert.doesNotMatch(cookie.value, /horse/)
      await page.getByRole('button', { name: 'More', exact: true }).click()
      await page.getByRole('button', { name: 'Sign out (operator)' }).click()
      await dialog.waitFor()
      assert.deepEqual(await page.context().cookies(), [])
      assert.equal(await page.evaluate(() => localStorage.getItem('nst.draft')), null)
      await close(page)
    })
  })

  await test('behind a path prefix, nothing is asked for outside it', () =>
    serve('prefix', ['--prefix', '/nst'], async (server) => {
      const asked = []
      const page = await open(browser, server, { path: '/nst/' })
      page.on('request', (r) => asked.push(new URL(r.url()).pathname))
      await page.reload()
      await chooseContent(page)
      await style(page, 'Munch')
      await set(page, 'Steps', 100)
      await set(page, 'Size', 96)
      await start(page)
      await waitDone(page)
      await until('the result', () =>
        page.evaluate(() => document.querySelector('[data-test=after]').naturalWidth > 0),
      )
      await page.getByRole('link', { name: 'Gallery' }).click()
      await until('its thumbnail', () =>
        page.evaluate(() => document.querySelector('[data-test=entry] img')?.naturalWidth > 0),
      )
      assert.deepEqual(
        asked.filter((p) => !p.startsWith('/nst/') && !p.startsWith('http')),
        [],
      )
      await close(page)
    }))
}

/** A BMP: browsers decode it, the service rejects it, so the page sends a JPEG instead. */
function bitmap(w, h) {
  const b = Buffer.alloc(54 + 3 * w * h, 200)
  b.write('BM')
  b.writeUInt32LE(b.length, 2)
  b.writeUInt32LE(0, 6)
  b.writeUInt32LE(54, 10)
  b.writeUInt32LE(40, 14)
  b.writeInt32LE(w, 18)
  b.writeInt32LE(h, 22)
  b.writeUInt16LE(1, 26)
  b.writeUInt16LE(24, 28)
  b.fill(0, 30, 54)
  for (let i = 54; i < b.length; i++) b[i] = (i * 7) % 256
  return b
}
