import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Fault, type Progress, kindOf } from './api'
import { isolate } from './bidi'
import { adviceFor, readableDetail, retryDelay } from './faults'
import { bytes, figure, language, roughly, setLanguage, t } from './i18n'
import { LANGUAGES, type Language, guess, loadWords, localeOf, preferred } from './languages'
import { memoryStore, saveItem, useStore } from './storage'
import { noteWait, waitOf } from './wait'
import { en } from './words/en'

const others = Object.keys(LANGUAGES).filter((l) => l !== 'en') as Exclude<Language, 'en'>[]

afterEach(() => setLanguage('en'))

describe('the languages', () => {
  const holes = (text: string) =>
    [...new Set([...text.matchAll(/\{(\w+)/g)].map((m) => m[1]))].sort()

  it.each(others)('%s has the same holes as English, and texts that English has', async (of) => {
    for (const [key, text] of Object.entries(await loadWords(of))) {
      expect(en, key).toHaveProperty([key])
      expect(holes(text), key).toEqual(holes(en[key as keyof typeof en]))
      expect(text.trim(), key).toBe(text)
    }
  })

  it.each(Object.keys(LANGUAGES) as Language[])('%s has a form for each number', async (of) => {
    await setLanguage(of)
    expect(language.value).toBe(of)
    for (const n of [0, 1, 2, 5, 11, 1_000_000]) expect(t('shell.place', { n })).toMatch(/\p{L}/u)
  })

  it('count in the forms of the language', async () => {
    expect(t('shell.place', { n: 1 })).toBe('1 task ahead of it')
    expect(t('shell.place', { n: 12_345 })).toBe('12,345 tasks ahead of it')
    await setLanguage('fr')
    expect(t('shell.place', { n: 0 })).toBe('0 tâche avant elle')
    expect(t('shell.place', { n: 2 })).toBe('2 tâches avant elle')
    await setLanguage('ja')
    expect(t('shell.place', { n: 2 })).toBe('前に 2 件')
  })

  it('write numbers in their way, and sizes of pictures without a separator', async () => {
    await setLanguage('de')
    expect(figure(0.0404167)).toBe('0,0404')
    expect(bytes(13_500_000)).toBe('13,5 MB')
    expect(t('shell.use.of', { used: 1024, limit: 20_480 })).toBe('1024 von 20.480')
  })

  it('of a slow answer do not replace one that was chosen later', async () => {
    const slow = setLanguage('es')
    await setLanguage('en')
    await slow
    expect(language.value).toBe('en')
  })
})

describe('the first language', () => {
  beforeEach(() => useStore(memoryStore()))

  it('is the first of the browser that the page has', () => {
    expect(guess(['pl', 'de-CH', 'en'])).toBe('de')
    expect(guess(['pt-PT'])).toBe('pt-BR')
    expect(guess(['zh-TW', 'en'])).toBe('zh-CN')
    expect(guess(['en-GB', 'zh'])).toBe('en')
    expect(guess(['xx'])).toBe('en')
    expect(guess([])).toBe('en')
  })

  it('is the one that was chosen, if the page has it', () => {
    saveItem('language', 'ja')
    expect(preferred()).toBe('ja')
    saveItem('language', 'tlh')
    vi.stubGlobal('navigator', { languages: ['fr'] })
    expect(preferred()).toBe('fr')
    vi.stubGlobal('navigator', { languages: ['fr', 'en-GB'] })
    expect(localeOf('en')).toBe('en-GB')
    expect(localeOf('ja')).toBe('ja')
    vi.unstubAllGlobals()
  })
})

describe('a name', () => {
  it('from right to left is a part of its own in a text', () => {
    expect(isolate('starry night')).toBe('starry night')
    expect(isolate('ليلة النجوم')).toBe('\u2068ليلة النجوم\u2069')
    expect(isolate(isolate('שלום'))).toBe('\u2068שלום\u2069')
    expect(t('styles.removed', { name: 'שלום 2' })).toBe('The style \u2068שלום 2\u2069 is deleted.')
  })

  it('turns no text round, and closes no part that it has not begun', () => {
    expect(isolate('photo\u202Egpj.exe')).toBe('photogpj.exe')
    expect(isolate('a\u2069\u202Eb')).toBe('ab')
    expect(t('styles.remove', { name: '\u202Eevil' })).toBe('Delete the style evil')
  })
})

describe('the wait of a queued task', () => {
  const queued = (position: number, status = 'queued') =>
    ({ task_id: 'a', status, position }) as Progress
  const at = (s: number) => 1000 * s

  it('is as long as the queue has needed for a place, times the places', () => {
    noteWait(queued(5), at(0))
    expect(waitOf(queued(5), undefined, at(10))).toBeUndefined()
    noteWait(queued(4), at(20))
    noteWait(queued(4), at(30))
    noteWait(queued(2), at(60))
    expect(waitOf(queued(2), undefined, at(60))).toBe(40) // two places of 20 s
    expect(waitOf(queued(2), undefined, at(90))).toBe(10)
    expect(waitOf(queued(2), undefined, at(900))).toBe(0)
  })

  it('begins anew when others come before it, and ends with the wait', () => {
    noteWait(queued(3), at(100))
    expect(waitOf(queued(3), undefined, at(100))).toBeUndefined()
    noteWait(queued(2), at(110))
    noteWait(queued(1, 'running'), at(120))
    expect(waitOf(queued(2), undefined, at(120))).toBeUndefined()
  })

  it('of the next task lasts until a running one ends', () => {
    expect(waitOf(queued(1), 12, at(200))).toBe(12)
    expect(waitOf(queued(2), 12, at(200))).toBeUndefined()
  })

  it('is told roughly', () => {
    expect([0, 12, 90, 200].map(roughly)).toEqual(['10 sec', '20 sec', '90 sec', '3 min'])
  })
})

describe('a quota', () => {
  const refused = (status: number, detail: string, retryAfter: number) =>
    new Fault(kindOf(status, detail), detail, retryAfter)
  const waiting = refused(429, 'waiting: ann has 2 tasks in the queue, as many as it may', 10)
  const work = refused(429, 'work: this task needs 9 (pixels x steps), but ann has used 8', 40_000)
  const bytesFull = refused(507, 'bytes: the pictures of ann have 9 bytes of a quota of 9', 0)

  it('is told apart from a full queue, a full disk and too many requests', () => {
    expect([waiting, work, bytesFull].map((f) => f.kind)).toEqual(['waiting', 'work', 'bytes'])
    expect(kindOf(429, '100 tasks wait already: try again later')).toBe('full')
    expect(kindOf(429, '8 uploads of yours wait already')).toBe('often')
    expect(kindOf(507, 'the disk is full')).toBe('room')
  })

  it('is told in words with the next step, without the message for programs', () => {
    for (const f of [waiting, work, bytesFull]) {
      expect(t(adviceFor(f).text)).not.toBe(t(adviceFor(f).next))
      expect(readableDetail(f)).toBe('')
    }
  })

  it('is tried again only if that helps soon', () => {
    expect(retryDelay(waiting)).toBe(10)
    expect(retryDelay(work)).toBe(0)
    expect(retryDelay(bytesFull)).toBe(0)
  })
})
