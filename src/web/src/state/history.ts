/** The history of results, grouped by content picture. */
import { computed, reactive } from 'vue'
import * as api from './api'
import { draft, setContent } from './draft'
import type { Deletions } from './deletion'
import { loadItem, saveItem } from './storage'
import { remove } from './tasks'

const PAGE = 60

export interface Group {
  content: string
  entries: api.Entry[]
}

export const gallery = reactive({
  entries: [] as api.Entry[],
  total: 0,
  loading: false,
  loaded: false,
  error: null as api.Fault | null,
  /** Content pictures with a pending deletion. */
  pending: new Set<string>(),
  /** Tasks with a pending deletion. */
  pendingTasks: new Set<string>(),
  ratings: loadItem<Record<string, number>>('ratings', {}),
})

/** Group entries by content picture; entries and groups are newest first. */
export function group(entries: readonly api.Entry[], without: ReadonlySet<string>): Group[] {
  const by = new Map<string, api.Entry[]>()
  for (const e of entries) {
    if (without.has(e.content_img)) continue
    const of = by.get(e.content_img)
    if (of) of.push(e)
    else by.set(e.content_img, [e])
  }
  return [...by].map(([content, of]) => ({ content, entries: of }))
}

export const groups = computed(() =>
  group(
    gallery.entries.filter((e) => !gallery.pendingTasks.has(e.task_id)),
    gallery.pending,
  ),
)

/** Merge a page of entries; existing ones stay unchanged. */
export function add(to: api.Entry[], more: readonly api.Entry[]): api.Entry[] {
  const has = new Set(to.map((e) => e.task_id))
  return [...to, ...more.filter((e) => !has.has(e.task_id))].sort(
    (a, b) => (b.finished ?? b.created) - (a.finished ?? a.created),
  )
}

async function page(offset: number): Promise<void> {
  gallery.loading = true
  try {
    const { groups: of, total } = await api.history(offset, PAGE)
    gallery.entries = add(offset ? gallery.entries : [], Object.values(of).flat())
    gallery.total = total
    gallery.loaded = true
    gallery.error = null
  } catch (e) {
    if (!(e instanceof api.Fault)) throw e
    gallery.error = e
  } finally {
    gallery.loading = false
  }
}

export const reload = () => page(0)
export const more = () => page(gallery.entries.length)

/** Find the entry of a task, on any page of the history. */
export async function find(id: string): Promise<api.Entry | undefined> {
  const here = () => gallery.entries.find((e) => e.task_id === id)
  for (let offset = 0; !here(); offset += 1000) {
    const { groups: of, total } = await api.history(offset, 1000)
    const list = Object.values(of).flat()
    const found = list.find((e) => e.task_id === id)
    if (found || offset + 1000 >= total) return found
  }
  return here()
}

export function rate(id: string, stars: number): void {
  if (stars) gallery.ratings[id] = stars
  else
    gallery.ratings = Object.fromEntries(Object.entries(gallery.ratings).filter(([k]) => k !== id))
  saveItem('ratings', gallery.ratings)
}

export const deletions: Deletions = {
  name: 'going',
  pending: gallery.pending,
  ask: api.deleteHistory,
  done: (content) => {
    if (draft.content === content) setContent(draft, '') // deleted as well
    gallery.total -= gallery.entries.filter((e) => e.content_img === content).length
    gallery.entries = gallery.entries.filter((e) => e.content_img !== content)
  },
}

/** Of single results. */
export const taskDeletions: Deletions = {
  name: 'goingTasks',
  pending: gallery.pendingTasks,
  ask: api.deleteTask,
  done: (id) => {
    remove(id)
    rate(id, 0)
    const left = gallery.entries.filter((e) => e.task_id !== id)
    gallery.total -= gallery.entries.length - left.length
    gallery.entries = left
  },
}
