import { beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type Entry,
  Fault,
  type Progress,
  type Style,
  connectivity,
  kindOf,
  quality,
  resolveUrl,
  signIn,
  tokenPrompt,
  uploadFault,
} from './api'
import { MAX_POINTS, type Point, addPoint, line } from './chart'
import * as draft from './draft'
import { adviceFor, readableDetail, retryDelay } from './faults'
import { add, group } from './history'
import { figure, language, maybe, seconds, setLanguage, t } from './i18n'
import { deleteLater, resumeDeletions } from './deletion'
import { backoff, link, onReconnect } from './link'
import { extend, fit, isBlank } from './masks'
import { forgetUser, loadItem, memoryStore, saveItem, useStore } from './storage'
import {
  canToggle,
  catalog,
  chooseStyle,
  creditOf,
  nameOf,
  readable,
  setLabel,
  thumbOf,
} from './styles'
import {
  isFinished,
  known,
  listed,
  merge,
  onFinished,
  open,
  removeFinished,
  restore,
} from './tasks'
import { parseHash } from './view'

beforeEach(() => {
  useStore(memoryStore())
  known.clear()
  setLanguage('en')
})

const progress = (more: Partial<Progress> = {}): Progress => ({
  task_id: 'a',
  status: 'running',
  progress: 1,
  total: 100,
  percent: 1,
  content_loss: 0.5,
  style_loss: 0.1,
  eta_seconds: 3,
  error: null,
  output_img: null,
  content_img: 'c.png',
  style_img: 'munch',
  ...more,
})

const entry = (id: string, content: string, finished: number): Entry => ({
  task_id: id,
  content_img: content,
  style_img: 'munch',
  styles: [{ name: 'munch', weight: 1 }],
  style_weight: 7000,
  steps: 300,
  request: { content_image: content, style_image: 'munch' },
  output_img: `/history/${id}.png`,
  thumbnail: null,
  created: finished - 1,
  finished,
})

describe('styles', () => {
  it('are shown by their preview, with a credit for those that have one', () => {
    const pack: Style = {
      name: 'klimt',
      url: null,
      thumbnail: null,
      preview: '/nst/styles/klimt.jpg',
      kind: 'pack',
      artist: 'Gustav Klimt',
      title: 'The Kiss',
      year: null,
      removable: false,
    }
    catalog.all = [pack, { ...pack, name: 'bare', preview: null, artist: null, title: null }]
    vi.stubGlobal('document', { baseURI: 'https://example.org/art/' })
    expect(thumbOf('klimt')).toBe('https://example.org/art/styles/klimt.jpg')
    vi.unstubAllGlobals()
    expect(thumbOf('bare')).toBeUndefined()
    expect(catalog.all.map(creditOf)).toEqual(['Gustav Klimt, The Kiss', ''])
    catalog.all = []
  })
})

describe('a mix', () => {
  it('has no network, which paints alone', () => {
    const style = (name: string, kind: Style['kind']): Style => ({
      name,
      url: null,
      thumbnail: null,
      preview: null,
      kind,
      artist: null,
      title: null,
      year: null,
      removable: false,
    })
    const d = draft.blank()
    catalog.all = [style('a', 'pack'), style('b', 'picture'), style('net', 'network')]
    expect(canToggle(d, 'a')).toBe(false)
    chooseStyle(d, 'a')
    expect(['a', 'b', 'net'].map((n) => canToggle(d, n))).toEqual([false, true, false])
    chooseStyle(d, 'net')
    expect(['a', 'b', 'net'].map((n) => canToggle(d, n))).toEqual([false, false, false])
    catalog.all = []
  })
})

