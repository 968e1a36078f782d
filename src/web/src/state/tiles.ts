/** The geometry of the gallery: rows of equal tiles, of which a few are in the document. */
import type { TileSize } from './gallery'

/** Pixels. */
export interface Shape {
  columns: number
  /** The side of a square picture. */
  side: number
  /** The height of a row with its gap. */
  pitch: number
}

export interface Row {
  section: number
  /** The first index of its tiles, and the index after the last. */
  from: number
  to: number
  top: number
}

export interface Section {
  top: number
  height: number
  /** Rows [first, last) of the plan. */
  first: number
  last: number
}

export interface Plan {
  rows: Row[]
  sections: Section[]
  height: number
}

export const GAP = 8
const WANTED: Record<TileSize, number> = { small: 6.25, medium: 10, large: 16 } // rem
const FEWEST: Record<TileSize, number> = { small: 4, medium: 3, large: 2 }

/** The shape of tiles in a width; rem: pixels of one; caption: pixels below each picture. */
export function shapeOf(width: number, size: TileSize, rem: number, caption: number): Shape {
  const fits = Math.floor((width + GAP) / (WANTED[size] * rem + GAP))
  const columns = Math.max(FEWEST[size], fits)
  const side = Math.max(1, Math.floor((width - GAP * (columns - 1)) / columns))
  return { columns, side, pitch: side + caption + GAP }
}

/** Rows of sections with these numbers of tiles; head: pixels above the tiles of each. */
export function planOf(counts: readonly number[], shape: Shape, head: number): Plan {
  const rows: Row[] = []
  const sections: Section[] = []
  let top = 0
  let index = 0
  for (const [section, count] of counts.entries()) {
    const first = rows.length
    const start = top
    const end = index + count
    top += head
    for (; index < end; index += shape.columns) {
      rows.push({ section, from: index, to: Math.min(end, index + shape.columns), top })
      top += shape.pitch
    }
    index = end
    sections.push({ top: start, height: top - start, first, last: rows.length })
  }
  return { rows, sections, height: top }
}

/** The first index for which isAfter holds, in a list where it holds from somewhere on. */
function firstWhere(length: number, isAfter: (i: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >> 1
    if (isAfter(middle)) high = middle
    else low = middle + 1
  }
  return low
}

/** Rows [first, last) that touch the pixels from top to bottom. */
export function rowsIn(plan: Plan, pitch: number, top: number, bottom: number): [number, number] {
  const { rows } = plan
  const topOf = (i: number) => (rows[i] as Row).top
  return [
    firstWhere(rows.length, (i) => topOf(i) + pitch > top),
    firstWhere(rows.length, (i) => topOf(i) >= bottom),
  ]
}

/** The row of a tile. */
export function rowOf(plan: Plan, index: number): number {
  return firstWhere(plan.rows.length, (i) => (plan.rows[i] as Row).to > index)
}

export type Step = 'left' | 'right' | 'up' | 'down' | 'home' | 'end' | 'pageup' | 'pagedown'

/** Where a key leads from a tile: its index. page: rows of a page. */
export function stepFrom(plan: Plan, index: number, step: Step, page: number): number {
  const last = (plan.rows.at(-1)?.to ?? 1) - 1
  const at = rowOf(plan, index)
  const column = index - (plan.rows[at]?.from ?? 0)
  const inRow = (row: number) => {
    const there = plan.rows[Math.max(0, Math.min(plan.rows.length - 1, row))]
    return there ? Math.min(there.from + column, there.to - 1) : 0
  }
  switch (step) {
    case 'left':
      return Math.max(0, index - 1)
    case 'right':
      return Math.min(last, index + 1)
    case 'up':
      return at === 0 ? index : inRow(at - 1)
    case 'down':
      return at === plan.rows.length - 1 ? index : inRow(at + 1)
    case 'pageup':
      return inRow(at - page)
    case 'pagedown':
      return inRow(at + page)
    case 'home':
      return 0
    case 'end':
      return last
  }
}
