/** Waiting for room in the queue of the service. */
import type { Fault } from './api'
import { retryDelay } from './faults'

/** Seconds. A quota of the day takes longer, and is told as a fault. */
const MAX_WAIT = 60

const sleep = (ms: number) => new Promise((go) => setTimeout(go, ms))

/** Wait as long as the service asks; state.wait: the seconds left. False: waiting is no
 * remedy. isOver: ends the wait. */
export async function waitForRoom(
  f: Fault,
  state: { wait: number },
  isOver: () => boolean,
): Promise<boolean> {
  const seconds = retryDelay(f)
  if (!seconds || seconds > MAX_WAIT) return false
  for (state.wait = seconds; state.wait > 0 && !isOver(); state.wait--) await sleep(1000)
  state.wait = 0
  return true
}