describe('addresses', () => {
  it('are below the page, whatever prefix the service and a proxy have', () => {
    const base = 'https://example.org/art/'
    expect(resolveUrl(base, '/results/x.png')).toBe('https://example.org/art/results/x.png')
    expect(resolveUrl(base, '/nst/thumbs/x.png.jpg')).toBe(
      'https://example.org/art/thumbs/x.png.jpg',
    )
    expect(resolveUrl(base, '/nst/history/x.png')).toBe('https://example.org/art/history/x.png')
    expect(resolveUrl(base, 'uploads/y.jpg')).toBe('https://example.org/art/uploads/y.jpg')
  })

  it('say which task is shown, and nothing else does', () => {
    expect(parseHash('#/task/0123abcd')).toEqual({ page: 'studio', task: '0123abcd' })
    expect(parseHash('#/gallery')).toEqual({ page: 'gallery', task: '' })
    expect(parseHash('#/task/../../x')).toEqual({ page: 'studio', task: '' })
  })
})

describe('faults', () => {
  it('are told apart by status, and a full queue from too many requests', () => {
    expect(kindOf(413, '')).toBe('large')
    expect(kindOf(502, '<html>')).toBe('gone')
    expect(kindOf(429, 'more than 20 requests a second')).toBe('often')
    expect(kindOf(429, '100 tasks wait already')).toBe('full')
    expect(kindOf(500, '')).toBe('broken')
  })

  it('each have a sentence and a next step', () => {
    for (const status of [0, 400, 403, 404, 409, 413, 415, 429, 502, 503, 507, 500]) {
      const advice = adviceFor(new Fault(kindOf(status, '')))
      expect(t(advice.text).length).toBeGreaterThan(3)
      expect(t(advice.next).length).toBeGreaterThan(3)
    }
  })

  it('of an empty or tiny file ask for another one, in words', () => {
    const empty = new Fault('invalid', 'content_image: the file is empty: choose another one')
    expect(uploadFault(empty).kind).toBe('file')
    expect(readableDetail(empty)).toBe('the file is empty: choose another one')
    const tiny = new Fault('type', 'style_image: 9x9 pixels is too small: each side needs 16')
    expect(uploadFault(tiny).kind).toBe('file')
    expect(uploadFault(new Fault('type', 'content_image: is damaged')).kind).toBe('type')
    const narrow = new Fault('invalid', 'size: 16 makes content_image 16x11 pixels')
    expect(readableDetail(narrow)).toBe('size: 16 makes the picture 16x11 pixels')
  })

  it('are waited for only where that helps', () => {
    expect(retryDelay(new Fault('full', '', 10))).toBe(10)
    expect(retryDelay(new Fault('often'))).toBe(1)
    expect(retryDelay(new Fault('large', '', 10))).toBe(0)
  })
})

describe('the draft', () => {
  const sent = async () => 'mask.png'

  it('becomes a request with the defaults of the service', async () => {
    const d = draft.blank()
    d.content = 'c.png'
    draft.toggleStyle(d, 'munch')
    expect(await draft.toRequest(d, sent)).toEqual({
      content_image: 'c.png',
      styles: [{ name: 'munch', weight: 50 }],
    })
  })

  it('leaves to a preset what was not chosen', async () => {
    const d = draft.blank()
    d.content = 'c.png'
    d.preset = 'fine'
    d.values.steps = 150
    draft.toggleStyle(d, 'munch')
    const r = await draft.toRequest(d, sent)
    expect(r.num_steps).toBe(150)
    expect(r.style_weight).toBeUndefined()
    expect(r.preset).toBe('fine')
  })

  it('sends the masks of regions that were painted, and no others', async () => {
    const d = draft.blank()
    draft.toggleStyle(d, 'munch')
    draft.toggleStyle(d, 'hokusai')
    const [munch, hokusai] = d.styles
    if (munch) munch.mask = { strokes: [{ erase: false, width: 0.1, at: [0.5, 0.5] }] }
    if (hokusai) hokusai.mask = { strokes: [{ erase: true, width: 0.1, at: [0.5, 0.5] }] }
    const r = await draft.toRequest(d, sent)
    expect(r.styles.map((s) => s.mask)).toEqual(['mask.png', undefined])
    expect(r.keep_mask).toBeUndefined()
  })

  it('comes back from a request and from the history as it was', async () => {
    const asked = {
      content_image: 'c.png',
      styles: [
        { name: 'munch', weight: 30, mask: 'm.png' },
        { name: 'hokusai', weight: 70 },
      ],
      style_weight: 8000,
      num_steps: 120,
      strength: 0.5,
      size: 256,
      colour: 'content',
      keep_mask: 'k.png',
    }
    const send = async (m: { under?: string }) => m.under ?? ''
    expect(await draft.toRequest(draft.fromRequest(asked), send)).toEqual(asked)
    expect(await draft.toRequest(draft.fromPosted(asked), send)).toEqual(asked)
    const single = draft.fromPosted({ content_image: 'c.png', style_image: 'munch', size: 256 })
    expect(single.styles.map((s) => s.name)).toEqual(['munch'])
    expect(single.values.size).toBe(256)
  })

  it('loses regions with the picture that they are of, and says so', () => {
    const d = draft.blank()
    d.content = 'a.png'
    d.keepMask = { under: 'k.png', strokes: [] }
    expect(draft.setContent(d, 'b.png')).toBe(true)
    expect(d.keepMask).toBeUndefined()
    expect(draft.setContent(d, 'c.png')).toBe(false)
  })

  it('mixes no more styles than the service does, in shares of a hundred', () => {
    const d = draft.blank()
    for (let i = 0; i < draft.MAX_STYLES; i++) expect(draft.toggleStyle(d, `s${i}`)).toBe(true)
    expect(draft.toggleStyle(d, 'one more')).toBe(false)
    expect(d.styles.reduce((sum, s) => sum + draft.share(d, s), 0)).toBeCloseTo(100)
    expect(draft.toggleStyle(d, 's0')).toBe(true)
    expect(draft.missing(d)).toBe('content')
  })
})

