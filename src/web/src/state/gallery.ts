/** What the gallery shows of the history: search, filters, order, grouping, selection. */
import { computed, reactive, shallowRef, watch } from 'vue'
import type { Entry } from './api'
import { gallery, group, kept, timeOf } from './history'
import { language, maybe, t } from './i18n'
import { extent } from './presets'
import { loadItem, saveItem } from './storage'
import { catalog, nameOf, readable } from './styles'

export const ORDERS = ['newest', 'oldest', 'stars', 'style'] as const
export const DATES = ['any', 'today', 'week', 'month', 'range'] as const
export const SIZES = ['small', 'medium', 'large'] as const
export type Order = (typeof ORDERS)[number]
export type Dates = (typeof DATES)[number]
export type TileSize = (typeof SIZES)[number]

export interface Filters {
  text: string
  /** A style's name; '': all. */
  style: string
  /** The fewest stars; -1: only unrated results. */
  stars: number
  date: Dates
  /** Local dates YYYY-MM-DD of the range, both included; '': open. */
  from: string
  to: string
}

export const noFilters = (): Filters => ({
  text: '',
  style: '',
  stars: 0,
  date: 'any',
  from: '',
  to: '',
})

/** Kept while the page is open, so that the way back from a result finds the same view. */
export const filters = reactive(noFilters())
export const place = { scroll: 0, active: '' }

/** Kept in the browser. */
export const layout = reactive({
  order: 'newest' as Order,
  size: 'medium' as TileSize,
  grouped: false,
  ...loadItem<object>('gallery', {}),
})
watch(layout, () => saveItem('gallery', layout))

/** Names that were made before, in this language, with these names of own styles. */
const names = computed(() => {
  void [language.value, { ...catalog.labels }]
  return new Map<string, string>()
})

function remember(key: string, make: () => string): string {
  const found = names.value.get(key)
  if (found !== undefined) return found
  const made = make()
  names.value.set(key, made)
  return made
}

/** As mixOf() of styles.ts, but quick: it is called for every tile while one scrolls. */
export const stylesOf = (e: Entry) =>
  e.styles.map(({ name }) => remember(`style ${name}`, () => nameOf(name))).join(' + ')

/** The first part of a preset's text: "Classic: the photograph …". */
export function presetOf(e: Entry): string {
  const { preset } = e.request
  return remember(`preset ${preset ?? ''}`, () => {
    const text = preset ? maybe(`preset.${preset}`, readable(preset)) : t('detail.painting')
    return text.split(/[:：]/)[0] ?? text
  })
}

/** What fits below a small picture. */
export const briefOf = (e: Entry) =>
  `${presetOf(e)} · ${t('gallery.px', { size: extent(e.request).size })}`

const percent = (n: number) => `${Math.round(100 * n)} %`

/** The settings that tell one result from another, in words. */
export function settingsOf(e: Entry): string {
  const { strength, colour } = e.request
  const parts = [
    briefOf(e),
    t('gallery.steps', { n: e.steps }),
    strength !== undefined && strength !== 1
      ? `${t('settings.strength')} ${percent(strength)}`
      : '',
    colour && colour !== 'style'
      ? maybe(`settings.colour.${colour}`, `${t('settings.colour')} ${colour}`)
      : '',
  ]
  return parts.filter(Boolean).join(' · ')
}

/** Kept, since making one takes long. */
const timeFormat = computed(
  () => new Intl.DateTimeFormat(language.value, { dateStyle: 'medium', timeStyle: 'short' }),
)
export const whenOf = (e: Entry) => timeFormat.value.format(1000 * timeOf(e))

/** A file name without an extension. */
export function fileOf(e: Entry): string {
  const d = new Date(1000 * timeOf(e))
  const two = (n: number) => String(n).padStart(2, '0')
  const day = `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`
  const time = `${two(d.getHours())}.${two(d.getMinutes())}`
  return `${stylesOf(e)}, ${presetOf(e)}, ${extent(e.request).size} px, ${day} ${time}`
}

