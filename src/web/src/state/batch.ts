/** Several photographs with the same styles and settings: one task each. */
import { computed, reactive, watch } from 'vue'
import * as api from './api'
import { type Draft, toRequest } from './draft'
import { adviceFor, readableDetail } from './faults'
import { dropFile, dropFiles, keepFile, keptFile } from './files'
import { t } from './i18n'
import { link, onReconnect } from './link'
import { waitForRoom } from './room'
import { loadItem, saveItem } from './storage'
import { type Tracked, begin, isFinished, known, refresh, remove } from './tasks'
import { shrink } from './upload'

export interface Item {
  id: number
  /** Of the file; for this page only. */
  name: string
  state: 'waiting' | 'sending' | 'sent' | 'begun' | 'failed' | 'cancelled'
  /** The name of the upload. */
  picture?: string
  task?: string
  problem?: string
}

interface Batch {
  items: Item[]
  /** What all get, without content_image; null: not started. */
  request: api.TransferRequest | null
  /** Milliseconds since 1970. */
  started: number
}

const none = (): Batch => ({ items: [], request: null, started: 0 })

export const batch = reactive<Batch & { wait: number }>({ ...none(), wait: 0 })
const files = new Map<number, Blob>()
let working = false
let run = 0
let last = 0

/** The task of an item, as far as it is known. */
const taskOf = (i: Item): Tracked | undefined => (i.task ? known.get(i.task) : undefined)

export type ItemState = Item['state'] | 'running' | 'done'

/** The state of an item and, once it has begun, of its task. */
export function stateOf(i: Item): ItemState {
  const task = taskOf(i)
  if (i.state !== 'begun' || !task) return i.state
  if (task.gone) return 'failed'
  const { status } = task.now
  return status === 'completed' ? 'done' : status === 'queued' ? 'begun' : status
}

/** From 0 to 1. */
export function shareOf(i: Item): number {
  const state = stateOf(i)
  return state === 'running' ? (taskOf(i)?.now.percent ?? 0) / 100 : isOver(state) ? 1 : 0
}

const isOver = (s: ItemState) => s === 'done' || s === 'failed' || s === 'cancelled'

export const count = (state: ItemState) => batch.items.filter((i) => stateOf(i) === state).length

export const progress = computed(() => {
  const n = batch.items.length
  const share = n ? batch.items.reduce((sum, i) => sum + shareOf(i), 0) / n : 0
  return { share, over: n > 0 && batch.items.every((i) => isOver(stateOf(i))) }
})

/** Seconds left, from the time until now; undefined: too early to tell. */
export function left(share: number, now: number): number | undefined {
  if (!batch.started || share < 0.02 || share >= 1) return undefined
  return (((now - batch.started) / 1000) * (1 - share)) / share
}

function fail(i: Item, f: api.Fault): void {
  i.state = 'failed'
  i.problem = [t(adviceFor(f).text), readableDetail(f)].filter(Boolean).join(' ')
}

/** Send a file; one that is too large is made smaller first. */
async function send(file: Blob): Promise<string> {
  try {
    return (await api.upload('content', file)).filename
  } catch (e) {
    if (!(e instanceof api.Fault) || e.kind !== 'large') throw e
    return (await api.upload('content', await shrink(file))).filename
  }
}

/** Send the file of an item, which is of this page or of the one before. */
async function sendItem(i: Item): Promise<void> {
  const file = files.get(i.id) ?? (await keptFile(i.id))
  if (!file) {
    i.state = 'failed'
    i.problem = t('batch.lost')
    return
  }
  i.state = 'sending'
  i.picture = await send(file)
  files.delete(i.id)
  void dropFile(i.id)
  if (i.state === 'sending') i.state = 'sent'
}

async function advance(i: Item): Promise<void> {
  if (i.state === 'waiting') await sendItem(i)
  else if (batch.request && i.picture) {
    i.task = await begin({ ...batch.request, content_image: i.picture }, true)
    i.state = 'begun'
  }
}

