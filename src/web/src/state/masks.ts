/** Guidance masks as brush strokes, in relative units so that they render at any size. */
export interface Stroke {
  erase: boolean
  /** Width relative to the picture's longest side. */
  width: number
  /** x0, y0, x1, y1, …, relative to the picture's width and height. */
  at: number[]
}

export interface Mask {
  /** Uploaded mask of an earlier task, below the strokes. */
  under?: string
  strokes: Stroke[]
}

/** Longest side of an uploaded mask, in pixels. */
export const MASK_SIDE = 1024
const NEAR = 0.002

export function isBlank(mask: Mask | undefined): boolean {
  return !mask || (!mask.under && !mask.strokes.some((s) => !s.erase))
}

/** Add a point unless it is close to the last one, to keep the stored text short. */
export function extend(stroke: Stroke, x: number, y: number): boolean {
  const n = stroke.at.length
  const dx = x - (stroke.at[n - 2] ?? -1)
  const dy = y - (stroke.at[n - 1] ?? -1)
  if (n && Math.hypot(dx, dy) < NEAR) return false
  stroke.at.push(Math.round(x * 1e4) / 1e4, Math.round(y * 1e4) / 1e4)
  return true
}

/** Draw the strokes of a mask over the canvas, which already shows mask.under. */
export function paint(c: CanvasRenderingContext2D, mask: Mask, colour: string): void {
  const { width, height } = c.canvas
  const side = Math.max(width, height)
  c.lineCap = c.lineJoin = 'round'
  c.strokeStyle = c.fillStyle = colour
  for (const s of mask.strokes) {
    const [x = 0, y = 0] = s.at
    c.globalCompositeOperation = s.erase ? 'destination-out' : 'source-over'
    c.lineWidth = Math.max(1, s.width * side)
    c.beginPath()
    c.moveTo(x * width, y * height)
    if (s.at.length === 2) c.lineTo(x * width + 0.01, y * height)
    for (let i = 2; i < s.at.length; i += 2)
      c.lineTo((s.at[i] ?? 0) * width, (s.at[i + 1] ?? 0) * height)
    c.stroke()
  }
  c.globalCompositeOperation = 'source-over'
}

/** Scale width and height down so that the longest side fits. */
export function fit(width: number, height: number, side: number): [number, number] {
  const by = Math.min(1, side / Math.max(width, height, 1))
  return [Math.max(1, Math.round(width * by)), Math.max(1, Math.round(height * by))]
}