/** The local day of a time in seconds, YYYY-MM-DD, or of some days before it. */
function dayOf(seconds: number, back = 0): string {
  const d = new Date(1000 * seconds)
  d.setDate(d.getDate() - back)
  return new Date(d.getTime() - 60_000 * d.getTimezoneOffset()).toISOString().slice(0, 10)
}

const BACK: Partial<Record<Dates, number>> = { today: 0, week: 6, month: 29 }

function isInDate(f: Filters, e: Entry, now: number): boolean {
  if (f.date === 'any') return true
  const day = dayOf(timeOf(e))
  const back = BACK[f.date]
  if (back !== undefined) return day >= dayOf(now, back)
  return (!f.from || day >= f.from) && (!f.to || day <= f.to)
}

function textOf(e: Entry): string {
  const files = [e.content_img, e.output_img, e.task_id, ...e.styles.map((s) => s.name)]
  return [stylesOf(e), settingsOf(e), e.request.preset ?? '', ...files].join(' ').toLowerCase()
}

/** The entries that the filters leave, which are newest first, in that order. */
export function select(
  entries: readonly Entry[],
  f: Filters,
  order: Order,
  ratings: Readonly<Record<string, number>>,
  now = Date.now() / 1000,
): Entry[] {
  const words = f.text.toLowerCase().split(/\s+/).filter(Boolean)
  const starsIn = (e: Entry) => ratings[e.task_id] ?? 0
  const left = entries.filter((e) => {
    if (f.style && !e.styles.some((s) => s.name === f.style)) return false
    if (f.stars < 0 ? starsIn(e) > 0 : starsIn(e) < f.stars) return false
    if (!isInDate(f, e, now)) return false
    const text = words.length ? textOf(e) : ''
    return words.every((w) => text.includes(w))
  })
  if (order === 'oldest') left.reverse()
  if (order === 'stars') left.sort((a, b) => starsIn(b) - starsIn(a))
  if (order === 'style') {
    const names = new Map(left.map((e) => [e, stylesOf(e)]))
    const compare = new Intl.Collator(language.value, { numeric: true }).compare
    left.sort((a, b) => compare(names.get(a) ?? '', names.get(b) ?? ''))
  }
  return left
}

export const isFiltered = computed(() => JSON.stringify(filters) !== JSON.stringify(noFilters()))

/** The sections of the grid; one without a photograph if results are not grouped. */
export const sections = computed(() => {
  const found = select(kept.value, filters, layout.order, gallery.ratings)
  if (layout.grouped) return group(found, new Set())
  return found.length ? [{ content: '', entries: found }] : []
})

/** All that is shown, in the order of the grid. */
export const shown = computed(() => sections.value.flatMap((s) => s.entries))

/** Names of the styles in the history, each with its number of results. */
export const stylesUsed = computed(() => {
  const counts = new Map<string, number>()
  for (const e of kept.value)
    for (const s of e.styles) counts.set(s.name, (counts.get(s.name) ?? 0) + 1)
  return counts
})

/** Selected task IDs; those that filters hide are not part of what is picked. */
export const selected = shallowRef<ReadonlySet<string>>(new Set())
export const picked = computed(() => shown.value.filter((e) => selected.value.has(e.task_id)))

/** Where a range begins. */
let anchor = ''

export function clearSelection(): void {
  selected.value = new Set()
}

export function selectAll(): void {
  selected.value = new Set(shown.value.map((e) => e.task_id))
}

export function toggle(id: string): void {
  const now = new Set(selected.value)
  if (!now.delete(id)) now.add(id)
  anchor = id
  selected.value = now
}

/** Add what is between the last toggled result and this one. */
export function selectTo(id: string): void {
  const ids = shown.value.map((e) => e.task_id)
  const to = ids.indexOf(id)
  const from = Math.max(0, ids.indexOf(anchor))
  if (!selected.value.size) anchor = id
  const range = selected.value.size ? ids.slice(Math.min(from, to), Math.max(from, to) + 1) : [id]
  selected.value = new Set([...selected.value, ...range])
}
