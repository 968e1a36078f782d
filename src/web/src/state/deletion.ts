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

/** Each runs one delayed deletion now. */
const delayed = new Set<(leaving: boolean) => void>()

function note(of: Deletions): void {
  saveItem(of.name, [...of.pending])
}

const wait = (seconds: number) => new Promise((go) => setTimeout(go, 1000 * seconds))

async function work(of: Deletions, key: string, failed: (f: Fault) => void): Promise<void> {
  try {
    await of.ask(key)
    of.done(key)
  } catch (e) {
    if (!(e instanceof Fault)) throw e
    if (e.kind === 'gone') return // retried at the next visit
    if (e.kind === 'often') {
      await wait(e.retryAfter || 1)
      return work(of, key, failed)
    }
    if (e.kind === 'unknown') of.done(key)
    else failed(e)
  }
  of.pending.delete(key)
  note(of)
}

/** One after the other, since the service limits the requests per second. */
async function workAll(
  of: Deletions,
  keys: readonly string[],
  failed: (f: Fault) => void,
): Promise<void> {
  for (const key of keys) await work(of, key, failed)
}

/** Delete one or several keys after ms, unless the returned function is called before. */
export function deleteLater(
  of: Deletions,
  keys: string | readonly string[],
  failed: (f: Fault) => void,
  ms = UNDO_MS,
): () => void {
  const all = [keys].flat()
  const run = (leaving: boolean) => {
    stop()
    // a page that is left does not continue: all requests begin at once
    if (leaving) for (const key of all) void work(of, key, failed)
    else void workAll(of, all, failed)
  }
  const timer = setTimeout(() => run(false), ms)
  const stop = () => {
    clearTimeout(timer)
    delayed.delete(run)
  }
  for (const key of all) of.pending.add(key)
  note(of)
  delayed.add(run)
  return () => {
    stop()
    for (const key of all) of.pending.delete(key)
    note(of)
  }
}

/** Run all pending deletions now, as the page is left. */
export function flushDeletions(): void {
  for (const run of [...delayed]) run(true)
}

/** Run the deletions that were pending when the page was left. */
export function resumeDeletions(of: Deletions): void {
  const keys = loadItem<string[]>(of.name, [])
  for (const key of keys) of.pending.add(key)
  void workAll(of, keys, () => undefined)
}