const next = () =>
  (batch.request && batch.items.find((i) => i.state === 'sent')) ||
  batch.items.find((i) => i.state === 'waiting')

/** Work until nothing is left to do, or the service is gone. */
async function work(): Promise<void> {
  if (working) return
  working = true
  const mine = run
  for (let i = next(); i && link.up && mine === run; i = next()) {
    const before = i.state
    try {
      await advance(i)
      if (mine !== run && i.task) void api.cancel(i.task).catch(() => undefined)
    } catch (e) {
      if (!(e instanceof api.Fault)) throw e
      if (mine !== run) break
      if (i.state === 'sending') i.state = before
      if (e.kind === 'gone') break // onReconnect() continues
      if (await waitForRoom(e, batch, () => mine !== run)) continue
      fail(i, e)
    }
  }
  working = false
  if (mine !== run && next()) void work()
}

/** Begin a batch: the files are sent at once, and painted after startAll(). */
export function startBatch(list: readonly File[]): void {
  if (progress.value.over) closeBatch()
  for (const file of list) {
    files.set(++last, file)
    void keepFile(last, file)
    batch.items.push({ id: last, name: file.name, state: 'waiting' })
  }
  void work()
}

/** Paint all with the styles and settings of a draft, whose regions belong to one picture. */
export async function startAll(d: Draft): Promise<void> {
  const plain = { ...d, styles: d.styles.map((s) => ({ name: s.name, weight: s.weight })) }
  delete plain.keepMask
  batch.request = await toRequest(plain, () => Promise.resolve(''))
  batch.started = Date.now()
  void work()
}

function forgetFiles(): void {
  files.clear()
  void dropFiles()
}

/** keep: running tasks end with the picture so far. */
async function end(keep: boolean): Promise<void> {
  run++
  batch.wait = 0
  forgetFiles()
  const open = batch.items.filter((i) => !isOver(stateOf(i)))
  for (const i of open) if (i.state !== 'begun') i.state = 'cancelled'
  await Promise.all(
    open.map(async ({ task }) => {
      if (!task) return
      const stops = keep && known.get(task)?.now.status === 'running'
      await (stops ? api.stop(task) : api.cancel(task)).catch(() => undefined)
      await refresh(task)
    }),
  )
}

export const cancelAll = () => end(false)
export const stopAll = () => end(true)

/** Forget the batch; its results stay in the gallery. */
export function closeBatch(): void {
  run++
  for (const i of batch.items) if (i.task && isOver(stateOf(i))) remove(i.task)
  forgetFiles()
  Object.assign(batch, none())
}

/** A ZIP archive of all results; told: called with the number of those fetched. */
export async function packAll(told: (n: number) => void): Promise<Blob> {
  const done = batch.items.filter((i) => stateOf(i) === 'done')
  const packed: { name: string; data: Blob }[] = []
  for (const i of done) {
    const url = taskOf(i)?.now.output_img
    const name = `${i.name.replace(/\.[^.]*$/, '')}.png`
    if (url) packed.push({ name, data: await api.fetchPicture(url) })
    told(packed.length)
  }
  const { zip } = await import('./zip')
  return zip(packed)
}

/** Continue the batch of the page that was closed. */
export function openBatch(): void {
  Object.assign(batch, { ...none(), ...loadItem<Partial<Batch>>('batch', {}) })
  if (!batch.items.length) void dropFiles() // of somebody who has signed out
  for (const i of batch.items) {
    last = Math.max(last, i.id)
    if (i.state === 'sending') i.state = 'waiting'
    if (i.task && !(taskOf(i) && isFinished((taskOf(i) as Tracked).now)))
      void refresh(i.task)
        .then((task) => task && (task.grouped = true))
        .catch(() => (i.state = 'failed'))
  }
  watch(
    () => [batch.items, batch.request, batch.started],
    () =>
      saveItem('batch', {
        items: batch.items,
        request: batch.request,
        started: batch.started,
      } satisfies Batch),
    { deep: true },
  )
  onReconnect(() => void work())
  void work()
}
