/** Small pictures that differ in one setting, to choose from. */
import { reactive, watch } from 'vue'
import * as api from './api'
import { type Chosen, DEFAULT, type Draft, type Values } from './draft'
import { t } from './i18n'
import { largerRequest } from './larger'
import { extentOf, presets } from './presets'
import { waitForRoom } from './room'
import { loadItem, saveItem } from './storage'
import { nameOf } from './styles'
import { begin, known, remove } from './tasks'

export const AXES = ['strength', 'strokes', 'styles', 'chance'] as const
export type Axis = (typeof AXES)[number]
export const COUNTS = [4, 9] as const

/** Longest side of the small pictures. */
const SIDE = 256

export interface Cell {
  label: string
  /** The draft that it stands for, at full size. */
  draft: Draft
  task?: string
}

export const grid = reactive({
  /** The dialog is open. */
  open: false,
  cells: [] as Cell[],
  busy: false,
  fault: null as api.Fault | null,
  /** Seconds until the rest is sent; 0: nothing waits. */
  wait: 0,
})
let run = 0

const STRENGTHS = { 4: [0.6, 0.75, 0.9, 1], 9: [0.3, 0.45, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1] }
const STROKES = { 4: [0.5, 0.8, 1.2, 1.8], 9: [0.4, 0.5, 0.6, 0.8, 1, 1.2, 1.4, 1.7, 2] }

const copy = (d: Draft): Draft => JSON.parse(JSON.stringify(d)) as Draft

function withValues(d: Draft, values: Partial<Values>): Draft {
  const c = copy(d)
  Object.assign(c.values, values)
  return c
}

function withStyle(d: Draft, name: string): Draft {
  const c = copy(d)
  const mask = d.styles.length === 1 ? d.styles[0]?.mask : undefined
  c.styles = [{ name, weight: 50, ...(mask && { mask }) } satisfies Chosen]
  return c
}

/** Noise instead of the photograph: another one for each seed. */
function withSeed(d: Draft, seed: number): Draft {
  const c = withValues(d, { seed })
  c.more = { ...c.more, init_image: 'noise' }
  return c
}

/** The variations of a draft over an axis; names: of all styles, in their order. */
export function spread(d: Draft, axis: Axis, n: 4 | 9, names: readonly string[]): Cell[] {
  switch (axis) {
    case 'strength':
      return STRENGTHS[n].map((strength) => ({
        label: `${Math.round(100 * strength)} %`,
        draft: withValues(d, { strength }),
      }))
    case 'strokes':
      return STROKES[n].map((strokes) => ({
        label: `${strokes} ×`,
        draft: withValues(d, { strokes }),
      }))
    case 'chance':
      return Array.from({ length: n }, (_, i) => ({
        label: t('variations.seed', { n: i + 1 }),
        draft: withSeed(d, i + 1),
      }))
    case 'styles': {
      const own = d.styles.map((s) => s.name)
      const all = [...own, ...names.filter((name) => !own.includes(name))].slice(0, n)
      return all.map((name) => ({ label: nameOf(name), draft: withStyle(d, name) }))
    }
  }
}

/** The same draft, small and quick. */
export function small(d: Draft): Draft {
  const c = copy(d)
  delete c.values.size
  delete c.values.steps
  const plain = !c.preset || c.preset === DEFAULT || c.preset === 'fine' || c.preset === 'draft'
  if (plain && presets.all.some((p) => p.name === 'draft')) c.preset = 'draft'
  else c.values = { ...c.values, size: SIDE, steps: presets.ranges.num_steps.min }
  return c
}

/** The picture of a cell at full size. One that began with noise is continued, since more
 * steps from the same noise lead to another picture. */
export async function largeRequest(
  c: Cell,
  send: (d: Draft) => Promise<api.TransferRequest>,
): Promise<api.TransferRequest> {
  const d = copy(c.draft)
  if (d.preset === 'draft') d.preset = ''
  const body = await send(d)
  const task = c.task && known.get(c.task)?.now
  return task && task.output_img && body.init_image === 'noise'
    ? largerRequest(body, task.task_id, extentOf(d).size)
    : body
}

/** Send one after the other; a full queue is waited for. */
export async function make(cells: Cell[], send: (d: Draft) => Promise<api.TransferRequest>) {
  clear()
  const mine = ++run
  grid.cells = cells
  grid.fault = null
  grid.busy = true
  for (let i = 0; i < cells.length && mine === run;) {
    const cell = grid.cells[i] as Cell
    try {
      const id = await begin(await send(small(cell.draft)), true)
      if (mine !== run) void discard(id)
      else cell.task = id
      i++
    } catch (e) {
      if (!(e instanceof api.Fault)) throw e
      if (await waitForRoom(e, grid, () => mine !== run)) continue
      if (mine === run) grid.fault = e
      break
    }
  }
  if (mine === run) grid.busy = false
}

/** Cancel or delete a small picture. */
async function discard(id: string): Promise<void> {
  remove(id)
  await api.cancel(id).catch(() => undefined)
}

/** Throw the small pictures away. */
export function clear(): void {
  run++
  const ids = grid.cells.flatMap((c) => (c.task ? [c.task] : []))
  Object.assign(grid, { cells: [], busy: false, wait: 0, fault: null })
  for (const id of ids) void discard(id)
}

/** Cancel what is not done. */
export function cancelOpen(): void {
  run++
  Object.assign(grid, { busy: false, wait: 0 })
  grid.cells = grid.cells.filter((c) => {
    const done = c.task && known.get(c.task)?.now.status === 'completed'
    if (!done && c.task) void discard(c.task)
    return done
  })
}

/** Remember the pictures, and throw away those of a page that was closed before. */
export function openVariations(): void {
  for (const id of loadItem<string[]>('variations', [])) void discard(id)
  watch(
    () => grid.cells.flatMap((c) => (c.task ? [c.task] : [])),
    (ids) => saveItem('variations', ids),
  )
}
