/** The connection state, and automatic reconnection. */
import { reactive } from 'vue'
import { connectivity, probe } from './api'

export const link = reactive({ up: true, next: 0 /* milliseconds since 1970 */, tries: 0 })

const MIN_MS = 1000
const MAX_MS = 10_000

/** Milliseconds to wait before attempt n. */
export function backoff(n: number): number {
  return Math.min(MAX_MS, MIN_MS * 2 ** n)
}

let timer: ReturnType<typeof setTimeout> | undefined
const onBack: (() => void)[] = []

/** Call f after each reconnection. */
export function onReconnect(f: () => void): void {
  onBack.push(f)
}

function plan(): void {
  clearTimeout(timer)
  const wait = backoff(link.tries)
  link.next = Date.now() + wait
  timer = setTimeout(() => void tryNow(), wait)
}

export async function tryNow(): Promise<void> {
  clearTimeout(timer)
  link.tries++
  if (await probe()) connectivity.report(true)
  else if (!link.up) plan()
}

connectivity.report = (there) => {
  if (there === link.up) return
  link.up = there
  link.tries = 0
  clearTimeout(timer)
  if (!there) plan()
  else for (const f of onBack) f()
}
