/** Zoom and pan of a picture. */
export interface View {
  /** 1: the picture fits the window. */
  scale: number
  /** Offset of the picture's centre from the window's centre, in pixels. */
  x: number
  y: number
}

export const MAX_SCALE = 16

export const fitView = (): View => ({ scale: 1, x: 0, y: 0 })

function clamp(value: number, limit: number): number {
  return Math.min(limit, Math.max(-limit, value))
}

/** Limit the offset so that the picture cannot leave a window of w × h pixels. */
export function limitView(v: View, w: number, h: number): View {
  return {
    scale: v.scale,
    x: clamp(v.x, (w * (v.scale - 1)) / 2),
    y: clamp(v.y, (h * (v.scale - 1)) / 2),
  }
}

/** Zoom by a factor and keep the point (px, py), relative to the centre, fixed. */
export function zoomAt(v: View, factor: number, px: number, py: number): View {
  const scale = Math.min(MAX_SCALE, Math.max(1, v.scale * factor))
  const by = scale / v.scale
  return { scale, x: px - (px - v.x) * by, y: py - (py - v.y) * by }
}
