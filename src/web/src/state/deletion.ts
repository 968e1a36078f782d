/**
 * Deletion with undo. The service cannot restore what it deletes, so the request is delayed:
 * until the timeout, until the page is left, or at the latest until the next visit.
 */
import { Fault } from './api'
import { loadItem, saveItem } from './storage'

export const UNDO_MS = 8000

export interface Deletions {
  /** Storage name of the pending deletions, for the next visit. */
  name: string
  pending: Set<string>
  ask: (key: string) => Promise<void>
  /** Called after the service has deleted it. */
  done: (key: string) => void
}

const timers = new Map<string, () => void>()

function note(of: Deletions): void {
  saveItem(of.name, [...of.pending])
}

async function work(of: Deletions, key: string, failed: (f: Fault) => void): Promise<void> {
  try {
    await of.ask(key)
    of.done(key)
  } catch (e) {
    if (!(e instanceof Fault)) throw e
    if (e.kind === 'gone') return // retried at the next visit
    if (e.kind === 'unknown') of.done(key)
    else failed(e)
  }
  of.pending.delete(key)
  note(of)
}

/** Delete key after ms, unless the returned function is called before. */
export function deleteLater(
  of: Deletions,
  key: string,
  failed: (f: Fault) => void,
  ms = UNDO_MS,
): () => void {
  const timer = setTimeout(() => timers.get(key)?.(), ms)
  const stop = () => {
    clearTimeout(timer)
    timers.delete(key)
  }
  of.pending.add(key)
  note(of)
  timers.set(key, () => {
    stop()
    void work(of, key, failed)
  })
  return () => {
    stop()
    of.pending.delete(key)
    note(of)
  }
}

/** Run all pending deletions now. */
export function flushDeletions(): void {
  for (const run of [...timers.values()]) run()
}

/** Run the deletions that were pending when the page was left. */
export function resumeDeletions(of: Deletions): void {
  for (const key of loadItem<string[]>(of.name, [])) {
    of.pending.add(key)
    void work(of, key, () => undefined)
  }
}
