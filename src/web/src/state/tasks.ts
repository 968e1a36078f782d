/** The tasks that this page knows of: those that are not over, and those it began. */
import { computed, reactive, watch } from 'vue'
import * as api from './api'
import { type Point, addPoint } from './chart'
import { link, onReconnect } from './link'
import { loadItem, saveItem } from './storage'

export interface Tracked {
  now: api.Progress
  losses: Point[]
  /** What was asked, where this page did. */
  asked?: api.TransferRequest
  /** The server does not know it any more. */
  gone?: boolean
}

const MAX_SAVED = 24
const POLL_MS = 1500
const IDLE_MS = 8000
const KEEP_MS = 1000

export const known = reactive(new Map<string, Tracked>())

export const isFinished = (p: api.Progress) => p.status !== 'queued' && p.status !== 'running'
const isOpen = (t: Tracked) => !t.gone && !isFinished(t.now)

/** Newest first. */
export const listed = computed(() => [...known.values()].reverse())
export const open = computed(() => listed.value.filter(isOpen))

const onEnd: ((t: Tracked) => void)[] = []

/** Call that whenever a task that was not over is. */
export function onFinished(f: (t: Tracked) => void): void {
  onEnd.push(f)
}

/** Take in what the service says of a task. */
export function merge(p: api.Progress, asked?: api.TransferRequest): Tracked {
  let t = known.get(p.task_id)
  const was = t?.now.status
  if (!t) {
    known.set(p.task_id, { now: p, losses: [] })
    t = known.get(p.task_id) as Tracked
  }
  t.now = p
  if (asked) t.asked = asked
  if (p.status === 'running' && (p.content_loss !== null || p.style_loss !== null))
    addPoint(t.losses, { step: p.progress, content: p.content_loss, style: p.style_loss })
  if (was && was !== p.status && isFinished(p)) for (const f of onEnd) f(t)
  return t
}

/** What is kept of them when the page is left; the oldest that are over are not. */
function persist(): void {
  const all = [...known.entries()].filter(([, t]) => !t.gone)
  const kept = all.filter(([, t], i) => isOpen(t) || i >= all.length - MAX_SAVED)
  saveItem('tasks', kept)
}

export function restore(): void {
  for (const [id, t] of loadItem<[string, Tracked][]>('tasks', [])) known.set(id, t)
}

export function remove(id: string): void {
  known.delete(id)
}

export function removeFinished(): void {
  for (const [id, t] of known) if (!isOpen(t)) known.delete(id)
}

/** How it is with one task; marks it as gone if there is none. */
export async function refresh(id: string): Promise<Tracked | undefined> {
  try {
    return merge(await api.progress(id))
  } catch (e) {
    const t = known.get(id)
    if (t && e instanceof api.Fault && e.kind === 'unknown') t.gone = true
    else if (!(e instanceof api.Fault)) throw e
    if (e instanceof api.Fault && e.kind === 'unknown' && !t) throw e
    return t
  }
}

/** How it is with all: those that are not over, and those that were not when last seen. */
export async function poll(): Promise<void> {
  const before = open.value.map((t) => t.now.task_id)
  const now = await api.tasks()
  for (const p of now) merge(p)
  const there = new Set(now.map((p) => p.task_id))
  await Promise.all(before.filter((id) => !there.has(id)).map((id) => refresh(id)))
}

let watched = ''
let source: EventSource | undefined

function closeSource(): void {
  source?.close()
  source = undefined
}

/** One stream at a time: a browser has few connections, and the others are polled. */
function openSource(): void {
  const t = known.get(watched)
  closeSource()
  if (!link.up || document.hidden || !t || !isOpen(t)) return
  const from = (source = new EventSource(api.eventsUrl(watched)))
  from.onmessage = (e: MessageEvent<string>) => {
    if (isFinished(merge(JSON.parse(e.data) as api.Progress).now)) from.close()
  }
  from.addEventListener('gone', () => {
    const gone = known.get(watched)
    if (gone) gone.gone = true
    from.close()
  })
  from.onerror = () => {
    from.close()
    if (source === from) source = undefined
    void poll().catch(() => undefined) // says whether the service is there
  }
}

/** Follow that task as it goes; '': none. */
export function follow(id: string): void {
  watched = id
  openSource()
}

export async function begin(body: api.TransferRequest): Promise<string> {
  const { task_id } = await api.transfer(body)
  merge(
    {
      task_id,
      status: 'queued',
      progress: 0,
      total: body.num_steps ?? 0,
      percent: 0,
      content_loss: null,
      style_loss: null,
      eta_seconds: null,
      error: null,
      output_img: null,
      content_img: body.content_image,
      style_img: body.styles[0]?.name ?? null,
    },
    body,
  )
  return task_id
}

let timer: ReturnType<typeof setTimeout> | undefined

function plan(): void {
  clearTimeout(timer)
  timer = setTimeout(() => void tick(), open.value.length ? POLL_MS : IDLE_MS)
}

async function tick(): Promise<void> {
  if (link.up && !document.hidden) {
    await poll().catch(() => undefined)
    if (!source) openSource()
  }
  plan()
}

export function openTasks(): void {
  let due: ReturnType<typeof setTimeout> | undefined
  restore()
  watch(known, () => {
    due ??= setTimeout(() => {
      due = undefined
      persist()
    }, KEEP_MS)
  })
  watch(() => open.value.length, plan)
  addEventListener('pagehide', persist)
  document.addEventListener('visibilitychange', () => void tick())
  watch(
    () => link.up,
    (up) => {
      if (!up) closeSource()
    },
  )
  onReconnect(() => void tick())
  void tick()
}
