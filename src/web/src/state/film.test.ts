import { describe, expect, it } from 'vitest'
import type { Entry, FilmLimits } from './api'
import { countFrames } from './animation'
import * as draft from './draft'
import * as film from './film'
import { isFilm } from './film-file'
import { countGifFrames } from './gif'
import { countColours, gifFrame, gifHead, indices, lzw, palette } from './gif-writer'
import { joinFrames, splitFrames } from './webp'
import { codeLengths, encodeLossless } from './webp-lossless'

/** A picture of one colour for each seed, as a canvas would give it. */
function image(width: number, height: number, seed: number): ImageData {
  const data = new Uint8ClampedArray(4 * width * height)
  for (let i = 0; i < data.length; i++) data[i] = i % 4 === 3 ? 255 : (i * seed + (i >> 5)) & 255
  return { width, height, data, colorSpace: 'srgb' } as ImageData
}

/** An animation of 2x2 pixels, with that many frames and an extension before each. */
function gif(frames: number): Uint8Array {
  const frame = [0x21, 0xf9, 4, 0, 10, 0, 0, 0, 0x2c, 0, 0, 0, 0, 2, 0, 2, 0, 0, 2, 2, 0x44, 1, 0]
  const head = [...'GIF89a'].map((c) => c.charCodeAt(0))
  return Uint8Array.from([
    ...head,
    ...[2, 0, 2, 0, 0x80, 0, 0, 0, 0, 0, 255, 255, 255],
    ...Array.from({ length: frames }, () => frame).flat(),
    0x3b,
  ])
}

describe('animated WebP', () => {
  const stills = [1, 2, 3].map((seed) => encodeLossless(image(18, 16, seed)))
  const joined = joinFrames(stills, [100, 200, 300], 18, 16)

  it('is taken apart as it was joined', () => {
    const { width, height, frames } = splitFrames(joined)
    expect([width, height]).toEqual([18, 16])
    expect(frames.map((f) => f.delay)).toEqual([100, 200, 300])
    expect(frames.map((f) => [f.x, f.y, f.width, f.height, f.blend, f.dispose])).toEqual(
      Array(3).fill([0, 0, 18, 16, false, false]),
    )
    expect(frames.map((f) => f.still)).toEqual(stills)
  })

  it('has the sizes that readers check', () => {
    const view = new DataView(joined.buffer)
    expect(view.getUint32(4, true)).toBe(joined.length - 8)
    expect(joined.length % 2).toBe(0)
    expect(countFrames(joined)).toBe(3)
    expect(countFrames(stills[0] as Uint8Array)).toBe(1)
  })

  it('is made of WebP only, and cut files give whole frames', () => {
    expect(() => joinFrames([Uint8Array.from([1, 2, 3])], [100], 1, 1)).toThrow()
    expect(splitFrames(joined.subarray(0, 40)).frames).toEqual([])
    expect(splitFrames(new Uint8Array(0)).frames).toEqual([])
  })
})

describe('Huffman codes', () => {
  it('are complete, and at most 15 bits long', () => {
    const fibonacci = [1, 1]
    while (fibonacci.length < 30) fibonacci.push((fibonacci.at(-1) ?? 0) + (fibonacci.at(-2) ?? 0))
    for (const counts of [[1, 1], [5, 0, 2, 9], fibonacci]) {
      const lengths = codeLengths(counts)
      expect(Math.max(...lengths)).toBeLessThanOrEqual(15)
      expect(lengths.reduce((sum, l) => sum + (l ? 2 ** -l : 0), 0)).toBe(1)
      expect(lengths.map((l) => l > 0)).toEqual(counts.map((n) => n > 0))
    }
  })
})

describe('GIF', () => {
  it('frames are counted', async () => {
    expect(countGifFrames(gif(1))).toBe(1)
    expect(countGifFrames(gif(7))).toBe(7)
    expect(countGifFrames(gif(7).subarray(0, 40))).toBeLessThan(7)
    expect(countFrames(Uint8Array.from([0x89, 0x50, 0x4e, 0x47]))).toBe(1)
    expect(await isFilm(new Blob([gif(2).slice()], { type: 'image/gif' }))).toBe(true)
    expect(await isFilm(new Blob([gif(1).slice()], { type: 'image/gif' }))).toBe(false)
    expect(await isFilm(new Blob([], { type: 'video/quicktime' }))).toBe(true)
    expect(await isFilm(new Blob([], { type: 'image/jpeg' }))).toBe(false)
  })
})

/** The indices of LZW data in blocks, as readers of GIF unpack them. */
function unpack(data: Uint8Array): number[] {
  const bytes: number[] = []
  for (let i = 1; data[i]; i += 1 + (data[i] ?? 0))
    bytes.push(...data.subarray(i + 1, i + 1 + (data[i] ?? 0)))
  const result: number[] = []
  let table: number[][] = []
  let bits = 9
  let before: number[] | undefined
  for (let at = 0; ;) {
    let code = 0
    for (let bit = 0; bit < bits; bit++, at++)
      code |= (((bytes[at >> 3] ?? 0) >> (at & 7)) & 1) << bit
    if (code === 257) return result
    if (code === 256) {
      table = Array.from({ length: 258 }, (_, i) => [i])
      bits = 9
      before = undefined
      continue
    }
    const now = table[code] ?? [...(before ?? []), before?.[0] ?? 0]
    if (before && table.length < 4096) table.push([...before, now[0] ?? 0])
    if (table.length === 1 << bits && bits < 12) bits++
    result.push(...now)
    before = now
  }
}

