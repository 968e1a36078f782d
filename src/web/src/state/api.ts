/** Client of the API (openapi.json); all URLs are relative to the page's own address. */
import {
  Fault,
  ask,
  base,
  connectivity,
  fault,
  get,
  post,
  requestToken,
  resolveUrl,
  uploadFault,
} from './request'

export {
  Fault,
  type FaultKind,
  connectivity,
  kindOf,
  resolveUrl,
  signIn,
  tokenPrompt,
  uploadFault,
} from './request'

export type Status = 'queued' | 'running' | 'completed' | 'failed' | 'cancelled'

export interface Progress {
  task_id: string
  status: Status
  progress: number
  total: number
  percent: number
  content_loss: number | null
  style_loss: number | null
  eta_seconds: number | null
  error: string | null
  output_img: string | null
  content_img: string | null
  style_img: string | null
  /** The place of a queued task, 1 for the next, among those of all owners. */
  position?: number | null
  waiting?: number | null
  /** Changes whenever there is a new preview; null: there is none. */
  preview_step?: number | null
  request?: PostedRequest
  /** The frame that is being painted, and how many there are; null: a still picture. */
  frame?: number | null
  frames?: number | null
}

export interface Style {
  name: string
  /** The name that its owner gave to it. */
  label?: string | null
  url: string | null
  thumbnail: string | null
  preview: string | null
  kind: 'picture' | 'pack' | 'network'
  artist: string | null
  title: string | null
  year: string | null
  removable: boolean
}

export interface UploadResult {
  filename: string
  url: string
  thumbnail: string | null
}

export interface StyleWeight {
  name: string
  weight: number
  mask?: string
}

export interface TransferRequest {
  content_image: string
  styles: StyleWeight[]
  style_weight?: number
  num_steps?: number
  preset?: string
  size?: number
  strength?: number
  colour?: string
  seed?: number
  keep_mask?: string
  style_scale?: number
  /** content, noise, or the name of an upload or a result. */
  init_image?: string
  scales?: number[] | string
  scale_iterations?: number[] | string
  /** Of an animated picture: paint all of them. */
  frames?: 'all' | 'first'
}

/** The request of a task, as the service tells it; it can be posted again. */
export interface PostedRequest extends Omit<TransferRequest, 'styles'> {
  style_image?: string
  styles?: StyleWeight[]
}

export interface Entry {
  task_id: string
  content_img: string
  style_img: string
  styles: StyleWeight[]
  style_weight: number
  steps: number
  request: PostedRequest
  output_img: string
  thumbnail: string | null
  content_loss?: number | null
  style_loss?: number | null
  seconds?: number
  created: number
  finished?: number
  frames?: number
}

export interface Quality {
  overall: number
  ssim: number
  psnr: number | null
  colour_consistency: number
  perceptual_distance: number
  content_distance: number
  style_distance: number | null
}

export interface Device {
  device: string
  model: string
  cores: number
  memory: number
  gpu: { name: string; model: string; memory: number } | null
  network: string
  version: string
}

export interface Range {
  min: number
  max: number
}

export function pictureUrl(url: string): string {
  return resolveUrl(base(), url)
}

export const uploadUrl = (name: string) => pictureUrl(`uploads/${name}`)
/** The thumbnail of a picture, by its name or path. */
export const thumbUrl = (name: string) =>
  pictureUrl(`thumbs/${name.slice(name.lastIndexOf('/') + 1)}.jpg`)
export const previewUrl = (id: string, step: number) =>
  new URL(`api/tasks/${id}/preview?step=${step}`, base()).href
export const eventsUrl = (id: string) => new URL(`api/progress/${id}/events`, base()).href
export const taskLink = (id: string) => new URL(`#/task/${id}`, base()).href

export interface Me {
  name: string
  role: 'user' | 'operator' | 'visitor'
  signed_in: boolean
}

export const me = () => get<Me>('api/me')

export async function signOut(): Promise<void> {
  await ask('api/logout', { method: 'POST' })
}

/** True if the service is reachable: any response counts that is not a proxy's error. */
export async function probe(): Promise<boolean> {
  try {
    const r = await fetch(new URL('health', base()), { cache: 'no-store' })
    return r.status !== 502 && r.status !== 504
  } catch {
    return false
  }
}

export const styles = () => get<Style[]>('api/styles')
export const presets = () => get<Preset[]>('api/presets')
export const device = () => get<Device>('api/device-info')
export const tasks = () => get<Progress[]>('api/tasks')
export const progress = (id: string) => get<Progress>(`api/progress/${encodeURIComponent(id)}`)
export const transfer = (body: TransferRequest) =>
  post<{ task_id: string }>('api/style-transfer', body)

/** The figures of a result, which the service computes on the first request. */
export async function quality(id: string): Promise<Quality> {
  for (;;) {
    const r = await ask(`api/tasks/${encodeURIComponent(id)}/quality`)
    if (r.status !== 202) return (await r.json()) as Quality
    const seconds = Number(r.headers.get('Retry-After')) || 1
    await new Promise((go) => setTimeout(go, 1000 * seconds))
  }
}

export async function cancel(id: string): Promise<void> {
  await ask(`api/tasks/${encodeURIComponent(id)}`, { method: 'DELETE' })
}

/** keepalive: deletions complete even if the page is closed. */
export async function deleteHistory(key: string): Promise<void> {
  await ask(`api/delete-history/${encodeURIComponent(key)}`, { method: 'DELETE', keepalive: true })
}

export async function deleteStyle(name: string): Promise<void> {
  await ask(`api/styles/${encodeURIComponent(name)}`, { method: 'DELETE', keepalive: true })
}

