/** The available styles and their display names. */
import { computed, reactive } from 'vue'
import * as api from './api'
import { isolate } from './bidi'
import { t } from './i18n'
import type { Deletions } from './deletion'
import type { Draft } from './draft'
import { loadItem, saveItem } from './storage'

export const catalog = reactive({
  all: [] as api.Style[],
  loaded: false,
  error: null as api.Fault | null,
  pending: new Set<string>(),
  /** Names that this browser gave to uploads of an older version; the service keeps them now. */
  labels: loadItem<Record<string, string>>('labels', {}),
})

export const offered = computed(() => catalog.all.filter((s) => !catalog.pending.has(s.name)))

export async function loadStyles(): Promise<void> {
  try {
    catalog.all = await api.styles()
    catalog.loaded = true
    catalog.error = null
  } catch (e) {
    if (!(e instanceof api.Fault)) throw e
    catalog.error = e
  }
}

export const deletions: Deletions = {
  name: 'goingStyles',
  pending: catalog.pending,
  ask: api.deleteStyle,
  done: (name) => {
    catalog.all = catalog.all.filter((s) => s.name !== name)
  },
}

export function thumbOf(name: string): string | undefined {
  const s = catalog.all.find((one) => one.name === name)
  const url = s?.preview ?? s?.thumbnail ?? s?.url
  return url ? api.pictureUrl(url) : undefined
}

/** Artist, title and year of a style, for a tooltip; empty if unknown. */
export function creditOf(s: api.Style): string {
  return [s.artist, s.title, s.year].filter(Boolean).join(', ')
}

/** A display name for van-gogh or starry_night.jpg; every word is capitalised. */
export function readable(name: string): string {
  const stem = name.replace(/\.[a-z0-9]+$/i, '')
  return stem
    .split(/[-_.\s]+/)
    .filter(Boolean)
    .map((w) => w.charAt(0).toUpperCase() + w.slice(1))
    .join(' ')
}

const labels = computed(
  () => new Map(catalog.all.flatMap((s) => (s.label ? [[s.name, s.label] as const] : []))),
)

const GENERATED = /^[0-9a-f]{32}\./

/** The name of a style as its owner wrote it, to be edited. */
export function plainNameOf(name: string): string {
  return (
    labels.value.get(name) ??
    catalog.labels[name] ??
    (GENERATED.test(name) ? t('styles.mine') : readable(name))
  )
}

/** The display name of a style; uploads of other clients have none. */
export function nameOf(name: string): string {
  return isolate(plainNameOf(name))
}

/** Characters of a label; the service cuts off the rest. */
export const MAX_LABEL = 60

/** Give an own style another name. */
export async function rename(name: string, label: string): Promise<void> {
  const kept = await api.renameStyle(name, label)
  catalog.all = catalog.all.map((s) => (s.name === name ? { ...s, label: kept } : s))
}

/** Use a style alone; its region stays if it was in the mix. */
export function chooseStyle(d: Draft, name: string): void {
  d.styles = [d.styles.find((s) => s.name === name) ?? { name, weight: 50 }]
}

const paintsAlone = (name: string) => catalog.all.find((s) => s.name === name)?.kind === 'network'

/** Whether a style can be added to the mix, or removed from it: a network paints alone. */
export function canToggle(d: Draft, name: string): boolean {
  const names = d.styles.map((s) => s.name)
  if (names.includes(name)) return names.length > 1
  return names.length > 0 && ![name, ...names].some(paintsAlone)
}

export function mixOf(styles: readonly { name: string }[]): string {
  return styles.map((s) => nameOf(s.name)).join(' + ')
}

export function setLabel(name: string, file: string): void {
  catalog.labels[name] = readable(file).slice(0, MAX_LABEL)
  saveItem('labels', catalog.labels)
}
