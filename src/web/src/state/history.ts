/** The history: all results of this user, as the service tells them. */
import { computed, reactive, shallowRef } from 'vue'
import * as api from './api'
import { draft, setContent } from './draft'
import type { Deletions } from './deletion'
import { loadItem, saveItem } from './storage'
import { remove } from './tasks'

const FIRST = 60 // results of the first request, which are shown at once
const PAGE = 1000 // the most that the service gives

export interface Group {
  content: string
  entries: api.Entry[]
}

export const gallery = reactive({
  /** Newest first; the entries themselves are not reactive. */
  entries: shallowRef<api.Entry[]>([]),
  total: 0,
  loading: false,
  loaded: false,
  error: null as api.Fault | null,
  /** Content pictures and tasks with a pending deletion. */
  pending: new Set<string>(),
  pendingTasks: new Set<string>(),
  ratings: loadItem<Record<string, number>>('ratings', {}),
})

/** Group entries by content picture, in the order of the first of each. */
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

/** The results without those whose deletion is pending. */
export const kept = computed(() =>
  gallery.entries.filter(
    (e) => !gallery.pending.has(e.content_img) && !gallery.pendingTasks.has(e.task_id),
  ),
)

export const timeOf = (e: api.Entry) => e.finished ?? e.created

/** Merge a page of entries; existing ones stay unchanged. */
export function add(to: readonly api.Entry[], more: readonly api.Entry[]): api.Entry[] {
  const has = new Set(to.map((e) => e.task_id))
  return [...to, ...more.filter((e) => !has.has(e.task_id))].sort((a, b) => timeOf(b) - timeOf(a))
}

async function page(offset: number, limit: number): Promise<api.Entry[]> {
  const { groups, total } = await api.history(offset, limit)
  gallery.total = total
  gallery.loaded = true
  return Object.values(groups).flat()
}

/** Fetch all pages, unless the newest one tells that only new results are missing. */
async function fetchAll(): Promise<void> {
  const before = gallery.entries
  let list = add([], await page(0, FIRST))
  gallery.entries = add(list, before)
  if (gallery.entries.length === gallery.total) return
  for (let at = FIRST; at < gallery.total; at += PAGE) {
    list = add(list, await page(at, PAGE))
    gallery.entries = add(list, before)
  }
  gallery.entries = list
}

let again = false

/** Bring the list up to date; a call during another one makes that begin again. */
export async function reload(): Promise<void> {
  again = true
  if (gallery.loading) return
  gallery.loading = true
  try {
    while (again) {
      again = false
      await fetchAll()
    }
    gallery.error = null
  } catch (e) {
    if (!(e instanceof api.Fault)) throw e
    gallery.error = e
  } finally {
    gallery.loading = false
  }
}

/** Find the entry of a task, on any page of the history. */
export async function find(id: string): Promise<api.Entry | undefined> {
  const here = () => gallery.entries.find((e) => e.task_id === id)
  for (let offset = 0; !here(); offset += PAGE) {
    const { groups: of, total } = await api.history(offset, PAGE)
    const list = Object.values(of).flat()
    const found = list.find((e) => e.task_id === id)
    if (found || offset + PAGE >= total) return found
  }
  return here()
}

export function rate(id: string, stars: number): void {
  if (stars) gallery.ratings[id] = stars
  else
    gallery.ratings = Object.fromEntries(Object.entries(gallery.ratings).filter(([k]) => k !== id))
  saveItem('ratings', gallery.ratings)
}

function drop(gone: (e: api.Entry) => boolean): void {
  const left = gallery.entries.filter((e) => !gone(e))
  gallery.total -= gallery.entries.length - left.length
  gallery.entries = left
}

/** Of photographs with all their results. */
export const deletions: Deletions = {
  name: 'going',
  pending: gallery.pending,
  ask: api.deleteHistory,
  done: (content) => {
    if (draft.content === content) setContent(draft, '') // deleted as well
    drop((e) => e.content_img === content)
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
    drop((e) => e.task_id === id)
  },
}