export async function history(
  offset: number,
  limit: number,
): Promise<{ groups: Record<string, Entry[]>; total: number }> {
  const r = await ask(`api/history?offset=${offset}&limit=${limit}`)
  return {
    groups: (await r.json()) as Record<string, Entry[]>,
    total: Number(r.headers.get('X-Total-Count')) || 0,
  }
}

interface Schema {
  components: {
    schemas: {
      StyleTransfer: { properties: Record<string, { minimum?: number; maximum?: number }> }
    }
  }
}

/** The ranges of numeric fields that this service allows. */
export async function ranges(): Promise<
  Partial<Record<'style_weight' | 'num_steps' | 'size', Range>>
> {
  const all = (await get<Schema>('openapi.json')).components.schemas.StyleTransfer.properties
  const found: Partial<Record<'style_weight' | 'num_steps' | 'size', Range>> = {}
  for (const name of ['style_weight', 'num_steps', 'size'] as const) {
    const { minimum, maximum } = all[name] ?? {}
    if (minimum !== undefined && maximum !== undefined) found[name] = { min: minimum, max: maximum }
  }
  return found
}

/** Upload by XMLHttpRequest, since fetch() does not report upload progress. */
export function upload(
  what: 'content' | 'style',
  file: Blob,
  onProgress: (share: number) => void = () => undefined,
  label = '',
): Promise<UploadResult> {
  const form = new FormData()
  if (label) form.append('label', label)
  form.append(`${what}_image`, file, 'picture')
  return new Promise((done, fail) => {
    const x = new XMLHttpRequest()
    x.open('POST', new URL(`api/upload-${what}`, base()))
    x.upload.onprogress = (e) => onProgress(e.lengthComputable ? e.loaded / e.total : 0)
    x.onerror = () => {
      connectivity.report(false)
      fail(new Fault('gone'))
    }
    x.onload = () => {
      const r = new Response(x.status === 204 ? null : x.responseText, { status: x.status })
      if (x.status === 401)
        void requestToken().then(() => upload(what, file, onProgress, label).then(done, fail))
      else if (x.status === 200) done(JSON.parse(x.responseText) as UploadResult)
      else void fault(r).then((f) => fail(uploadFault(f)))
    }
    x.send(form)
  })
}

/** The upload in a style (NAME, or NAME:WEIGHT with commas between), small; see previews.ts. */
export async function preview(
  content: string,
  style: string,
  size: number,
  signal: AbortSignal,
): Promise<Blob> {
  const query = new URLSearchParams({ content, style, size: String(size) })
  return (await ask(`api/preview?${query.toString()}`, { signal })).blob()
}

// results
/** Delete a finished task with its result. */
export async function deleteTask(id: string): Promise<void> {
  await ask(`api/tasks/${encodeURIComponent(id)}`, { method: 'DELETE', keepalive: true })
}

const sharePath = (id: string) => `api/tasks/${encodeURIComponent(id)}/share`
const linkOf = ({ url }: { url: string | null }) => url && pictureUrl(url)

/** The link of a result, or null. */
export const sharedLink = async (id: string) => linkOf(await get(sharePath(id)))
export const makeLink = async (id: string) => linkOf(await post(sharePath(id), {})) as string

export async function endLink(id: string): Promise<void> {
  await ask(sharePath(id), { method: 'DELETE' })
}

export interface FilmLimits {
  frames: number
  /** Longest side in pixels. */
  size: number
  /** Of an upload. */
  bytes: number
}

export async function filmLimits(): Promise<FilmLimits> {
  const { frames } = (await get<Schema>('openapi.json')).components.schemas.StyleTransfer.properties
  const limits = frames as Record<string, number> | undefined
  return {
    frames: limits?.['x-max-frames'] ?? 1,
    size: limits?.['x-max-size'] ?? 0,
    bytes: (limits?.['x-max-bytes'] ?? 0) - 4096, // of the form around the file
  }
}

/** size: of a result, its longest side in pixels. A task takes about as long as the square
 * of its size times its steps. */
export interface Preset {
  name: string
  description: string
  size: number
  num_steps: number
}

/** End a running task with the picture so far as its result. */
export async function stop(id: string): Promise<void> {
  await ask(`api/tasks/${encodeURIComponent(id)}/stop`, { method: 'POST' })
}

/** The file of a picture of the service. */
export async function fetchPicture(url: string, signal?: AbortSignal): Promise<Blob> {
  return (await ask(pictureUrl(url), signal ? { signal } : {})).blob()
}

/* Pictures: what every browser shows, and names of styles. */

/** The version of an upload that every browser shows: upright, in sRGB, at most 1600 pixels. */
export const renditionUrl = (name: string) => pictureUrl(`renditions/${name}.jpg`)

/** Whether the service says that it has no such upload; false if it does not answer. */
export async function isGone(name: string): Promise<boolean> {
  const r = await fetch(uploadUrl(name), { method: 'HEAD', cache: 'no-store' }).catch(
    () => undefined,
  )
  return r?.status === 404
}

/** Set the label of one's own style; the service may change it, as to a shorter one. */
export async function renameStyle(name: string, label: string): Promise<string> {
  const r = await ask(`api/styles/${encodeURIComponent(name)}`, {
    method: 'PATCH',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ label }),
  })
  return ((await r.json()) as { label: string }).label
}

export interface Share {
  used: number
  /** null: no limit. */
  limit: number | null
}

/** What the sender uses of his quotas; work is pixels times steps. */
export type Usage = Record<'waiting' | 'running' | 'bytes' | 'work', Share>

export const usage = () => get<Usage>('api/usage')
