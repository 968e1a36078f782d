/**
 * Films: the page takes frames from a film, as the browser plays it, and makes an animated WebP of
 * them, which the service paints like any other picture. The service has no decoder of films.
 */
import * as api from './api'
import type { Draft } from './draft'
import { countFrames, openAnimation } from './animation'
import { extent, extentOf } from './presets'
import { t } from './i18n'
import { fit } from './masks'
import { canvasOf, loadImage } from './upload'
import { joinFrames } from './webp'

export const RATES = [4, 6, 8, 12] // frames per second
export const SIZES = [256, 384, 512, 640]
/** Seconds that are chosen at first: painting takes long. */
export const SECONDS = 3

const QUALITY = 0.92 // of frames; less if the film has too many bytes
const LEAST_QUALITY = 0.6
const LEAST_SIDE = 128
const HEAD = 64 // bytes around a frame, at most
const SURE = 1.15 // an estimate of the bytes that is above the limit for certain
const QUALITY_GAIN = 1.8 // of the least quality
const LOAD_MS = 20_000
const SEEK_MS = 10_000

/** A film or animation that is open. */
export interface Source {
  width: number
  height: number
  /** Seconds. */
  duration: number
  /** Of an animation; undefined: a film. */
  frames?: number
  /** This browser sees the first frame only, though the service can paint all. */
  closed?: boolean
  draw(seconds: number, to: CanvasRenderingContext2D): Promise<void>
  close(): void
}

function event(of: EventTarget, name: string, ms: number, go: () => void): Promise<void> {
  return new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new api.Fault('type')), ms)
    const end = (f: () => void) => () => {
      clearTimeout(timer)
      f()
    }
    of.addEventListener(name, end(done), { once: true })
    of.addEventListener(
      'error',
      end(() => fail(new api.Fault('type'))),
      { once: true },
    )
    go()
  })
}

async function openVideo(film: Blob): Promise<Source> {
  const video = document.createElement('video')
  const url = URL.createObjectURL(film)
  const close = () => {
    video.removeAttribute('src')
    video.load()
    URL.revokeObjectURL(url)
  }
  const seek = (seconds: number) =>
    event(video, 'seeked', SEEK_MS, () => (video.currentTime = seconds))
  video.muted = true
  video.playsInline = true
  video.preload = 'auto'
  try {
    await event(video, 'loadeddata', LOAD_MS, () => (video.src = url))
    if (!Number.isFinite(video.duration)) await seek(1e6) // of a recording, known at its end
    if (!video.videoWidth) throw new api.Fault('type') // only sound
  } catch (e) {
    close()
    throw e
  }
  return {
    width: video.videoWidth,
    height: video.videoHeight,
    duration: Number.isFinite(video.duration) ? video.duration : video.currentTime,
    async draw(seconds, to) {
      if (Math.abs(video.currentTime - seconds) > 1e-3 || video.seeking) await seek(seconds)
      to.drawImage(video, 0, 0, to.canvas.width, to.canvas.height)
    },
    close,
  }
}

/** An animation whose frames this browser does not give. */
async function openClosed(picture: Blob, frames: number): Promise<Source> {
  const url = URL.createObjectURL(picture)
  const image = await loadImage(url).finally(() => URL.revokeObjectURL(url))
  return {
    width: image.naturalWidth,
    height: image.naturalHeight,
    duration: frames / 10, // a guess
    frames,
    closed: true,
    draw: (_, to) => Promise.resolve(to.drawImage(image, 0, 0, to.canvas.width, to.canvas.height)),
    close: () => undefined,
  }
}

/** Open a film or an animation. Fault: this browser cannot play it. */
export async function openSource(film: Blob): Promise<Source> {
  if (film.type.startsWith('video/')) return openVideo(film)
  const bytes = new Uint8Array(await film.arrayBuffer())
  const animation = await openAnimation(bytes)
  if (!animation) return openClosed(film, countFrames(bytes))
  const { width, height, delays } = animation
  const sum = delays.reduce((all, d) => all + d, 0)
  return {
    width,
    height,
    duration: sum / 1000,
    frames: delays.length,
    draw(seconds, to) {
      let end = 0
      const at = delays.findIndex((d) => (end += d) > 1000 * seconds + 0.5)
      return animation.draw(at < 0 ? delays.length - 1 : at, to)
    },
    close: () => animation.close(),
  }
}

export interface Cut {
  /** Seconds. */
  start: number
  length: number
  /** Frames per second. */
  rate: number
  /** Longest side in pixels. */
  size: number
}

export function frameCount(cut: Cut, most: number): number {
  return Math.max(1, Math.min(most, Math.round(cut.length * cut.rate)))
}

/** The longest part that has no more than so many frames. */
export function longest(duration: number, rate: number, most: number): number {
  return Math.min(duration, most / rate)
}

/** Whether an animation can be sent as it is. */
export function fits(source: Source, bytes: number, limits: api.FilmLimits): boolean {
  const { frames, width, height } = source
  return (
    frames !== undefined &&
    frames <= limits.frames &&
    bytes <= limits.bytes &&
    Math.max(width, height) <= 2 * limits.size
  )
}

/** Sides of the frames: nothing is made larger. */
export function frameSize(source: { width: number; height: number }, side: number) {
  return fit(source.width, source.height, Math.min(side, Math.max(source.width, source.height)))
}

