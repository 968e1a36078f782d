import { beforeEach, describe, expect, it, vi } from 'vitest'
import { batch, count, left, progress as batchProgress, stateOf } from './batch'
import { Fault, type Progress, type PostedRequest, type TransferRequest } from './api'
import * as draft from './draft'
import { setLanguage } from './i18n'
import { largerRequest, nextSize } from './larger'
import { pngText } from './png'
import { expected, extent, paceOf, presets } from './presets'
import { parseSettings, returnedDraft } from './returned'
import { waitForRoom } from './room'
import { memoryStore, useStore } from './storage'
import { duration, summarise } from './summary'
import { known, merge } from './tasks'
import { small, spread } from './variations'

beforeEach(() => {
  useStore(memoryStore())
  setLanguage('en')
  presets.pace = 0
  presets.all = [
    { name: 'draft', description: '', size: 256, num_steps: 40 },
    { name: 'painting', description: '', size: 512, num_steps: 300 },
    { name: 'fine', description: '', size: 512, num_steps: 600 },
    { name: 'portrait', description: '', size: 512, num_steps: 300 },
  ]
})

const bytes = (text: string) => [...text].map((c) => c.charCodeAt(0))
const chunk = (type: string, data: number[], length = data.length) => [
  (length >>> 24) & 255,
  (length >>> 16) & 255,
  (length >>> 8) & 255,
  length & 255,
  ...bytes(type),
  ...data,
  0,
  0,
  0,
  0,
]
const png = (...chunks: number[][]) =>
  new Uint8Array([0x89, ...bytes('PNG\r\n\x1a\n'), ...chunks.flat()]).buffer

describe('the text of a PNG', () => {
  const head = chunk('IHDR', new Array<number>(13).fill(1))

  it('is found among other chunks and keywords', () => {
    const file = png(
      head,
      chunk('tEXt', bytes('nst\0{"nst": 1}')),
      chunk('IDAT', [1, 2, 3]),
      chunk('tEXt', bytes('nst-request\0{"é": 1}')),
      chunk('IEND', []),
    )
    expect(pngText(file, 'nst-request')).toBe('{"é": 1}')
    expect(pngText(file, 'nst')).toBe('{"nst": 1}')
    expect(pngText(file, 'request')).toBeUndefined()
  })

  it('is not found in other files, or in damaged ones', () => {
    const text = chunk('tEXt', bytes('k\0v'))
    expect(pngText(new Uint8Array(bytes('JFIF')).buffer, 'k')).toBeUndefined()
    expect(pngText(new ArrayBuffer(0), 'k')).toBeUndefined()
    expect(pngText(png(head, text.slice(0, -6)), 'k')).toBeUndefined()
    expect(pngText(png(head, chunk('tEXt', bytes('k\0v'), 0xffffffff)), 'k')).toBeUndefined()
    expect(pngText(png(head, chunk('tEXt', bytes('kv'))), 'k')).toBeUndefined()
    for (let n = 0; n < 60; n++)
      expect(() => pngText(png(head, text).slice(0, n), 'k')).not.toThrow()
  })
})

describe('settings that come back', () => {
  const settings = (more: object) =>
    parseSettings(JSON.stringify({ styles: [{ name: 'munch', weight: 3 }], ...more }))

  it('fill the draft, and keep its picture', () => {
    const s = settings({ preset: 'portrait', strength: 0.5, style_scale: 1.5, pooling: 'avg' })
    const d = returnedDraft(s ?? {}, 'c.png', ['munch', 'hokusai'])
    expect(d).toEqual({
      content: 'c.png',
      styles: [{ name: 'munch', weight: 3 }],
      preset: 'portrait',
      values: { strength: 0.5, strokes: 1.5 },
      more: { pooling: 'avg' },
    })
  })

  it('leave out styles that are not offered, and uploads', () => {
    const s = parseSettings(
      '{"styles": [{"name": null, "weight": 1}, {"name": "gone"}, {"name": "munch"}]}',
    )
    expect(returnedDraft(s ?? {}, '', ['munch']).styles).toEqual([{ name: 'munch', weight: 50 }])
  })

  it('are not taken from what is no such text', () => {
    for (const text of ['', 'null', '[]', '{}', '7', '{"styles": 1}', '{"styles": [1', '"styles"'])
      expect(parseSettings(text)).toBeUndefined()
  })

  it('never name pictures or a webhook, and have the right types', () => {
    const s = settings({
      content_image: 'x.png',
      keep_mask: 'x.png',
      webhook: 'https://evil.example',
      size: '512',
      strength: {},
      num_steps: null,
      scales: [16, { a: 1 }],
      'a b': 1,
      __proto__: { a: 1 },
    })
    const d = returnedDraft(s ?? {}, 'c.png', ['munch'])
    expect(d).toEqual({
      content: 'c.png',
      styles: [{ name: 'munch', weight: 3 }],
      preset: '',
      values: {},
    })
  })
})

