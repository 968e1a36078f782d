/** Animated GIF (GIF89a): one palette of 256 colours for all frames, by median cut, and LZW. */
import type { Animation } from './animation'
import { canvasOf } from './upload'

const COLOURS = 256
const KEYS = 1 << 15 // colours of five bits for each channel
const MAX_CODE = 4095
/** Bayer's matrix: spreads the rounding of colours over neighbours. */
const BAYER = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5]

const keyOf = (r: number, g: number, b: number) => ((r >> 3) << 10) | ((g >> 3) << 5) | (b >> 3)
const channel = (key: number, c: number) => (key >> (10 - 5 * c)) & 31

/** Add the colours of a picture, in RGBA, to the counts of all KEYS colours. */
export function countColours(counts: Uint32Array, rgba: Uint8ClampedArray): void {
  for (let i = 0; i < rgba.length; i += 4) {
    const key = keyOf(rgba[i] ?? 0, rgba[i + 1] ?? 0, rgba[i + 2] ?? 0)
    counts[key] = (counts[key] ?? 0) + 1
  }
}

interface Box {
  keys: number[]
  /** The channel with the largest range, and how much a cut along it gains. */
  longest: number
  gain: number
}

function boxOf(keys: number[], counts: Uint32Array): Box {
  const ranges = [0, 1, 2].map((c) => {
    const values = keys.map((k) => channel(k, c))
    return values.reduce((a, v) => Math.max(a, v), 0) - values.reduce((a, v) => Math.min(a, v), 31)
  })
  const range = Math.max(...ranges)
  const pixels = keys.reduce((sum, k) => sum + (counts[k] ?? 0), 0)
  return { keys, longest: ranges.indexOf(range), gain: range * Math.sqrt(pixels) }
}

/** Cut at the median of the pixels, so that both halves have colours. */
function cut(box: Box, counts: Uint32Array): [Box, Box] {
  const keys = box.keys.toSorted((a, b) => channel(a, box.longest) - channel(b, box.longest))
  const half = keys.reduce((sum, k) => sum + (counts[k] ?? 0), 0) / 2
  let sum = 0
  let at = keys.findIndex((k) => (sum += counts[k] ?? 0) >= half) + 1
  at = Math.max(1, Math.min(keys.length - 1, at))
  return [boxOf(keys.slice(0, at), counts), boxOf(keys.slice(at), counts)]
}

/** At most 256 colours, as red, green and blue in turn. */
export function palette(counts: Uint32Array): Uint8Array {
  const used = [...counts.keys()].filter((k) => counts[k])
  const boxes = [boxOf(used, counts)]
  while (boxes.length < COLOURS) {
    const widest = boxes.reduce((a, b) => (b.gain > a.gain ? b : a))
    if (widest.gain === 0) break
    boxes.splice(boxes.indexOf(widest), 1, ...cut(widest, counts))
  }
  return Uint8Array.from(
    boxes.flatMap(({ keys }) =>
      [0, 1, 2].map((c) => {
        const pixels = keys.reduce((sum, k) => sum + (counts[k] ?? 0), 0)
        const all = keys.reduce((sum, k) => sum + (counts[k] ?? 0) * channel(k, c), 0)
        return Math.round(((all / Math.max(1, pixels)) * 255) / 31)
      }),
    ),
  )
}

/** The index of the nearest colour for each pixel; known remembers it for each key. */
export function indices(
  image: ImageData,
  colours: Uint8Array,
  known = new Int16Array(KEYS).fill(-1),
): Uint8Array {
  const { width, height, data } = image
  const result = new Uint8Array(width * height)
  const nearest = (key: number) => {
    const [r, g, b] = [0, 1, 2].map((c) => (channel(key, c) * 255) / 31) as [number, number, number]
    let best = 0
    let least = Infinity
    for (let i = 0; i < colours.length; i += 3) {
      const dr = r - (colours[i] ?? 0)
      const dg = g - (colours[i + 1] ?? 0)
      const db = b - (colours[i + 2] ?? 0)
      const distance = 2 * dr * dr + 4 * dg * dg + db * db
      if (distance < least) [least, best] = [distance, i / 3]
    }
    return best
  }
  for (let i = 0; i < result.length; i++) {
    const [x, y] = [i % width, Math.floor(i / width)]
    const shift = (BAYER[4 * (y & 3) + (x & 3)] ?? 0) / 2 - 4
    const at = (c: number) => Math.max(0, Math.min(255, (data[4 * i + c] ?? 0) + shift))
    const key = keyOf(at(0), at(1), at(2))
    if ((known[key] ?? 0) < 0) known[key] = nearest(key)
    result[i] = known[key] ?? 0
  }
  return result
}

