/** Losses as lines: each on a logarithmic scale of its own, for they differ by magnitudes. */
export interface Point {
  step: number
  content: number | null
  style: number | null
}

/** More than that are not seen. */
export const MAX_POINTS = 240

/**
 * Add a point, in place of those from there on: the task went back to a checkpoint, or an
 * answer came late. When there are too many, every other one goes.
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

/** The line of a series in a field of that width and height; null if it has no two points. */
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
