/** The texts of the page in each language. */
import { ref } from 'vue'
import { type Key, type Words, en } from './words/en'
import { zh } from './words/zh-CN'

export type { Key } from './words/en'

export type Language = 'en' | 'zh-CN'

const tables: Record<Language, Words> = { en, 'zh-CN': zh }

export const language = ref<Language>('en')

export function setLanguage(to: Language): void {
  language.value = to
  if (typeof document !== 'undefined') document.documentElement.lang = to
}

/** The text of a key, with the values inserted for {name}. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return (tables[language.value][key] ?? en[key]).replace(/\{(\w+)\}/g, (all, name: string) =>
    name in values ? String(values[name]) : all,
  )
}

/** The text of a key, or the fallback if it is unknown, as for a server's own presets. */
export function maybe(key: string, otherwise: string): string {
  return key in en ? t(key as Key) : otherwise
}

/** For tests. */
export const words = tables as Record<Language, Record<Key, string>>

export function seconds(n: number): string {
  const whole = Math.max(0, Math.round(n))
  return whole < 90
    ? t('time.s', { n: whole })
    : t('time.min', { m: Math.floor(whole / 60), s: whole % 60 })
}

/** Format a loss: three digits, small numbers in exponential notation. */
export function figure(n: number | null | undefined): string {
  if (n === null || n === undefined) return '–'
  return n !== 0 && Math.abs(n) < 0.001 ? n.toExponential(1) : n.toPrecision(3)
}

/** A file size, with two digits at least. */
export function sizeText(bytes: number): string {
  if (bytes < 995_000) return t('size.kb', { n: Math.max(1, Math.round(bytes / 1000)) })
  return t('size.mb', { n: (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0) })
}
