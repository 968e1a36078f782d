/** Short notifications at the edge of the page. */
import { reactive } from 'vue'

export interface Toast {
  id: number
  text: string
  detail?: string
  tone: 'plain' | 'good' | 'bad'
  action?: { label: string; run: () => void }
  /** Time of automatic dismissal in milliseconds since 1970; 0: none. */
  until: number
}

export const toasts = reactive<Toast[]>([])
let last = 0

export function dismiss(id: number): void {
  const at = toasts.findIndex((t) => t.id === id)
  if (at >= 0) toasts.splice(at, 1)
}

export function showToast(
  text: string,
  more: Partial<Pick<Toast, 'detail' | 'tone' | 'action'>> & { ms?: number } = {},
): number {
  const { ms = 6000, tone = 'plain', ...rest } = more
  const id = ++last
  toasts.push({ id, text, tone, ...rest, until: ms ? Date.now() + ms : 0 })
  if (toasts.length > 4) toasts.shift()
  if (ms) setTimeout(() => dismiss(id), ms)
  return id
}
