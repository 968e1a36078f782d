/** The languages of the page. Each is a file of its own, which the browser loads if it is used. */
import { loadItem } from './storage'
import type { Words } from './words/en'

/** Each in its own words, as a menu shows them. */
export const LANGUAGES = {
  en: 'English',
  de: 'Deutsch',
  es: 'Español',
  fr: 'Français',
  'pt-BR': 'Português (Brasil)',
  ja: '日本語',
  'zh-CN': '简体中文',
} as const

export type Language = keyof typeof LANGUAGES

const files: Record<Exclude<Language, 'en'>, () => Promise<{ words: Words }>> = {
  de: () => import('./words/de'),
  es: () => import('./words/es'),
  fr: () => import('./words/fr'),
  'pt-BR': () => import('./words/pt-BR'),
  ja: () => import('./words/ja'),
  'zh-CN': () => import('./words/zh-CN'),
}

/** The texts of a language other than English, which is always there. */
export async function loadWords(of: Exclude<Language, 'en'>): Promise<Words> {
  return (await files[of]()).words
}

const stem = (tag: string) => tag.toLowerCase().split('-')[0]

/** The first language that the visitor reads and the page has; regions do not matter. */
export function guess(wanted: readonly string[]): Language {
  for (const one of wanted)
    for (const ours of Object.keys(LANGUAGES) as Language[])
      if (stem(ours) === stem(one)) return ours
  return 'en'
}

/** The language as in the visitor's country, which decides on dates and times. */
export function localeOf(language: Language): string {
  const wanted = typeof navigator === 'undefined' ? [] : navigator.languages
  return wanted.find((one) => stem(one) === stem(language)) ?? language
}

/** The language that was chosen, or else that of the browser. */
export function preferred(): Language {
  const chosen = loadItem<Language | null>('language', null)
  return chosen !== null && chosen in LANGUAGES ? chosen : guess(navigator.languages)
}
