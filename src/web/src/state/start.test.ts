/** What the first minute needs of the state: switching and mixing styles, previews. */
import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as api from './api'
import { blank, draft, toggleStyle } from './draft'
import { link } from './link'
import { mixParameter, openPreviews, previewOf, wanted } from './previews'
import { chooseStyle } from './styles'
import { thin } from './tasks'
import { nextTick } from 'vue'

describe('chooseStyle', () => {
  it('switches, and keeps the region of a style that was in the mix', () => {
    const d = blank()
    chooseStyle(d, 'munch')
    chooseStyle(d, 'monet')
    expect(d.styles).toEqual([{ name: 'monet', weight: 50 }])
    toggleStyle(d, 'munch')
    const mask = { under: 'region.png', strokes: [] }
    const [, munch] = d.styles
    if (munch) munch.mask = mask
    chooseStyle(d, 'munch')
    expect(d.styles).toEqual([{ name: 'munch', weight: 50, mask }])
  })
})

describe('mixParameter', () => {
  it('names a style alone, and several with their weights', () => {
    expect(mixParameter([])).toBe('')
    expect(mixParameter([{ name: 'munch', weight: 7 }])).toBe('munch')
    expect(
      mixParameter([
        { name: 'munch', weight: 70 },
        { name: 'monet', weight: 0 },
      ]),
    ).toBe('munch:70,monet:1')
  })
})

describe('previews', () => {
  const asked: string[] = []
  const answers: { done: (b: Blob) => void; fail: (e: unknown) => void; signal: AbortSignal }[] = []
  const settle = async () => {
    for (let i = 0; i < 9; i++) await nextTick()
  }

  beforeEach(() => {
    vi.stubGlobal('document', { hidden: false, addEventListener: () => undefined })
    vi.spyOn(URL, 'createObjectURL').mockImplementation((b) => `blob:${String((b as Blob).size)}`)
    vi.spyOn(URL, 'revokeObjectURL').mockImplementation(() => undefined)
    vi.spyOn(api, 'preview').mockImplementation((content, style, size, signal) => {
      asked.push(`${content} ${style} ${size}`)
      return new Promise((done, fail) => {
        answers.push({ done, fail, signal })
        signal.addEventListener('abort', () => fail(new DOMException('', 'AbortError')))
      })
    })
  })

  it('are made one at a time, the stage first, and anew for another photograph', async () => {
    link.up = true
    draft.content = 'a.jpg'
    wanted.tiles = ['marc', 'monet']
    wanted.stage = 'munch'
    openPreviews()
    await settle()
    expect(asked).toEqual(['a.jpg munch 256'])
    answers[0]?.done(new Blob(['1']))
    await settle()
    expect(previewOf('munch', 256)).toBe('blob:1')
    expect(asked).toEqual(['a.jpg munch 256', 'a.jpg marc 128'])

    draft.content = 'b.jpg'
    await settle()
    expect(answers[1]?.signal.aborted).toBe(true)
    expect(previewOf('munch', 256)).toBe(undefined)
    expect(asked.slice(2)).toEqual(['b.jpg munch 256'])

    answers[2]?.fail(new api.Fault('unknown')) // it is not asked for again
    await settle()
    expect(asked.slice(3)).toEqual(['b.jpg marc 128'])
    answers[3]?.fail(new api.Fault('ending', '', 1)) // it is, but later
    await settle()
    expect(asked.length).toBe(4)
    await vi.waitFor(() => expect(asked.slice(4)).toEqual(['b.jpg marc 128']), { timeout: 5000 })

    wanted.tiles = ['monet']
    await settle()
    expect(answers[4]?.signal.aborted).toBe(true)
    expect(asked.slice(5)).toEqual(['b.jpg monet 128'])
    link.up = false
    await settle()
    expect(answers[5]?.signal.aborted).toBe(true)
    expect(asked.length).toBe(6)
  })
})

describe('thin', () => {
  it('takes the first of many values at once, and then the last of each while', () => {
    vi.useFakeTimers()
    const taken: number[] = []
    const values = thin((n: number) => taken.push(n))
    for (const n of [1, 2, 3]) values.next(n)
    expect(taken).toEqual([1])
    vi.advanceTimersByTime(100)
    expect(taken).toEqual([1, 3])
    vi.advanceTimersByTime(1000)
    values.next(4)
    expect(taken).toEqual([1, 3, 4])
    values.next(5)
    values.flush()
    expect(taken).toEqual([1, 3, 4, 5])
    vi.advanceTimersByTime(1000)
    expect(taken).toEqual([1, 3, 4, 5])
    vi.useRealTimers()
  })
})