describe('tasks', () => {
  it('gather losses while they run, and are told of once at their end', () => {
    const ended = vi.fn()
    onFinished(ended)
    merge(progress())
    merge(progress({ progress: 2, percent: 2 }))
    merge(progress({ status: 'completed', progress: 100, output_img: 'a.png' }))
    merge(progress({ status: 'completed', progress: 100, output_img: 'a.png' }))
    expect(known.get('a')?.losses.length).toBe(2)
    expect(ended).toHaveBeenCalledTimes(1)
    expect(open.value.length).toBe(0)
  })

  it('are listed newest first, and those that are over can be cleared away', () => {
    merge(progress())
    merge(progress({ task_id: 'b', status: 'failed' }))
    merge(progress({ task_id: 'c', status: 'queued' }))
    expect(listed.value.map((one) => one.now.task_id)).toEqual(['c', 'b', 'a'])
    removeFinished()
    expect([...known.keys()]).toEqual(['a', 'c'])
    expect(isFinished(progress({ status: 'cancelled' }))).toBe(true)
  })

  it('are there again after a refresh, with the losses so far', () => {
    saveItem('tasks', [['a', { now: progress(), losses: [{ step: 1, content: 1, style: 1 }] }]])
    restore()
    expect(known.get('a')?.losses.length).toBe(1)
  })
})

describe('the chart', () => {
  it('keeps few points of many, the last among them, and goes back with the task', () => {
    const points: Point[] = []
    for (let step = 0; step <= 1000; step++) addPoint(points, { step, content: 1, style: 1 })
    expect(points.length).toBeLessThanOrEqual(MAX_POINTS)
    expect(points.at(-1)?.step).toBe(1000)
    addPoint(points, { step: 3, content: 1, style: 1 })
    expect(points.map((p) => p.step)).toEqual([0, 3])
  })

  it('loses no more than the last points to an answer that comes late', () => {
    const points: Point[] = []
    for (const step of [1, 2, 3, 2, 4]) addPoint(points, { step, content: step, style: 1 })
    expect(points.map((p) => p.step)).toEqual([1, 2, 4])
  })

  it('is logarithmic, passes over zeros, and is none of fewer than two points', () => {
    const points = [
      { step: 0, content: 0, style: 100 },
      { step: 50, content: null, style: 10 },
      { step: 100, content: 2, style: 1 },
    ]
    expect(line(points, 'content', 100, 100, 100)).toBeNull()
    expect(line(points, 'style', 100, 100, 100)?.path).toBe('M0.0 0.0L50.0 50.0L100.0 100.0')
  })
})

