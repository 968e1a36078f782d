/** Regions painted with a brush: strokes, which any size of picture can be made of. */
export interface Stroke {
  erase: boolean
  /** Width, as a share of the picture's longest side. */
  width: number
  /** x and y in turn, as shares of the picture's width and height. */
  at: number[]
}

export interface Mask {
  /** A mask that was uploaded for an earlier task, to paint on. */
  under?: string
  strokes: Stroke[]
}

/** Where masks are rendered to files: longest side, in pixels. */
export const MASK_SIDE = 1024
const NEAR = 0.002

export function isBlank(mask: Mask | undefined): boolean {
  return !mask || (!mask.under && !mask.strokes.some((s) => !s.erase))
}

/** Add a point, unless it hardly differs from the last: strokes are kept as text. */
export function extend(stroke: Stroke, x: number, y: number): boolean {
  const n = stroke.at.length
  const dx = x - (stroke.at[n - 2] ?? -1)
  const dy = y - (stroke.at[n - 1] ?? -1)
  if (n && Math.hypot(dx, dy) < NEAR) return false
  stroke.at.push(Math.round(x * 1e4) / 1e4, Math.round(y * 1e4) / 1e4)
  return true
}

/** Paint it; the context has colour and size, and what is under it is painted already. */
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

/** Width and height of a picture within a longest side. */
export function fit(width: number, height: number, side: number): [number, number] {
  const by = Math.min(1, side / Math.max(width, height, 1))
  return [Math.max(1, Math.round(width * by)), Math.max(1, Math.round(height * by))]
}
