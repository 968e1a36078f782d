/**
 * Deletion that can be undone: the service deletes at once, and what is gone there is gone. So
 * it is asked for after a while; at the latest when the page is left, or when it is next here.
 */
import { Fault } from './api'
import { loadItem, saveItem } from './storage'

export const UNDO_MS = 8000

export interface Deletions {
  /** Where what is being deleted is noted, should the page be left. */
  name: string
  pending: Set<string>
  ask: (key: string) => Promise<void>
  /** The service has it no more. */
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
    if (e.kind === 'gone') return // it is tried again next time
    if (e.kind === 'unknown') of.done(key)
    else failed(e)
  }
  of.pending.delete(key)
  note(of)
}

/** Delete that in a while, unless what is returned is called until then. */
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

/** All that waits, now. */
export function flushDeletions(): void {
  for (const run of [...timers.values()]) run()
}

/** What the page was left with. */
export function resumeDeletions(of: Deletions): void {
  for (const key of loadItem<string[]>(of.name, [])) {
    of.pending.add(key)
    void work(of, key, () => undefined)
  }
}
