/** Preferences for the appearance of the page, kept in the browser. */
import { reactive, watch } from 'vue'
import { loadItem, saveItem } from './storage'
import { setLanguage } from './i18n'
import { type Language, preferred } from './languages'

export type Theme = 'system' | 'light' | 'dark'

export const prefs = reactive({
  theme: loadItem<Theme>('theme', 'system'),
  language: loadItem<Language | null>('language', null),
  moving: loadItem('moving', false),
  toured: loadItem('toured', false),
})

/** The colour of the browser's own bars follows the theme that was chosen, as in index.html. */
function colourBars(): void {
  for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name=theme-color]')) {
    const of = prefs.theme === 'system' ? meta.dataset['theme'] : prefs.theme
    meta.content = (of === 'dark' ? meta.dataset['dark'] : meta.dataset['light']) ?? ''
  }
}

/** Until the texts of the language are there, or cannot be had. */
async function apply(): Promise<void> {
  const root = document.documentElement
  if (prefs.theme === 'system') delete root.dataset['theme']
  else root.dataset['theme'] = prefs.theme
  root.dataset['moving'] = String(prefs.moving)
  colourBars()
  await setLanguage(preferred()).catch(() => undefined)
}

export function openPrefs(): Promise<void> {
  watch(
    prefs,
    () => {
      for (const name of ['theme', 'language', 'moving', 'toured'] as const)
        saveItem(name, prefs[name])
      void apply()
    },
    { flush: 'sync' },
  )
  return apply()
}
