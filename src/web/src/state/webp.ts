/** Animated WebP (RFC 9649): join still pictures, and take an animation apart. */

const RIFF_HEAD = 12
const CHUNK_HEAD = 8
const FRAME_HEAD = 16
const ANIMATION = 2 // flags of VP8X
const ALPHA = 16

interface Chunk {
  type: string
  data: Uint8Array
}

function chunksOf(bytes: Uint8Array): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const all: Chunk[] = []
  for (let at = 0; at + CHUNK_HEAD <= bytes.length;) {
    const size = view.getUint32(at + 4, true)
    const begin = at + CHUNK_HEAD
    all.push({
      type: String.fromCharCode(...bytes.subarray(at, at + 4)),
      data: bytes.subarray(begin, begin + size),
    })
    at = begin + size + (size & 1)
  }
  return all
}

function text(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4))
}

export function isWebp(bytes: Uint8Array): boolean {
  return text(bytes, 0) === 'RIFF' && text(bytes, 8) === 'WEBP'
}

/** The chunks of a WebP file; none if it is not one. */
function fileChunks(bytes: Uint8Array): Chunk[] {
  return isWebp(bytes) ? chunksOf(bytes.subarray(RIFF_HEAD)) : []
}

const isPixels = (c: Chunk) => c.type === 'VP8 ' || c.type === 'VP8L' || c.type === 'ALPH'

function join(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0))
  let at = 0
  for (const p of parts) {
    all.set(p, at)
    at += p.length
  }
  return all
}

/** A little-endian number of some bytes. */
function le(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => (value >>> (8 * i)) & 255)
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const head = [...[...type].map((c) => c.charCodeAt(0)), ...le(data.length, 4)]
  return join([Uint8Array.from(head), data, new Uint8Array(data.length & 1)])
}

function file(chunks: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const body = join([Uint8Array.from([...'WEBP'].map((c) => c.charCodeAt(0))), ...chunks])
  return join([chunk('RIFF', body)])
}

function features(flags: number, width: number, height: number): Uint8Array {
  return chunk('VP8X', Uint8Array.from([flags, 0, 0, 0, ...le(width - 1, 3), ...le(height - 1, 3)]))
}

/** An endless animation of WebP pictures, all of width x height; delays in milliseconds. */
export function joinFrames(
  stills: Uint8Array[],
  delays: number[],
  width: number,
  height: number,
): Uint8Array<ArrayBuffer> {
  let flags = ANIMATION
  const frames = stills.map((still, i) => {
    const pixels = fileChunks(still).filter(isPixels)
    if (pixels.length === 0) throw new Error('not a WebP picture')
    if (pixels.some((c) => c.type !== 'VP8 ')) flags |= ALPHA
    const head = [
      ...le(0, 6), // left and top
      ...le(width - 1, 3),
      ...le(height - 1, 3),
      ...le(delays[i] ?? 100, 3),
      2, // do not blend: a frame covers all
    ]
    return chunk('ANMF', join([Uint8Array.from(head), ...pixels.map((c) => chunk(c.type, c.data))]))
  })
  return file([features(flags, width, height), chunk('ANIM', new Uint8Array(6)), ...frames])
}

export interface WebpFrame {
  /** A still WebP picture. */
  still: Uint8Array<ArrayBuffer>
  x: number
  y: number
  width: number
  height: number
  /** Milliseconds. */
  delay: number
  /** Draw over what is there, or replace it. */
  blend: boolean
  /** Clear the rectangle afterwards. */
  dispose: boolean
}

export interface WebpAnimation {
  width: number
  height: number
  frames: WebpFrame[]
}

/** The frames of an animated WebP; none if it is a still, or not a WebP. */
export function splitFrames(bytes: Uint8Array): WebpAnimation {
  const chunks = fileChunks(bytes)
  const head = chunks.find((c) => c.type === 'VP8X')?.data ?? new Uint8Array(10)
  const number = (d: Uint8Array, at: number) =>
    (d[at] ?? 0) | ((d[at + 1] ?? 0) << 8) | ((d[at + 2] ?? 0) << 16)
  const frames = chunks
    .filter((c) => c.type === 'ANMF' && c.data.length > FRAME_HEAD)
    .map(({ data: d }) => {
      const pixels = chunksOf(d.subarray(FRAME_HEAD)).filter(isPixels)
      const width = number(d, 6) + 1
      const height = number(d, 9) + 1
      const parts = pixels.map((c) => chunk(c.type, c.data))
      if (pixels.length > 1) parts.unshift(features(ALPHA, width, height))
      return {
        still: file(parts),
        x: 2 * number(d, 0),
        y: 2 * number(d, 3),
        width,
        height,
        delay: number(d, 12),
        blend: ((d[15] ?? 0) & 2) === 0,
        dispose: ((d[15] ?? 0) & 1) === 1,
      }
    })
  return { width: number(head, 4) + 1, height: number(head, 7) + 1, frames }
}
