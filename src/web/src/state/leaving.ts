/**
 * Deletion that can be undone: the service deletes at once, and what is gone there is gone. So
 * it is asked for after a while; at the latest when the page is left, or when it is next here.
 */
import { Fault } from './api'
import { keep, recall } from './storage'

export const UNDO_MS = 8000

export interface Leaving {
  /** Where what is being deleted is noted, should the page be left. */
  name: string
  going: Set<string>
  ask: (key: string) => Promise<void>
  /** The service has it no more. */
  done: (key: string) => void
}

const timers = new Map<string, () => void>()

function note(of: Leaving): void {
  keep(of.name, [...of.going])
}

async function work(of: Leaving, key: string, failed: (f: Fault) => void): Promise<void> {
  try {
    await of.ask(key)
    of.done(key)
  } catch (e) {
    if (!(e instanceof Fault)) throw e
    if (e.kind === 'gone') return // it is tried again next time
    if (e.kind === 'unknown') of.done(key)
    else failed(e)
  }
  of.going.delete(key)
  note(of)
}

/** Delete that in a while, unless what is returned is called until then. */
export function deleteLater(
  of: Leaving,
  key: string,
  failed: (f: Fault) => void,
  ms = UNDO_MS,
): () => void {
  const timer = setTimeout(() => timers.get(key)?.(), ms)
  const stop = () => {
    clearTimeout(timer)
    timers.delete(key)
  }
  of.going.add(key)
  note(of)
  timers.set(key, () => {
    stop()
    void work(of, key, failed)
  })
  return () => {
    stop()
    of.going.delete(key)
    note(of)
  }
}

/** All that waits, now. */
export function deleteNow(): void {
  for (const run of [...timers.values()]) run()
}

/** What the page was left with. */
export function goOn(of: Leaving): void {
  for (const key of recall<string[]>(of.name, [])) {
    of.going.add(key)
    void work(of, key, () => undefined)
  }
}
