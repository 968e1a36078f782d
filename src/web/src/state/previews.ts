/**
 * Quick previews: the photograph of the draft in other styles, small. The service makes them one
 * at a time, and only while this page is seen and none of its tasks is unfinished.
 */
import { computed, reactive, watch } from 'vue'
import * as api from './api'
import { draft } from './draft'
import { retryDelay } from './faults'
import { link } from './link'
import { open } from './tasks'

export const TILE = 128
export const STAGE = 256

/** What is to be seen: the styles of visible tiles, and the mix on the stage ('': none). */
export const wanted = reactive({ tiles: [] as string[], stage: '' })

/** URLs of previews of the current photograph. */
const made = reactive(new Map<string, string>())
/** What the service cannot make. */
const failed = reactive(new Set<string>())
const page = reactive({ hidden: false, waits: false })

const keyOf = (style: string, size: number) => `${size} ${style}`

/** The previews that are missing, in the order in which they are made. */
const due = computed(() => {
  if (!draft.content || !link.up || page.hidden || open.value.length > 0) return []
  const stage = wanted.stage ? [{ style: wanted.stage, size: STAGE }] : []
  return [...stage, ...wanted.tiles.map((style) => ({ style, size: TILE }))].filter(
    ({ style, size }) => !made.has(keyOf(style, size)) && !failed.has(keyOf(style, size)),
  )
})

export const previewOf = (style: string, size = TILE) => made.get(keyOf(style, size))
export const isDue = (style: string, size = TILE) =>
  due.value.some((one) => one.style === style && one.size === size)

/** The style parameter for a mix: its names, with their weights if there are several. */
export function mixParameter(styles: readonly { name: string; weight: number }[]): string {
  const [only] = styles
  if (only && styles.length === 1) return only.name
  return styles.map((s) => `${s.name}:${Math.max(1, s.weight)}`).join(',')
}

let current: { key: string; stop: AbortController } | undefined

function pause(seconds: number): void {
  page.waits = true
  setTimeout(() => (page.waits = false), 1000 * seconds)
}

async function make(style: string, size: number): Promise<void> {
  const key = keyOf(style, size)
  const one = (current = { key, stop: new AbortController() })
  try {
    const picture = await api.preview(draft.content, style, size, one.stop.signal)
    if (current === one) made.set(key, URL.createObjectURL(picture))
  } catch (e) {
    if (current !== one) return // stopped
    if (!(e instanceof api.Fault)) throw e
    if (retryDelay(e)) pause(retryDelay(e))
    else if (e.kind !== 'gone') failed.add(key)
  } finally {
    if (current === one) {
      current = undefined
      update()
    }
  }
}

/** Stop what is not wanted any more, and begin with the next one. */
function update(): void {
  const [next] = due.value
  if (current && !due.value.some(({ style, size }) => keyOf(style, size) === current?.key)) {
    current.stop.abort()
    current = undefined
  }
  if (next && !current && !page.waits) void make(next.style, next.size)
}

function forget(): void {
  current?.stop.abort()
  current = undefined
  for (const url of made.values()) URL.revokeObjectURL(url)
  made.clear()
  failed.clear()
}

export function openPreviews(): void {
  const look = () => (page.hidden = document.hidden)
  document.addEventListener('visibilitychange', look)
  look()
  watch(() => draft.content, forget, { flush: 'sync' })
  watch([due, () => page.waits], update, { immediate: true })
}
