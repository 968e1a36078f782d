/** The texts of the page in the current language. */
import { computed, ref, shallowRef } from 'vue'
import { isolate } from './bidi'
import { type Language, loadWords, localeOf } from './languages'
import { type Key, type Words, en } from './words/en'

export type { Key } from './words/en'
export type { Language } from './languages'

export const language = ref<Language>('en')
const words = shallowRef<Partial<Words>>({})
let asked: Language = 'en'

/** The language stays as it is if its texts cannot be loaded. */
export async function setLanguage(to: Language): Promise<void> {
  asked = to
  const loaded: Partial<Words> = to === 'en' ? {} : await loadWords(to)
  if (asked !== to) return
  words.value = loaded
  language.value = to
  if (typeof document !== 'undefined') document.documentElement.lang = to
}

const CATEGORIES: Intl.LDMLPluralRule[] = ['zero', 'one', 'two', 'few', 'many', 'other']
const plural = computed(() => {
  const rules = new Intl.PluralRules(language.value)
  const used = rules.resolvedOptions().pluralCategories
  const order = CATEGORIES.filter((c) => used.includes(c))
  return (n: number) => order.indexOf(rules.select(n))
})
/** No separator in 1024, as in sizes of pictures. */
const numbers = computed(() => new Intl.NumberFormat(language.value, { useGrouping: 'min2' }))

/** The text of a key, with the values in its holes; words/en.ts describes them. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  const text: string = words.value[key] ?? en[key]
  return text.replace(/\{(\w+)(?::([^}]*))?\}/g, (all, name: string, forms?: string) => {
    const value = values[name]
    if (value === undefined) return all
    if (typeof value === 'string') return isolate(value)
    if (forms === undefined) return numbers.value.format(value)
    const some = forms.split('|')
    return some[Math.min(plural.value(value), some.length - 1)] ?? ''
  })
}

/** The text of a key, or the fallback if it is unknown, as for a server's own presets. */
export function maybe(key: string, otherwise: string): string {
  return key in en ? t(key as Key) : otherwise
}

export function seconds(n: number): string {
  const whole = Math.max(0, Math.round(n))
  return whole < 90
    ? t('time.s', { n: whole })
    : t('time.min', { m: Math.floor(whole / 60), s: whole % 60 })
}

const digits = computed(() => [
  new Intl.NumberFormat(language.value, {
    minimumSignificantDigits: 3,
    maximumSignificantDigits: 3,
    useGrouping: false,
  }),
  new Intl.NumberFormat(language.value, {
    notation: 'scientific',
    minimumFractionDigits: 1,
    maximumFractionDigits: 1,
  }),
])

/** Format a loss: three digits, small numbers in exponential notation. */
export function figure(n: number | null | undefined): string {
  if (n === null || n === undefined) return '–'
  const small = n !== 0 && Math.abs(n) < 0.001
  return digits.value[small ? 1 : 0]?.format(n).replace('E', 'e') ?? ''
}

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte']

/** A number of bytes, such as "13 MB". */
export function bytes(n: number): string {
  const step = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, n)) / 3))
  return new Intl.NumberFormat(language.value, {
    style: 'unit',
    unit: UNITS[step],
    unitDisplay: 'short',
    maximumSignificantDigits: 3,
  }).format(n / 1000 ** step)
}

/** An estimated duration in whole minutes, or tens of seconds. */
export function roughly(s: number): string {
  const [n, unit] =
    s > 90 ? [Math.round(s / 60), 'minute'] : [10 * Math.ceil(s / 10 || 1), 'second']
  return new Intl.NumberFormat(language.value, {
    style: 'unit',
    unit,
    unitDisplay: 'short',
  }).format(n)
}

/** A time of day, such as "14:30". */
export function clock(ms: number): string {
  return new Intl.DateTimeFormat(localeOf(language.value), { timeStyle: 'short' }).format(ms)
}

/** A file size, with two digits at least. */
export function sizeText(bytes: number): string {
  if (bytes < 995_000) return t('size.kb', { n: Math.max(1, Math.round(bytes / 1000)) })
  return t('size.mb', { n: bytes < 1e7 ? Math.round(bytes / 1e5) / 10 : Math.round(bytes / 1e6) })
}
