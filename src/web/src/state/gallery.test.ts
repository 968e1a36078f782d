import { beforeEach, describe, expect, it, vi } from 'vitest'
import { type Entry, Fault } from './api'
import { deleteLater, flushDeletions } from './deletion'
import * as view from './gallery'
import * as api from './api'
import { gallery, rate, reload, taskDeletions } from './history'
import { setLanguage } from './i18n'
import { fetchFiles } from './pack'
import { memoryStore, useStore } from './storage'
import { planOf, rowOf, rowsIn, shapeOf, stepFrom } from './tiles'

const NOW = new Date(2026, 10, 30, 12).getTime() / 1000

const entry = (id: string, more: Partial<Entry> = {}): Entry => ({
  task_id: id,
  content_img: 'a.png',
  style_img: 'munch',
  styles: [{ name: 'munch', weight: 50 }],
  style_weight: 7000,
  steps: 300,
  request: { content_image: 'a.png', preset: 'draft', size: 256 },
  output_img: `history/${id}.png`,
  thumbnail: `thumbs/${id}.png.jpg`,
  created: NOW,
  finished: NOW,
  ...more,
})

const klimt = { styles: [{ name: 'klimt', weight: 1 }] }
const DAY = 86_400

beforeEach(() => {
  useStore(memoryStore())
  setLanguage('en')
  gallery.entries = []
  gallery.ratings = {}
  gallery.pendingTasks.clear()
  view.clearSelection()
  Object.assign(view.filters, view.noFilters())
  view.layout.grouped = false
  view.layout.order = 'newest'
})

describe('the gallery', () => {
  const list = [
    entry('a'),
    entry('b', { ...klimt, finished: NOW - DAY }),
    entry('c', {
      finished: NOW - 10 * DAY,
      request: { content_image: 'a.png', strength: 0.6, colour: 'content' },
    }),
    entry('d', { ...klimt, finished: NOW - 40 * DAY, content_img: 'd.png' }),
  ]
  const ids = (f: Partial<view.Filters>, order: view.Order = 'newest') =>
    view
      .select(list, { ...view.noFilters(), ...f }, order, { b: 4, c: 2 }, NOW)
      .map((e) => e.task_id)
      .join('')

  it('orders by time, stars and style', () => {
    expect(ids({})).toBe('abcd')
    expect(ids({}, 'oldest')).toBe('dcba')
    expect(ids({}, 'stars')).toBe('bcad')
    expect(ids({}, 'style')).toBe('bdac')
  })

  it('filters by style, stars and local day', () => {
    expect(ids({ style: 'klimt' })).toBe('bd')
    expect(ids({ stars: 2 })).toBe('bc')
    expect(ids({ stars: 3 })).toBe('b')
    expect(ids({ stars: -1 })).toBe('ad')
    expect(ids({ date: 'today' })).toBe('a')
    expect(ids({ date: 'week' })).toBe('ab')
    expect(ids({ date: 'month' })).toBe('abc')
    expect(ids({ date: 'range', from: '2026-11-20', to: '2026-11-29' })).toBe('bc')
    expect(ids({ date: 'range', to: '2026-10-30' })).toBe('d')
  })

  it('searches names, presets and files, all words of it', () => {
    expect(ids({ text: 'KLIMT' })).toBe('bd')
    expect(ids({ text: 'draft munch' })).toBe('a')
    expect(ids({ text: 'd.png' })).toBe('d')
    expect(ids({ text: 'history/b.png' })).toBe('b')
    expect(ids({ text: 'nothing' })).toBe('')
  })

  it('says in words what tells two results apart', () => {
    expect(view.settingsOf(list[0] as Entry)).toBe('Draft · 256 px · 300 steps')
    expect(view.settingsOf(list[2] as Entry)).toContain('Strength 60 % · From the picture')
    expect(view.fileOf(list[0] as Entry)).toBe('Munch, Draft, 256 px, 2026-11-30 12.00')
  })

  it('groups by photograph', () => {
    gallery.entries = list
    view.layout.grouped = true
    expect(view.sections.value.map((s) => [s.content, s.entries.length])).toEqual([
      ['a.png', 3],
      ['d.png', 1],
    ])
  })

  it('selects one, a range and all that is shown, and keeps what is hidden out of it', () => {
    const picked = () => view.picked.value.map((e) => e.task_id).join('')
    gallery.entries = list
    view.toggle('b')
    view.selectTo('d')
    expect(picked()).toBe('bcd')
    view.toggle('c')
    expect(picked()).toBe('bd')
    view.filters.style = 'munch'
    expect(picked()).toBe('')
    view.selectAll()
    expect(picked()).toBe('ac')
    view.clearSelection()
    view.selectTo('c')
    expect(picked()).toBe('c')
  })
})

