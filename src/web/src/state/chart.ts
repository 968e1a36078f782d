/** Loss curves, each on its own logarithmic scale, since they differ by orders of magnitude. */
export interface Point {
  step: number
  content: number | null
  style: number | null
}

/** More points would not be visible. */
export const MAX_POINTS = 240

/**
 * Add a point and drop those from its step on: the task may have resumed from a checkpoint, or
 * a response came late. Above MAX_POINTS every other point is dropped.
 */
export function addPoint(points: Point[], p: Point): void {
  while ((points[points.length - 1]?.step ?? -1) >= p.step) points.pop()
  points.push(p)
  if (points.length > MAX_POINTS)
    points.splice(
      0,
      points.length,
      ...points.filter((_, i) => i % 2 === 0 || i === points.length - 1),
    )
}

export interface Line {
  path: string
  min: number
  max: number
}

/** The SVG path of a series in a width × height area; null below two points. */
export function line(
  points: readonly Point[],
  key: 'content' | 'style',
  total: number,
  width: number,
  height: number,
): Line | null {
  const at = points.flatMap((p) => {
    const v = p[key]
    return v !== null && v > 0 ? [{ step: p.step, v }] : []
  })
  if (at.length < 2) return null
  const values = at.map((p) => p.v)
  const min = Math.min(...values)
  const max = Math.max(...values)
  const span = Math.log(max) - Math.log(min) || 1
  const path = at
    .map((p, i) => {
      const x = (p.step / Math.max(1, total)) * width
      const y = height - ((Math.log(p.v) - Math.log(min)) / span) * height
      return `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`
    })
    .join('')
  return { path, min, max }
}
