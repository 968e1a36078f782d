/** Preferences for the appearance of the page, kept in the browser. */
import { reactive, watch } from 'vue'
import { loadItem, saveItem } from './storage'
import { type Language, setLanguage } from './i18n'

export type Theme = 'system' | 'light' | 'dark'

export const prefs = reactive({
  theme: loadItem<Theme>('theme', 'system'),
  language: loadItem<Language | null>('language', null),
  moving: loadItem('moving', false),
  toured: loadItem('toured', false),
})

function guess(): Language {
  return navigator.languages.some((l) => l.toLowerCase().startsWith('zh')) &&
    !navigator.languages[0]?.toLowerCase().startsWith('en')
    ? 'zh-CN'
    : 'en'
}

function apply(): void {
  const root = document.documentElement
  if (prefs.theme === 'system') delete root.dataset['theme']
  else root.dataset['theme'] = prefs.theme
  setLanguage(prefs.language ?? guess())
  root.dataset['moving'] = String(prefs.moving)
}

export function openPrefs(): void {
  apply()
  watch(
    prefs,
    () => {
      for (const name of ['theme', 'language', 'moving', 'toured'] as const)
        saveItem(name, prefs[name])
      apply()
    },
    { flush: 'sync' },
  )
}
