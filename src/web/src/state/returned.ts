/** A result that comes back as a file: its settings return to the draft. */
import type * as api from './api'
import { type Draft, MAX_STYLES, blank, draft, setSettings } from './draft'
import { t } from './i18n'
import { pngText } from './png'
import { catalog, loadStyles, nameOf } from './styles'
import { showToast } from './toast'

/** Of the text that the service writes into results. */
const KEYWORD = 'nst-request'
/** Of a larger PNG only the settings would be read. */
const MAX_BYTES = 256 << 20

type Settings = Record<string, unknown> & {
  styles?: { name: string | null; weight: number }[]
}

const isText = (v: unknown) => typeof v === 'string' && v.length < 1000
const isNumber = (v: unknown) => typeof v === 'number' && Number.isFinite(v)
const isPlain = (v: unknown) => isText(v) || isNumber(v) || typeof v === 'boolean'
const NUMBERS = ['style_weight', 'num_steps', 'strength', 'size', 'seed', 'style_scale']

/** A setting with a value of the right kind; the service checks the rest. */
function isSetting(name: string, v: unknown): boolean {
  if (NUMBERS.includes(name)) return isNumber(v)
  if (name === 'preset' || name === 'colour' || name === 'init_image') return isText(v)
  return /^[a-z_]{1,40}$/.test(name) && (isPlain(v) || (Array.isArray(v) && v.every(isPlain)))
}

/** The settings in the text of a result; anybody may have written it. */
export function parseSettings(text: string): Settings | undefined {
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!found || typeof found !== 'object' || !('styles' in found)) return undefined
  const { styles, ...rest } = found as { styles: unknown }
  if (!Array.isArray(styles)) return undefined
  const settings: Settings = Object.fromEntries(
    Object.entries(rest).filter(([name, v]) => isSetting(name, v)),
  )
  settings.styles = (styles as { name?: unknown; weight?: unknown }[])
    .slice(0, MAX_STYLES)
    .map((s) => ({
      name: typeof s?.name === 'string' ? s.name : null,
      weight: isNumber(s?.weight) ? Math.max(1, s.weight as number) : 50,
    }))
  return settings
}

/** The draft with these settings, and with the picture of now; styles that are not offered
 * are left out. */
export function returnedDraft(s: Settings, content: string, names: readonly string[]): Draft {
  const d = { ...blank(), content }
  setSettings(d, s as Partial<api.TransferRequest>)
  for (const { name, weight } of s.styles ?? [])
    if (name !== null && names.includes(name) && !d.styles.some((one) => one.name === name))
      d.styles.push({ name, weight })
  return d
}

/**
 * If the file is a result, take its settings into the draft and say so. use: called if the
 * visitor wants the file as his photograph. False: it is a picture like any other.
 */
export async function takeSettings(file: Blob, use: () => void): Promise<boolean> {
  if (file.size > MAX_BYTES) return false
  const text = pngText(await file.arrayBuffer(), KEYWORD)
  const settings = text === undefined ? undefined : parseSettings(text)
  if (!settings) return false
  if (!catalog.loaded) await loadStyles()
  const names = catalog.all.map((s) => s.name)
  const d = returnedDraft(settings, draft.content, names)
  delete draft.keepMask
  delete draft.more
  Object.assign(draft, d)
  const lost = (settings.styles ?? []).filter((s) => !d.styles.some((one) => one.name === s.name))
  showToast(t('returned.text'), {
    tone: 'good',
    ms: 12000,
    ...(lost.length && {
      detail: t('returned.lost', {
        names: lost.map((s) => (s.name ? nameOf(s.name) : t('returned.own'))).join(', '),
      }),
    }),
    action: { label: t('returned.use'), run: use },
  })
  return true
}
