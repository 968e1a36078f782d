/** The draft of the next task. */
import { reactive, watch } from 'vue'
import * as api from './api'
import { type Mask, isBlank } from './masks'
import { loadItem, saveItem } from './storage'

export const MAX_STYLES = 16
/** The style weight that is the look of each preset. */
export const WEIGHT = 7000
/** The name of no preset: the default of nst. */
export const DEFAULT = 'painting'

export interface Chosen {
  name: string
  /** Relative to the sum of all weights. */
  weight: number
  mask?: Mask
}

/** undefined: the preset's value, or the default without a preset. */
export interface Values {
  weight?: number
  steps?: number
  strength?: number
  size?: number
  colour?: string
  seed?: number
  /** Size of the style, and so of the strokes, relative to the picture. */
  strokes?: number
}

/** Each value's field of a request. */
const FIELDS: [keyof Values, keyof api.TransferRequest][] = [
  ['weight', 'style_weight'],
  ['steps', 'num_steps'],
  ['strength', 'strength'],
  ['size', 'size'],
  ['colour', 'colour'],
  ['seed', 'seed'],
  ['strokes', 'style_scale'],
]

/** Fields that are not settings. */
const OTHERS = [
  'content_image',
  'style_image',
  'styles',
  'keep_mask',
  'preset',
  'webhook',
  'frames',
]

export interface Draft {
  content: string
  styles: Chosen[]
  preset: string
  values: Values
  /** Settings of another task for which the page has no control, by their field. */
  more?: Record<string, unknown>
  keepMask?: Mask
  /** Frames of the content picture, if it is a film; 0: not known. */
  frames?: number
}

export const blank = (): Draft => ({ content: '', styles: [], preset: '', values: {} })

export const draft = reactive<Draft>(blank())

export function openDraft(): void {
  Object.assign(draft, blank(), loadItem<Partial<Draft>>('draft', {}))
  watch(draft, () => saveItem('draft', draft))
}

/** Set the content picture and drop the masks of the old one; true if there were any. */
export function setContent(d: Draft, name: string): boolean {
  const had = d.styles.some((s) => !isBlank(s.mask)) || !isBlank(d.keepMask)
  if (name === d.content) return false
  d.content = name
  for (const s of d.styles) delete s.mask
  delete d.keepMask
  delete d.frames
  return had
}

export function toggleStyle(d: Draft, name: string): boolean {
  const at = d.styles.findIndex((s) => s.name === name)
  if (at >= 0) d.styles.splice(at, 1)
  else if (d.styles.length < MAX_STYLES) d.styles.push({ name, weight: 50 })
  else return false
  return true
}

/** A style's share of the mix in percent. */
export function share(d: Draft, s: Chosen): number {
  const sum = d.styles.reduce((all, one) => all + one.weight, 0)
  return sum ? (100 * s.weight) / sum : 0
}

export type Missing = 'content' | 'styles'

export function missing(d: Draft): Missing | null {
  return !d.content ? 'content' : d.styles.length === 0 ? 'styles' : null
}

/** Uploads a mask. A parameter, because tests have no canvas. */
export type SendMask = (mask: Mask) => Promise<string>

export async function toRequest(d: Draft, send: SendMask): Promise<api.TransferRequest> {
  const body: api.TransferRequest = { ...d.more, content_image: d.content, styles: [] }
  if (d.frames !== undefined) body.frames = 'all'
  for (const s of d.styles) {
    const one: api.StyleWeight = { name: s.name, weight: Math.max(1, s.weight) }
    if (s.mask && !isBlank(s.mask)) one.mask = await send(s.mask)
    body.styles.push(one)
  }
  if (d.keepMask && !isBlank(d.keepMask)) body.keep_mask = await send(d.keepMask)
  if (d.preset) body.preset = d.preset
  for (const [value, field] of FIELDS)
    if (d.values[value] !== undefined) Object.assign(body, { [field]: d.values[value] })
  return body
}

const onMask = (name: string | undefined) =>
  name ? { mask: { under: name, strokes: [] } satisfies Mask } : {}

/** The draft for a request of this page. */
export function fromRequest(r: api.TransferRequest): Draft {
  const d = blank()
  d.content = r.content_image
  d.styles = r.styles.map((s) => ({ name: s.name, weight: s.weight, ...onMask(s.mask) }))
  if (r.frames === 'all') d.frames = 0
  if (r.keep_mask) d.keepMask = { under: r.keep_mask, strokes: [] }
  setSettings(d, withoutStart(r))
  return d
}

/** Set preset, values and all other settings of a request. */
export function setSettings(d: Draft, r: Partial<api.TransferRequest>): void {
  d.preset = r.preset && r.preset !== DEFAULT ? r.preset : ''
  d.values = {}
  for (const [value, field] of FIELDS)
    if (r[field] !== undefined) Object.assign(d.values, { [value]: r[field] })
  const shown = [...OTHERS, ...FIELDS.map(([, field]) => field)]
  const rest = Object.entries(r).filter(([name]) => !shown.includes(name))
  if (rest.length) d.more = Object.fromEntries(rest)
  else delete d.more
}

/** The request from the beginning, if it continues from another result (larger.ts). */
function withoutStart(r: api.TransferRequest): api.TransferRequest {
  if (!r.init_image?.includes('.')) return r
  const rest = { ...r }
  delete rest.init_image
  delete rest.scales
  delete rest.scale_iterations
  return rest
}

/** The draft for a request that the service tells. */
export function fromPosted(r: api.PostedRequest): Draft {
  const only = r.style_image ? [{ name: r.style_image, weight: 50 }] : []
  return fromRequest({ ...r, styles: r.styles ?? only })
}

export function load(d: Draft): void {
  delete draft.keepMask
  delete draft.frames
  delete draft.more
  Object.assign(draft, d)
}
