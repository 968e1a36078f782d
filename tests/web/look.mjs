// Appearance and usability: themes, languages, screen sizes, keyboard only.
import assert from 'node:assert/strict'
import {
  accessibleEverywhere,
  chooseContent,
  close,
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

const colour = (page) =>
  page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
const dark = (rgb) => rgb.match(/\d+/g).every((v) => v < 60)

export async function look(browser, server) {
  await test('the whole flow goes with keys alone', async () => {
    const page = await open(browser, server)
    await page.getByRole('button', { name: 'Munch', exact: true }).waitFor()
    const [chooser] = await Promise.all([
      page.waitForEvent('filechooser'),
      tabTo(page, page.getByRole('button', { name: 'Choose a picture' })).then(() =>
        page.keyboard.press('Enter'),
      ),
    ])
    await chooser.setFiles(picture('sample.jpg'))
    await page.getByRole('button', { name: 'Change the picture' }).waitFor()
    await tabTo(page, page.getByRole('button', { name: 'Munch', exact: true }))
    await page.keyboard.press('Space')
    await tabTo(page, page.locator('[data-test=more-settings] summary'))
    await page.keyboard.press('Enter')
    const steps = page.getByRole('slider', { name: 'Steps' })
    await tabTo(page, steps)
    await page.keyboard.press('Home')
    assert.equal(await steps.inputValue(), '100')
    await tabTo(page, page.getByRole('spinbutton', { name: 'Size' }))
    await page.keyboard.type('128')
    await tabTo(page, page.getByRole('button', { name: 'Start', exact: true }))
    await page.keyboard.press('Enter')
    await waitDone(page)
    const slider = page.getByRole('slider', {
      name: 'How much of the result is seen',
    })
    await tabTo(page, slider)
    await page.keyboard.press('ArrowRight')
    assert.equal(await slider.inputValue(), '51')
    await tabTo(page, page.getByRole('button', { name: 'Look closely' }))
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('+')
    await page.keyboard.press('Escape')
    await until('the focus back', () =>
      page
        .getByRole('button', { name: 'Look closely' })
        .evaluate((e) => e === document.activeElement),
    )
    await page.reload()
    await page.getByRole('button', { name: 'More' }).waitFor()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter') // skip to the content
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main')
    await close(page)
  })

  await test('dark follows the system, and a switch that is remembered', async () => {
    const page = await open(browser, server, {
      context: { colorScheme: 'dark' },
    })
    assert.ok(dark(await colour(page)))
    await page.locator('[data-test=theme]').click()
    assert.ok(!dark(await colour(page)))
    await page.reload()
    assert.ok(!dark(await colour(page)))
    await page.getByRole('button', { name: 'More' }).click()
    await page.getByRole('radio', { name: 'As the system' }).check({ force: true })
    assert.ok(dark(await colour(page)))
    await close(page)
  })

  await test('the background moves where it is wanted, and not where motion is not', async () => {
    for (const [reducedMotion, name] of [
      ['no-preference', 'drift'],
      ['reduce', 'none'],
    ]) {
      const page = await open(browser, server, { context: { reducedMotion } })
      const motion = () =>
        page.evaluate(() => getComputedStyle(document.querySelector('.sky i')).animationName)
      await page.getByRole('button', { name: 'More' }).waitFor()
      assert.equal(await motion(), 'none')
      await page.getByRole('button', { name: 'More' }).click()
      await page.getByRole('switch', { name: 'Moving background' }).check()
      assert.equal(await motion(), name)
      await page.reload()
      await page.getByRole('button', { name: 'More' }).waitFor()
      assert.equal(await motion(), name)
      await close(page)
    }
  })

  let task = ''
  await test('axe-core finds nothing in any state, light and dark, on three widths', async () => {
    const page = await open(browser, server, {
      prefs: { toured: false },
      context: { reducedMotion: 'reduce' },
    })
    const press = (name) => page.getByRole('button', { name }).first().click()
    await page.getByRole('dialog').waitFor()
    await accessibleEverywhere(page, 'the tour')
    await page.keyboard.press('Escape')
    await accessibleEverywhere(page, 'the empty studio')
    await press('More')
    await accessibleEverywhere(page, 'the menu')
    await page.keyboard.press('Escape')
    await chooseContent(page)
    await style(page, 'Munch')
    await mix(page, 'Van Gogh')
    await press('Paint regions')
    await accessibleEverywhere(page, 'painting regions')
    await page.keyboard.press('Escape')
    await set(page, 'Steps', 400)
    await set(page, 'Size', 320)
    await press('Start')
    await page.locator('[data-test=preview]').waitFor({ timeout: 90_000 })
    await accessibleEverywhere(page, 'a task that is being painted')
    await status(page).filter({ hasText: 'Done' }).waitFor({ timeout: 180_000 })
    await page.locator('[data-test=closeness] summary').click()
    await page.locator('[data-test=figure]').first().waitFor({ timeout: 60_000 })
    await accessibleEverywhere(page, 'a result')
    await shot(page, 'result')
    await press('Look closely')
    await accessibleEverywhere(page, 'a closer look')
    await page.keyboard.press('Escape')
    task = new URL(page.url()).hash
    // a second result, to compare with
    const { content } = await page.evaluate(() => JSON.parse(localStorage.getItem('nst.draft')))
    const body = { content_image: content, style_image: 'munch', num_steps: 100, size: 64 }
    const { task_id: other } = await server.json('/api/style-transfer', body)
    await until(
      'a second result',
      async () => (await server.json(`/api/progress/${other}`)).status === 'completed',
      90_000,
    )
    await page.goto(`${server.url}/#/gallery`)
    await page.locator('[data-test=entry]').nth(1).waitFor()
    await accessibleEverywhere(page, 'the gallery')
    for (const i of [0, 1]) await page.locator('[data-check]').nth(i).click()
    await press('Compare the two')
    await accessibleEverywhere(page, 'two results')
    await close(page)
  })

  await test('from 320 pixels to 4K nothing is wider than the window', async () => {
    for (const [width, height] of [
      [320, 640],
      [768, 1024],
      [3840, 2160],
    ]) {
      const page = await open(browser, server, {
        context: {
          viewport: { width, height },
          hasTouch: width < 500,
          isMobile: width < 500,
        },
      })
      for (const [name, path] of [
        ['studio', '#/'],
        ['result', task],
        ['gallery', '#/gallery'],
      ]) {
        await page.goto(`${server.url}/${path}`)
        if (name === 'result') {
          await page.locator('[data-test=closeness] summary').click()
          await page.locator('[data-test=figure]').first().waitFor({ timeout: 60_000 })
        } else await page.waitForTimeout(400)
        const wide = await page.evaluate(() =>
          [...document.querySelectorAll('body *')]
            .filter((e) => !e.closest('.sky') && e.getBoundingClientRect().right > innerWidth + 1)
            .map((e) => e.outerHTML.slice(0, 120)),
        )
        assert.deepEqual(wide, [], `${name} at ${width}`)
        assert.equal(
          await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
          true,
        )
        await shot(page, `${name}-${width}`)
      }
      await close(page)
    }
  })

  await test('on a small screen what can be pressed is at least 24 pixels large', async () => {
    const page = await open(browser, server, {
      context: {
        viewport: { width: 320, height: 640 },
        hasTouch: true,
        isMobile: true,
      },
    })
    await chooseContent(page)
    await style(page, 'Munch')
    await mix(page, 'Van Gogh')
    const small = await page.evaluate(() =>
      [...document.querySelectorAll('a, button, input, select')]
        .filter((e) => e.checkVisibility() && !e.classList.contains('sr-only'))
        .map((e) => [e.getBoundingClientRect(), e.outerHTML.slice(0, 100)])
        .filter(([b]) => b.width > 1 && (b.width < 24 || b.height < 24))
        .map(([, html]) => html),
    )
    assert.deepEqual(small, [])
    await close(page)
  })

  await test('what is missing is said, and the focus goes there', async () => {
    const page = await open(browser, server)
    await start(page)
    await page.locator('[data-test=toast]').filter({ hasText: 'First choose a picture.' }).waitFor()
    assert.equal(
      await page.evaluate(() => document.activeElement.closest('section')?.dataset.tour),
      '1',
    )
    await close(page)
  })
}