/** Compress indices of eight bits, in blocks as GIF has them. */
export function lzw(values: Uint8Array): Uint8Array {
  const clear = COLOURS
  const bytes: number[] = []
  let buffer = 0
  let filled = 0
  let codes = new Map<number, number>()
  let next = clear + 2
  let bits = 9
  const put = (code: number) => {
    buffer |= code << filled
    for (filled += bits; filled >= 8; filled -= 8) {
      bytes.push(buffer & 255)
      buffer >>>= 8
    }
  }
  put(clear)
  let prefix = values[0] ?? 0
  for (let i = 1; i < values.length; i++) {
    const value = values[i] ?? 0
    const key = (prefix << 8) | value
    const code = codes.get(key)
    if (code !== undefined) {
      prefix = code
      continue
    }
    put(prefix)
    if (next > MAX_CODE) {
      put(clear)
      codes = new Map()
      next = clear + 2
      bits = 9
    } else {
      if (next === 1 << bits) bits++
      codes.set(key, next++)
    }
    prefix = value
  }
  put(prefix)
  if (next === 1 << bits && bits < 12) bits++ // as the reader, who adds a code for each
  put(clear + 1)
  if (filled) bytes.push(buffer & 255)
  const result = [8] // bits of an index
  for (let i = 0; i < bytes.length; i += 255) {
    const block = bytes.slice(i, i + 255)
    result.push(block.length, ...block)
  }
  result.push(0)
  return Uint8Array.from(result)
}

const le16 = (n: number) => [n & 255, n >> 8]
const ascii = (text: string) => [...text].map((c) => c.charCodeAt(0))

/** What comes before the frames of an endless animation. */
export function gifHead(width: number, height: number, colours: Uint8Array): Uint8Array {
  const table = new Uint8Array(3 * COLOURS)
  table.set(colours)
  return Uint8Array.from([
    ...ascii('GIF89a'),
    ...le16(width),
    ...le16(height),
    ...[0xf7, 0, 0], // a table of 256 colours
    ...table,
    ...[0x21, 0xff, 11],
    ...ascii('NETSCAPE2.0'),
    ...[3, 1, 0, 0, 0],
  ])
}

/** One frame; delay in milliseconds. */
export function gifFrame(
  width: number,
  height: number,
  delay: number,
  values: Uint8Array,
): [Uint8Array, Uint8Array] {
  const head = [
    ...[0x21, 0xf9, 4, 4, ...le16(Math.round(delay / 10)), 0, 0],
    ...[0x2c, 0, 0, 0, 0, ...le16(width), ...le16(height), 0],
  ]
  return [Uint8Array.from(head), lzw(values)]
}

/** The animation as a GIF. onFrame gets the share that is done, from 0 to 1. */
export async function toGif(animation: Animation, onFrame: (share: number) => void): Promise<Blob> {
  const { width, height, delays } = animation
  const [, c] = canvasOf(width, height, { willReadFrequently: true })
  const counts = new Uint32Array(KEYS)
  const known = new Int16Array(KEYS).fill(-1)
  const pixels = async (frame: number) => {
    await animation.draw(frame, c)
    return c.getImageData(0, 0, width, height)
  }
  for (const i of delays.keys()) countColours(counts, (await pixels(i)).data)
  const colours = palette(counts)
  const parts: Uint8Array[] = [gifHead(width, height, colours)]
  for (const [i, delay] of delays.entries()) {
    parts.push(...gifFrame(width, height, delay, indices(await pixels(i), colours, known)))
    onFrame((i + 1) / delays.length)
  }
  return new Blob([...(parts as Uint8Array<ArrayBuffer>[]), Uint8Array.of(0x3b)], {
    type: 'image/gif',
  })
}
