/** The tasks this page knows: all unfinished ones, and those it started. */
import { computed, reactive, watch } from 'vue'
import * as api from './api'
import { type Point, addPoint } from './chart'
import { link, onReconnect } from './link'
import { loadItem, saveItem } from './storage'
import { noteWait } from './wait'

export interface Tracked {
  now: api.Progress
  losses: Point[]
  /** The request, if this page made it. */
  asked?: api.TransferRequest
  /** The service no longer knows the task. */
  gone?: boolean
  /** One of a group (batch.ts, variations.ts), which shows it itself. */
  grouped?: boolean
}

const MAX_SAVED = 24
const POLL_MS = 1500
const IDLE_MS = 8000
const KEEP_MS = 1000
const EVENTS_MS = 60

export const known = reactive(new Map<string, Tracked>())

export const isFinished = (p: api.Progress) => p.status !== 'queued' && p.status !== 'running'
const isOpen = (t: Tracked) => !t.gone && !isFinished(t.now)

/** Newest first. */
export const listed = computed(() => [...known.values()].filter((t) => !t.grouped).reverse())
export const open = computed(() => [...known.values()].filter(isOpen).reverse())

const onEnd: ((t: Tracked) => void)[] = []

/** Call f whenever a task finishes. */
export function onFinished(f: (t: Tracked) => void): void {
  onEnd.push(f)
}

/** Update a task from a response of the service. */
export function merge(p: api.Progress, asked?: api.TransferRequest): Tracked {
  let t = known.get(p.task_id)
  const was = t?.now.status
  if (!t) {
    known.set(p.task_id, { now: p, losses: [] })
    t = known.get(p.task_id) as Tracked
  }
  t.now = p
  noteWait(p)
  if (asked) t.asked = asked
  if (p.status === 'running' && (p.content_loss !== null || p.style_loss !== null))
    addPoint(t.losses, { step: p.progress, content: p.content_loss, style: p.style_loss })
  if (was && was !== p.status && isFinished(p)) for (const f of onEnd) f(t)
  return t
}

/** Save the tasks for the next visit: all unfinished ones and the newest finished ones. */
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

/** Fetch one task; marks it as gone if the service does not know it. */
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

/** Fetch all unfinished tasks, and those that have finished since the last poll. */
export async function poll(): Promise<void> {
  const before = open.value.map((t) => t.now.task_id)
  const now = await api.tasks()
  for (const p of now) merge(p)
  const there = new Set(now.map((p) => p.task_id))
  await Promise.all(before.filter((id) => !there.has(id)).map((id) => refresh(id)))
}

/**
 * Pass the first value on at once, and of those that come within EVENTS_MS the last. The coarse
 * scales make a hundred steps a second: a slow device would have no time to paint.
 */
export function thin<T>(take: (value: T) => void): { next: (value: T) => void; flush: () => void } {
  let held: { value: T } | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  function flush(): void {
    const one = held
    held = undefined
    if (one) take(one.value)
  }
  function next(value: T): void {
    held = { value }
    if (timer !== undefined) return
    timer = setTimeout(() => {
      timer = undefined
      if (held) next(held.value)
    }, EVENTS_MS)
    flush()
  }
  return { next, flush }
}

let watched = ''
let source: EventSource | undefined

function closeSource(): void {
  source?.close()
  source = undefined
}

/** Only one event stream, since browsers limit connections; other tasks are polled. */
function openSource(): void {
  const t = known.get(watched)
  closeSource()
  if (!link.up || document.hidden || !t || !isOpen(t)) return
  const from = (source = new EventSource(api.eventsUrl(watched)))
  const events = thin((text: string) => {
    if (source !== from) return
    if (isFinished(merge(JSON.parse(text) as api.Progress).now)) from.close()
  })
  from.onmessage = (e: MessageEvent<string>) => events.next(e.data)
  from.addEventListener('gone', () => {
    const gone = known.get(watched)
    if (gone) gone.gone = true
    from.close()
  })
  from.onerror = () => {
    events.flush()
    from.close()
    if (source === from) source = undefined
    void poll().catch(() => undefined) // detects whether the service is reachable
  }
}

/** Stream the progress of one task; '': none. */
export function follow(id: string): void {
  watched = id
  openSource()
}

/** grouped: the task is one of a group. */
export async function begin(body: api.TransferRequest, grouped = false): Promise<string> {
  const { task_id } = await api.transfer(body)
  const task = merge(
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
  if (grouped) task.grouped = true
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
