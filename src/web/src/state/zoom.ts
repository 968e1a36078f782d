/** Looking at a picture closely: how large it is, and which point of it is in the middle. */
export interface View {
  /** Of the picture that just fits. */
  scale: number
  /** How far the picture's middle is from that of the window, in pixels. */
  x: number
  y: number
}

export const MAX_SCALE = 16

export const fitView = (): View => ({ scale: 1, x: 0, y: 0 })

function clamp(value: number, limit: number): number {
  return Math.min(limit, Math.max(-limit, value))
}

/** The picture, as large as it fits w and h, cannot be pushed out of the window. */
export function limitView(v: View, w: number, h: number): View {
  return {
    scale: v.scale,
    x: clamp(v.x, (w * (v.scale - 1)) / 2),
    y: clamp(v.y, (h * (v.scale - 1)) / 2),
  }
}

/** Zoom by a factor and keep what is at (px, py), from the window's middle, where it is. */
export function zoomAt(v: View, factor: number, px: number, py: number): View {
  const scale = Math.min(MAX_SCALE, Math.max(1, v.scale * factor))
  const by = scale / v.scale
  return { scale, x: px - (px - v.x) * by, y: py - (py - v.y) * by }
}