describe('the history', () => {
  it('is grouped by photograph, newest first, without what is being deleted', () => {
    const list = add(
      [entry('a', 'x', 1)],
      [entry('b', 'y', 3), entry('c', 'x', 2), entry('a', 'x', 1)],
    )
    expect(group(list, new Set()).map((g) => [g.content, g.entries.map((e) => e.task_id)])).toEqual(
      [
        ['y', ['b']],
        ['x', ['c', 'a']],
      ],
    )
    expect(group(list, new Set(['y'])).length).toBe(1)
  })
})

describe('a deletion', () => {
  const deletions = (ask: (key: string) => Promise<void>) => ({
    name: 'going',
    pending: new Set<string>(),
    ask: vi.fn(ask),
    done: vi.fn(),
  })

  it('is done after a while, unless it is undone', async () => {
    vi.useFakeTimers()
    const of = deletions(() => Promise.resolve())
    const undo = deleteLater(of, 'x', vi.fn(), 1000)
    expect([...of.pending]).toEqual(['x'])
    undo()
    await vi.advanceTimersByTimeAsync(2000)
    expect(of.ask).not.toHaveBeenCalled()
    expect(of.pending.size).toBe(0)
    deleteLater(of, 'x', vi.fn(), 1000)
    await vi.advanceTimersByTimeAsync(2000)
    expect(of.ask).toHaveBeenCalledTimes(1)
    expect(loadItem('going', null)).toEqual([])
    vi.useRealTimers()
  })

  it('that the service refuses brings back what it was of, and is told', async () => {
    const of = deletions(() => Promise.reject(new Fault('busy')))
    const told = vi.fn()
    deleteLater(of, 'x', told, 0)
    await vi.waitFor(() => expect(told).toHaveBeenCalledTimes(1))
    await vi.waitFor(() => expect(of.pending.size).toBe(0))
  })

  it('goes on when the page is here again, if it was left or the service gone', async () => {
    const before = deletions(() => Promise.reject(new Fault('gone')))
    deleteLater(before, 'x', vi.fn(), 0)
    await vi.waitFor(() => expect(before.ask).toHaveBeenCalled())
    const now = deletions(() => Promise.reject(new Fault('unknown'))) // deleted before
    resumeDeletions(now)
    expect(now.ask).toHaveBeenCalledWith('x')
    await vi.waitFor(() => expect(loadItem('going', null)).toEqual([]))
    expect(now.done).toHaveBeenCalledWith('x')
  })
})

describe('the connection', () => {
  it('is tried ever more slowly, and all are told when it is back', () => {
    vi.useFakeTimers()
    const back = vi.fn()
    onReconnect(back)
    expect([0, 1, 2, 9].map(backoff)).toEqual([1000, 2000, 4000, 10_000])
    connectivity.report(false)
    connectivity.report(false)
    expect(link.up).toBe(false)
    connectivity.report(true)
    connectivity.report(true)
    expect(back).toHaveBeenCalledTimes(1)
    vi.useRealTimers()
  })
})

describe('words', () => {
  it('are put together, and switched', async () => {
    expect(t('task.step', { n: 3, total: 9 })).toBe('Step 3 of 9')
    await setLanguage('zh-CN')
    expect(language.value).toBe('zh-CN')
    expect(t('task.step', { n: 3, total: 9 })).toContain('3')
    expect(maybe('preset.of-somebody', 'their own')).toBe('their own')
  })

  it('make numbers readable', () => {
    expect(seconds(61.2)).toBe('61 s')
    expect(seconds(125)).toBe('2 min 5 s')
    expect(figure(null)).toBe('–')
    expect(figure(0.0404167)).toBe('0.0404')
    expect(figure(1.0966e-6)).toBe('1.1e-6')
  })

  it('name styles by their file, here, and by their name elsewhere', () => {
    expect(readable('starry_night.jpg')).toBe('Starry Night')
    expect(nameOf('0123456789abcdef0123456789abcdef.jpg')).toBe('My style')
    setLabel('0123456789abcdef0123456789abcdef.jpg', 'water lilies.png')
    expect(nameOf('0123456789abcdef0123456789abcdef.jpg')).toBe('Water Lilies')
  })
})

