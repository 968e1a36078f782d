/** How long a queued task still waits, judged by how fast the queue has moved. */
import type { Progress } from './api'

interface Moves {
  position: number
  /** When the place was last seen to change, or the task first seen; in milliseconds. */
  at: number
  /** Of all changes: their time and the places gained. */
  ms: number
  places: number
}

const seen = new Map<string, Moves>()

/** Remember the place of a task; now: milliseconds since 1970. */
export function noteWait({ task_id: id, status, position }: Progress, now = Date.now()): void {
  if (status !== 'queued' || !position) {
    seen.delete(id)
    return
  }
  const m = seen.get(id)
  if (!m || position > m.position) seen.set(id, { position, at: now, ms: 0, places: 0 })
  else if (position < m.position) {
    m.ms += now - m.at
    m.places += m.position - position
    m.position = position
    m.at = now
  }
}

/**
 * Seconds until the task starts; undefined: nothing to judge by. soonest: seconds until a running
 * task ends, if it is known.
 */
export function waitOf(p: Progress, soonest?: number, now = Date.now()): number | undefined {
  const m = seen.get(p.task_id)
  if (p.position === 1 && soonest !== undefined) return soonest
  if (!m?.places) return undefined
  const pace = m.ms / m.places
  return Math.max(0, m.position * pace - (now - m.at)) / 1000
}