/** A picture of one moment, of the film's own size. */
export async function still(source: Source, seconds: number): Promise<Blob> {
  const [canvas, c] = canvasOf(source.width, source.height)
  await source.draw(seconds, c)
  return new Promise((done, fail) =>
    canvas.toBlob((b) => (b ? done(b) : fail(new api.Fault('type'))), 'image/jpeg', 0.92),
  )
}

async function encode(canvas: HTMLCanvasElement, quality: number): Promise<Uint8Array> {
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, 'image/webp', quality))
  if (blob?.type === 'image/webp') return new Uint8Array(await blob.arrayBuffer())
  const { encodeLossless } = await import('./webp-lossless') // Safari writes no WebP
  const c = canvas.getContext('2d') as CanvasRenderingContext2D
  return encodeLossless(c.getImageData(0, 0, canvas.width, canvas.height))
}

/**
 * Take the frames of a cut. A number: they would have so many times the bytes that are allowed.
 * Undefined: stopped.
 */
async function take(
  source: Source,
  cut: Cut,
  limits: api.FilmLimits,
  quality: number,
  onFrame: (n: number, of: number, size: number) => boolean,
): Promise<Uint8Array<ArrayBuffer> | number | undefined> {
  const count = frameCount(cut, limits.frames)
  const [width, height] = frameSize(source, cut.size)
  const [canvas, c] = canvasOf(width, height)
  const frames: Uint8Array[] = []
  let bytes = HEAD
  for (let i = 0; i < count; i++) {
    if (!onFrame(i + 1, count, cut.size)) return undefined
    // the middle of a frame's time: its ends may round to the frame beside it
    await source.draw(Math.min(cut.start + (i + 0.5) / cut.rate, source.duration), c)
    const frame = await encode(canvas, quality)
    frames.push(frame)
    bytes += frame.length + HEAD
    const excess = (bytes * count) / (i + 1) / limits.bytes
    if (bytes > limits.bytes || (i >= 2 && excess > SURE)) return excess
  }
  return joinFrames(frames, Array(count).fill(1000 / cut.rate) as number[], width, height)
}

/** What is tried next if a film has too many bytes: a lower quality, or smaller frames. */
export function reduce(cut: Cut, quality: number, excess: number): [Cut, number] | null {
  if (quality > LEAST_QUALITY && excess < QUALITY_GAIN) return [cut, LEAST_QUALITY]
  const size = Math.round(cut.size * Math.min(0.9, 0.95 / Math.sqrt(excess)))
  return size < LEAST_SIDE ? null : [{ ...cut, size }, quality]
}

/**
 * An animated WebP of a part of a film. onFrame returns false to stop: the result is undefined.
 * Fault: even the smallest has too many bytes.
 */
export async function animate(
  source: Source,
  cut: Cut,
  limits: api.FilmLimits,
  onFrame: (n: number, of: number, size: number) => boolean,
): Promise<Blob | undefined> {
  const size = Math.min(cut.size, Math.max(source.width, source.height))
  let next: [Cut, number] | null = [{ ...cut, size }, QUALITY]
  while (next) {
    const [now, quality]: [Cut, number] = next
    const taken = await take(source, now, limits, quality, onFrame)
    if (taken === undefined) return undefined
    if (typeof taken !== 'number') return new Blob([taken], { type: 'image/webp' })
    next = reduce(now, quality, taken)
  }
  throw new api.Fault('large')
}

/** A film of 512 x 512 pixels, 300 steps: seconds for each frame and core, when nothing is known. */
const DEFAULT_SECONDS = 90
/** Later frames begin with the one before, at the last two scales. */
const FRAME_SHARE = 1.2

/** Seconds for each pixel and step, from results of this service: their median. */
export function speed(entries: api.Entry[], cores: number): number {
  const all = entries
    .filter((e) => e.seconds && e.steps)
    .map((e) => {
      const { size } = extent(e.request)
      return (e.seconds ?? 0) / (size * size * e.steps * (e.frames ?? 1))
    })
    .sort((a, b) => a - b)
  const middle = all[Math.floor(all.length / 2)]
  return middle ?? DEFAULT_SECONDS / Math.max(1, cores) / (512 * 512 * 300)
}

/** The speed of this service, as far as it is known. */
export async function measuredSpeed(): Promise<number> {
  const [past, device] = await Promise.all([
    api.history(0, 20).catch(() => ({ groups: {} as Record<string, api.Entry[]> })),
    api.device().catch(() => ({ cores: 2 })),
  ])
  return speed(Object.values(past.groups).flat(), device.cores)
}

/** Seconds that painting will take with the settings of a draft. */
export function duration(d: Draft, frames: number, size: number, perStep: number): number {
  return frames * size * size * extentOf(d).steps * perStep * (frames > 1 ? FRAME_SHARE : 1)
}

/** A duration in words, no more exact than it is known. */
export function about(seconds: number): string {
  if (seconds < 90) return t('time.s', { n: Math.max(1, Math.round(seconds)) })
  const minutes = Math.round(seconds / 60)
  return minutes < 60
    ? t('film.minutes', { n: minutes })
    : t('film.hours', { n: Math.round(minutes / 6) / 10 })
}