describe('a GIF that is written', () => {
  it('has the indices that were packed, however many', () => {
    const random = (n: number) => (n * 2654435761) >>> 24
    for (const length of [1, 2, 255, 256, 257, 20_000, 60_000]) {
      const flat = new Uint8Array(length).fill(7)
      expect(unpack(lzw(flat))).toEqual([...flat])
      const noise = flat.map((_, i) => random(i))
      expect(unpack(lzw(noise))).toEqual([...noise])
    }
  })

  it('has the colours of the picture, and its frames', () => {
    const picture = image(32, 32, 5)
    for (let i = 0; i < picture.data.length; i += 4)
      picture.data.set(i % 8 ? [240, 16, 16, 255] : [16, 16, 240, 255], i)
    const counts = new Uint32Array(1 << 15)
    countColours(counts, picture.data)
    const colours = palette(counts)
    expect(colours.length).toBe(6)
    const values = indices(picture, colours)
    expect(new Set(values).size).toBe(2)
    const red = values[1] ?? 0
    expect([...colours.subarray(3 * red, 3 * red + 3)]).toEqual([247, 16, 16])
    const frame = gifFrame(32, 32, 250, values)
    const parts = [gifHead(32, 32, colours), ...frame, ...frame, Uint8Array.of(0x3b)]
    expect(countGifFrames(Uint8Array.from(parts.flatMap((p) => [...p])))).toBe(2)
    expect(frame[0][4]).toBe(25)
  })
})

describe('a cut of a film', () => {
  const limits: FilmLimits = { frames: 120, size: 640, bytes: 1e6 }
  const source = { width: 1920, height: 1080, duration: 30 } as film.Source

  it('has a bounded number of frames', () => {
    const cut = { start: 0, length: 5, rate: 8, size: 384 }
    expect(film.frameCount(cut, 120)).toBe(40)
    expect(film.frameCount({ ...cut, length: 100 }, 120)).toBe(120)
    expect(film.frameCount({ ...cut, length: 0 }, 120)).toBe(1)
    expect(film.longest(30, 8, 120)).toBe(15)
    expect(film.longest(3, 8, 120)).toBe(3)
  })

  it('keeps its shape and is never made larger', () => {
    expect(film.frameSize(source, 384)).toEqual([384, 216])
    expect(film.frameSize({ width: 100, height: 50 }, 384)).toEqual([100, 50])
  })

  it('is sent as it is only within the limits', () => {
    const animation = { ...source, width: 300, height: 200, frames: 100 }
    expect(film.fits(animation, 1e5, limits)).toBe(true)
    expect(film.fits({ ...animation, frames: 121 }, 1e5, limits)).toBe(false)
    expect(film.fits(animation, 2e6, limits)).toBe(false)
    expect(film.fits({ ...animation, width: 1300 }, 1e5, limits)).toBe(false)
    expect(film.fits(source, 1e5, limits)).toBe(false) // a film
  })

  it('that has too many bytes gets a lower quality, then smaller frames, then ends', () => {
    const cut = { start: 0, length: 1, rate: 8, size: 640 }
    expect(film.reduce(cut, 0.92, 1.5)).toEqual([cut, 0.6])
    expect(film.reduce(cut, 0.6, 1.01)?.[0].size).toBe(576)
    expect(film.reduce(cut, 0.92, 4)).toEqual([{ ...cut, size: 304 }, 0.92])
    expect(film.reduce({ ...cut, size: 140 }, 0.6, 1.5)).toBeNull()
  })
})

describe('the expected time', () => {
  const entry = (seconds: number, frames?: number) =>
    ({ seconds, steps: 100, frames, request: { size: 100 } }) as unknown as Entry

  it('comes from the results of the service', () => {
    expect(film.speed([entry(1), entry(3), entry(100)], 2)).toBe(3 / 1e6)
    expect(film.speed([entry(10, 10)], 2)).toBe(1 / 1e6)
    expect(film.speed([], 4)).toBe(film.speed([], 2) / 2)
  })

  it('grows with frames, size and steps', () => {
    const d = { ...draft.blank(), values: { steps: 100 } }
    expect(film.duration(d, 1, 100, 1e-6)).toBeCloseTo(1)
    expect(film.duration(d, 20, 200, 1e-6)).toBeCloseTo(20 * 4 * 1.2)
  })
})

describe('the draft', () => {
  it('asks for all frames of a film, and forgets it with the picture', async () => {
    const d = { ...draft.blank(), content: 'a.webp', styles: [{ name: 's', weight: 1 }], frames: 9 }
    const none = () => Promise.resolve('')
    const request = await draft.toRequest(d, none)
    expect(request.frames).toBe('all')
    expect(draft.fromRequest(request).frames).toBe(0)
    draft.setContent(d, 'b.jpg')
    expect((await draft.toRequest(d, none)).frames).toBeUndefined()
  })
})