describe('tiles', () => {
  it('fill the width, three in a row on a phone', () => {
    expect(shapeOf(374, 'medium', 16, 42)).toEqual({ columns: 3, side: 119, pitch: 169 })
    expect(shapeOf(374, 'small', 16, 0).columns).toBe(4)
    expect(shapeOf(374, 'large', 16, 42).columns).toBe(2)
    const wide = shapeOf(1248, 'medium', 16, 42)
    expect(wide.columns * (wide.side + 8) - 8).toBeLessThanOrEqual(1248)
    expect(wide.side).toBeGreaterThanOrEqual(160)
  })

  const shape = { columns: 3, side: 92, pitch: 100 }

  it('stand in rows, which sections begin anew', () => {
    const plan = planOf([4, 1], shape, 50)
    expect(plan.rows).toEqual([
      { section: 0, from: 0, to: 3, top: 50 },
      { section: 0, from: 3, to: 4, top: 150 },
      { section: 1, from: 4, to: 5, top: 300 },
    ])
    expect(plan.sections).toEqual([
      { top: 0, height: 250, first: 0, last: 2 },
      { top: 250, height: 150, first: 2, last: 3 },
    ])
    expect(plan.height).toBe(400)
    expect([0, 2, 3, 4].map((i) => rowOf(plan, i))).toEqual([0, 0, 1, 2])
    expect(rowsIn(plan, 100, 0, 120)).toEqual([0, 1])
    expect(rowsIn(plan, 100, 150, 301)).toEqual([1, 3])
    expect(rowsIn(plan, 100, 1000, 1100)).toEqual([3, 3])
    expect(planOf([], shape, 0)).toEqual({ rows: [], sections: [], height: 0 })
  })

  it('are reached with keys', () => {
    const plan = planOf([5, 2], shape, 0) // rows of 3, 2 and 2
    const to = (from: number, ...steps: Parameters<typeof stepFrom>[2][]) =>
      steps.map((step) => stepFrom(plan, from, step, 2))
    expect(to(0, 'left', 'up', 'right', 'down', 'end')).toEqual([0, 0, 1, 3, 6])
    expect(to(2, 'down', 'right', 'pagedown')).toEqual([4, 3, 6])
    expect(to(6, 'right', 'down', 'up', 'pageup', 'home')).toEqual([6, 6, 4, 1, 0])
  })
})

describe('the history', () => {
  const server = (all: () => Entry[]) =>
    vi.spyOn(api, 'history').mockImplementation((offset, limit) =>
      Promise.resolve({
        groups: { x: all().slice(offset, offset + limit) },
        total: all().length,
      }),
    )

  it('fetches every page, later only what is new, and drops what is gone', async () => {
    let all = Array.from({ length: 2100 }, (_, i) => entry(`${i}`, { finished: NOW - i }))
    const asked = server(() => all)
    await reload()
    expect(asked.mock.calls).toEqual([
      [0, 60],
      [60, 1000],
      [1060, 1000],
      [2060, 1000],
    ])
    expect(gallery.entries.map((e) => e.task_id)).toEqual(all.map((e) => e.task_id))
    all = [entry('new', { finished: NOW + 1 }), ...all]
    asked.mockClear()
    await reload()
    expect(asked).toHaveBeenCalledTimes(1)
    expect(gallery.entries.length).toBe(2101)
    all = all.filter((e) => e.task_id !== '2000') // in another browser
    await reload()
    expect(gallery.entries.length).toBe(2100)
    asked.mockRestore()
  })

  it('begins again for what happens meanwhile', async () => {
    const asked = server(() => [entry('a')])
    await Promise.all([reload(), reload(), reload()])
    expect(asked).toHaveBeenCalledTimes(2)
    asked.mockRestore()
  })
})

describe('deletion of several results', () => {
  it('is one after the other, waits where requests are too many, and can be undone', async () => {
    gallery.entries = ['a', 'b', 'c'].map((id) => entry(id))
    rate('a', 3)
    const ask = vi.spyOn(taskDeletions, 'ask').mockResolvedValue()
    const undo = deleteLater(taskDeletions, ['a', 'b'], vi.fn(), 1000)
    expect(view.shown.value.map((e) => e.task_id)).toEqual(['c'])
    undo()
    expect(view.shown.value.length).toBe(3)
    ask.mockRejectedValueOnce(new Fault('often', '', 0.01))
    deleteLater(taskDeletions, ['a', 'b'], vi.fn(), 0)
    await vi.waitFor(() => expect(gallery.entries.map((e) => e.task_id)).toEqual(['c']), 3000)
    expect(ask.mock.calls.flat()).toEqual(['a', 'a', 'b'])
    expect(gallery.ratings).toEqual({})
    ask.mockRestore()
  })

  it('begins at once for all as the page is left', () => {
    const ask = vi.spyOn(taskDeletions, 'ask').mockReturnValue(new Promise(() => undefined))
    deleteLater(taskDeletions, ['a', 'b', 'c'], vi.fn(), 1000)
    flushDeletions()
    expect(ask.mock.calls.flat()).toEqual(['a', 'b', 'c'])
    ask.mockRestore()
  })
})

describe('files for a ZIP', () => {
  it('come in the order of the results, without those that are gone', async () => {
    vi.stubGlobal('document', { baseURI: 'http://localhost/' })
    vi.stubGlobal('fetch', (url: URL) => {
      const id = /(\w+)\.png$/.exec(url.href)?.[1] ?? ''
      return new Promise((done) =>
        setTimeout(
          () => done(id === 'b' ? new Response('{}', { status: 404 }) : new Response(id)),
          id === 'a' ? 20 : 1,
        ),
      )
    })
    const told: number[] = []
    const entries = ['a', 'b', 'c', 'd', 'e'].map((id) => entry(id))
    const { signal } = new AbortController()
    const { files, missing } = await fetchFiles(entries, signal, (n) => told.push(n))
    expect(missing).toBe(1)
    expect(await Promise.all(files.map((f) => f.data.text()))).toEqual(['a', 'c', 'd', 'e'])
    expect(told).toEqual([1, 2, 3, 4, 5])
    vi.unstubAllGlobals()
  })
})