describe('another task’s settings', () => {
  it('come back as they were, also those that the page has no control for', async () => {
    const asked: PostedRequest = {
      content_image: 'c.png',
      styles: [{ name: 'munch', weight: 30 }],
      preset: 'portrait',
      strength: 0.5,
      style_scale: 2,
      scales: [64, 128],
      ...{ content_weight: 7, pooling: 'avg' },
    }
    const d = draft.fromPosted(asked)
    expect(d.more).toEqual({ scales: [64, 128], content_weight: 7, pooling: 'avg' })
    expect(await draft.toRequest(d, () => Promise.resolve(''))).toEqual(asked)
    draft.load(d)
    draft.load(draft.blank())
    expect(draft.draft.more).toBeUndefined()
  })

  it('begin anew if the task continued another result', () => {
    const d = draft.fromPosted({
      content_image: 'c.png',
      style_image: 'munch',
      size: 1024,
      scales: 'none',
      scale_iterations: [50],
      init_image: 'a.png',
    })
    expect(d.values.size).toBe(1024)
    expect(d.more).toBeUndefined()
    const noise = draft.fromPosted({ content_image: 'c', style_image: 'm', init_image: 'noise' })
    expect(noise.more).toEqual({ init_image: 'noise' })
  })
})

describe('a larger picture', () => {
  const asked: PostedRequest = {
    content_image: 'c.png',
    styles: [{ name: 'munch', weight: 3, mask: 'm.png' }],
    keep_mask: 'k.png',
    strength: 0.5,
    num_steps: 300,
  }

  it('has the next size that the service makes', () => {
    expect(nextSize(asked)).toBe(1024)
    expect(nextSize({ ...asked, preset: 'draft' })).toBe(1024)
    expect(nextSize({ ...asked, size: 1024 })).toBe(2048)
    expect(nextSize({ ...asked, size: 2048 })).toBeUndefined()
    presets.ranges.size.max = 1000
    expect(nextSize(asked)).toBeUndefined()
    presets.ranges.size.max = 2048
  })

  it('begins with the result, at the finest scale, with all else as before', async () => {
    const first = await largerRequest(asked, 'id', 1024)
    expect(first).toEqual({
      content_image: 'c.png',
      styles: asked.styles ?? [],
      keep_mask: 'k.png',
      strength: 0.5,
      size: 1024,
      scales: 'none',
      scale_iterations: [50],
      init_image: 'id.png',
    } satisfies TransferRequest)
    expect(await largerRequest(first, 'id2', 2048)).toEqual({
      ...first,
      size: 2048,
      init_image: 'id2.png',
    })
  })
})

describe('the expected time', () => {
  it('follows from the latest results, large ones more', () => {
    const request = { content_image: 'c.png', style_image: 'munch' }
    const pace = paceOf([
      { seconds: 30, steps: 300, request },
      { seconds: 1, steps: 40, request: { ...request, preset: 'draft' } },
      { seconds: 999, steps: 50, request: { ...request, init_image: 'a.png' } },
      { steps: 300, request },
    ])
    presets.pace = pace
    const seconds = (preset: string) => Math.round(expected(extent({ preset })) ?? 0)
    expect(seconds('painting')).toBe(30)
    expect(seconds('fine')).toBe(60)
    expect(seconds('draft')).toBe(1)
    presets.pace = paceOf([])
    expect(expected(extent({}))).toBeUndefined()
  })
})

describe('the summary', () => {
  it('says in words what differs from the usual', () => {
    const d = draft.blank()
    draft.toggleStyle(d, 'van-gogh')
    expect(summarise(d)).toBe('Van Gogh · Painting, 512 px')
    expect(duration(d)).toBe('')
    d.preset = 'draft'
    d.values = { strength: 0.6, strokes: 0.5, weight: 9000, colour: 'content' }
    expect(summarise(d)).toBe(
      'Van Gogh · Draft, 256 px · 60 % strength · finer strokes · more style · colours of the photograph',
    )
    d.values = { weight: 5000, strokes: 2 }
    d.preset = 'portrait'
    expect(summarise(d)).toBe(
      'Van Gogh · Portrait, 512 px · larger strokes · closer to the photograph',
    )
  })
})