describe('masks', () => {
  it('leave out points that are no news, and are blank without paint', () => {
    const stroke = { erase: false, width: 0.1, at: [] as number[] }
    expect(extend(stroke, 0.5, 0.5)).toBe(true)
    expect(extend(stroke, 0.5001, 0.5)).toBe(false)
    expect(extend(stroke, 0.6, 0.5)).toBe(true)
    expect(stroke.at).toEqual([0.5, 0.5, 0.6, 0.5])
    expect(isBlank({ strokes: [stroke] })).toBe(false)
    expect(isBlank({ strokes: [{ ...stroke, erase: true }] })).toBe(true)
    expect(isBlank(undefined)).toBe(true)
  })

  it('are of the size of the picture, within a longest side', () => {
    expect(fit(4000, 3000, 1024)).toEqual([1024, 768])
    expect(fit(300, 200, 1024)).toEqual([300, 200])
  })
})

describe('figures', () => {
  it('are asked for until they are computed', async () => {
    vi.useFakeTimers()
    vi.stubGlobal('document', { baseURI: 'https://example.org/art/' })
    const headers = { 'Retry-After': '1' }
    const fetched = vi
      .fn<typeof fetch>()
      .mockResolvedValueOnce(new Response('{}', { status: 202, headers }))
      .mockResolvedValueOnce(new Response('{"ssim": 0.5}'))
    vi.stubGlobal('fetch', fetched)
    const answer = quality('a')
    await vi.advanceTimersByTimeAsync(1000)
    expect((await answer).ssim).toBe(0.5)
    expect(fetched.mock.calls.map((c) => (c[0] as URL).pathname)).toEqual([
      '/art/api/tasks/a/quality',
      '/art/api/tasks/a/quality',
    ])
    vi.unstubAllGlobals()
    vi.useRealTimers()
  })
})

describe('what is kept', () => {
  it('outlasts what cannot be read, and a shelf that is full', () => {
    const store = memoryStore()
    useStore(store)
    store.setItem('nst.draft', '{"broken')
    expect(loadItem('draft', 'as new')).toBe('as new')
    expect(saveItem('draft', { a: 1 })).toBe(true)
    expect(loadItem('draft', null)).toEqual({ a: 1 })
    useStore({
      getItem: () => null,
      setItem: () => {
        throw new Error('full')
      },
      removeItem: () => undefined,
    })
    expect(saveItem('draft', 1)).toBe(false)
  })

  it('of a user is forgotten, of the browser is not', () => {
    saveItem('draft', 1)
    saveItem('theme', 'dark')
    forgetUser()
    expect(loadItem('draft', null)).toBe(null)
    expect(loadItem('theme', null)).toBe('dark')
  })
})

describe('signing in', () => {
  it('says why it fails, and ends the question when it does not', async () => {
    vi.stubGlobal('document', { baseURI: 'http://localhost/nst/' })
    const fetched = vi.fn<typeof fetch>()
    vi.stubGlobal('fetch', fetched)
    tokenPrompt.open = true
    for (const [status, problem] of [
      [401, 'wrong'],
      [429, 'often'],
      [503, 'gone'],
    ] as const) {
      fetched.mockResolvedValueOnce(new Response('{}', { status }))
      await signIn('a token', false)
      expect(tokenPrompt).toEqual({ open: true, problem })
    }
    fetched.mockRejectedValueOnce(new TypeError('no network'))
    await signIn('a token', false)
    expect(tokenPrompt.problem).toBe('gone')
    fetched.mockResolvedValueOnce(new Response('{}'))
    await signIn('a token', true)
    expect(tokenPrompt).toEqual({ open: false, problem: '' })
    expect(String(fetched.mock.lastCall?.[0])).toBe('http://localhost/nst/api/login')
    expect(fetched.mock.lastCall?.[1]?.body).toBe('{"token":"a token","remember":true}')
    vi.unstubAllGlobals()
  })
})