describe('variations', () => {
  const d = draft.blank()
  d.content = 'c.png'
  draft.toggleStyle(d, 'munch')
  d.values = { size: 2048, steps: 1000, strength: 0.5, colour: 'content' }

  it('differ in one setting, and keep the others', () => {
    for (const n of [4, 9] as const) {
      const strengths = spread(d, 'strength', n, []).map((c) => c.draft.values)
      expect(new Set(strengths.map((v) => v.strength)).size).toBe(n)
      expect(strengths.every((v) => v.colour === 'content' && v.size === 2048)).toBe(true)
      const strokes = spread(d, 'strokes', n, []).map((c) => c.draft.values)
      expect(new Set(strokes.map((v) => v.strokes)).size).toBe(n)
      expect(strokes.every((v) => v.strength === 0.5)).toBe(true)
      const seeds = spread(d, 'chance', n, []).map((c) => c.draft)
      expect(new Set(seeds.map((s) => s.values.seed)).size).toBe(n)
      expect(seeds.every((s) => s.more?.['init_image'] === 'noise')).toBe(true)
    }
    const names = ['hokusai', 'munch', 'klimt', 'marc', 'monet']
    const styles = spread(d, 'styles', 4, names).map((c) => c.draft.styles.map((s) => s.name))
    expect(styles).toEqual([['munch'], ['hokusai'], ['klimt'], ['marc']])
    expect(spread(d, 'styles', 9, ['munch', 'marc'])).toHaveLength(2)
    expect(d.values.strength).toBe(0.5)
  })

  it('are small and quick', () => {
    const s = small(d)
    expect(s.preset).toBe('draft')
    expect(s.values).toEqual({ strength: 0.5, colour: 'content' })
    const portrait = small({ ...d, preset: 'portrait' })
    expect(portrait.preset).toBe('portrait')
    expect(portrait.values).toEqual({ strength: 0.5, colour: 'content', size: 256, steps: 100 })
  })
})

describe('a batch', () => {
  const task = (id: string, more: Partial<Progress>) =>
    merge({
      task_id: id,
      status: 'running',
      progress: 1,
      total: 100,
      percent: 50,
      content_loss: null,
      style_loss: null,
      eta_seconds: null,
      error: null,
      output_img: null,
      content_img: null,
      style_img: null,
      ...more,
    })

  it('has one progress: what failed is over, what runs counts by its percent', () => {
    known.clear()
    task('a', {})
    task('b', { status: 'completed' })
    task('c', { status: 'queued', percent: 0 })
    batch.items = [
      { id: 1, name: 'a', state: 'begun', task: 'a' },
      { id: 2, name: 'b', state: 'begun', task: 'b' },
      { id: 3, name: 'c', state: 'begun', task: 'c' },
      { id: 4, name: 'd', state: 'failed' },
      { id: 5, name: 'e', state: 'sent' },
    ]
    expect(batch.items.map(stateOf)).toEqual(['running', 'done', 'begun', 'failed', 'sent'])
    expect(batchProgress.value).toEqual({ share: 0.5, over: false })
    expect(count('done')).toBe(1)
    task('a', { status: 'completed' })
    task('c', { status: 'cancelled' })
    batch.items.pop()
    expect(batchProgress.value).toEqual({ share: 1, over: true })
    const gone = known.get('b')
    if (gone) gone.gone = true
    expect(batch.items.map(stateOf)).toEqual(['done', 'failed', 'cancelled', 'failed'])
    batch.items = []
  })

  it('tells the time that is left, once there is something to tell it from', () => {
    batch.started = 1000
    expect(left(0.25, 11_000)).toBe(30)
    expect(left(0.01, 11_000)).toBeUndefined()
    expect(left(1, 11_000)).toBeUndefined()
    batch.started = 0
    expect(left(0.25, 11_000)).toBeUndefined()
  })
})

describe('a full queue', () => {
  it('is waited for as long as it asks, a quota of the day is not', async () => {
    vi.useFakeTimers()
    const state = { wait: 0 }
    const waited = waitForRoom(new Fault('full', '', 3), state, () => false)
    expect(state.wait).toBe(3)
    await vi.advanceTimersByTimeAsync(2000)
    expect(state.wait).toBe(1)
    await vi.advanceTimersByTimeAsync(1000)
    expect(await waited).toBe(true)
    expect(await waitForRoom(new Fault('full', '', 40_000), state, () => false)).toBe(false)
    expect(await waitForRoom(new Fault('invalid'), state, () => false)).toBe(false)
    vi.useRealTimers()
  })
})
