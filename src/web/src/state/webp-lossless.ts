/**
 * A lossless WebP picture (VP8L, RFC 9649), for browsers whose canvas writes none: green is
 * subtracted, each pixel is predicted by the mean of its left and upper neighbours, and what is
 * left has one Huffman code for each channel. Alpha is dropped.
 */

const GREEN_SYMBOLS = 256 + 24
const MAX_LENGTH = 15
const LENGTH_ORDER = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]

class Bits {
  private bytes: number[] = []
  private value = 0
  private count = 0

  /** Append the lowest bits of a value, the lowest first. */
  put(value: number, bits: number): void {
    this.value |= value << this.count
    this.count += bits
    for (; this.count >= 8; this.count -= 8) {
      this.bytes.push(this.value & 255)
      this.value >>>= 8
    }
  }

  end(): Uint8Array {
    if (this.count) this.put(0, 8 - this.count)
    return Uint8Array.from(this.bytes)
  }
}

/** Lengths of the codes of a Huffman tree over symbols that occur. */
function treeLengths(counts: number[]): number[] {
  const lengths = counts.map(() => 0)
  let nodes = counts.map((n, symbol) => ({ n, symbols: [symbol] })).filter((node) => node.n > 0)
  while (nodes.length > 1) {
    nodes.sort((a, b) => b.n - a.n)
    const [a, b] = nodes.splice(-2) as [(typeof nodes)[0], (typeof nodes)[0]]
    const symbols = [...a.symbols, ...b.symbols]
    for (const s of symbols) lengths[s] = (lengths[s] ?? 0) + 1
    nodes = [...nodes, { n: a.n + b.n, symbols }]
  }
  return lengths
}

/** The same, at most 15 bits long. */
export function codeLengths(counts: number[]): number[] {
  let lengths = treeLengths(counts)
  for (let n = counts; Math.max(...lengths) > MAX_LENGTH; lengths = treeLengths(n))
    n = n.map((c) => (c > 0 ? (c + 1) >> 1 || 1 : 0))
  return lengths
}

/** Canonical codes, their first bit lowest. */
function codesOf(lengths: number[]): number[] {
  const codes = lengths.map(() => 0)
  let code = 0
  for (let length = 1; length <= MAX_LENGTH; length++, code <<= 1)
    for (const [symbol, l] of lengths.entries())
      if (l === length) {
        for (let bit = 0; bit < l; bit++)
          codes[symbol] = (codes[symbol] ?? 0) | (((code >> bit) & 1) << (l - 1 - bit))
        code++
      }
  return codes
}

function putOneSymbol(to: Bits, symbol: number): void {
  to.put(1, 1) // a simple code
  to.put(0, 1) // of one symbol
  to.put(1, 1) // of 8 bits
  to.put(symbol, 8)
}

/** Write the code of a channel, and return what puts a symbol. */
function putCode(to: Bits, counts: number[]): (symbol: number) => void {
  const used = counts.findIndex((n) => n > 0)
  if (counts.filter((n) => n > 0).length < 2) {
    putOneSymbol(to, Math.max(0, used))
    return () => undefined
  }
  const lengths = codeLengths(counts)
  const codes = codesOf(lengths)
  to.put(0, 1)
  to.put(LENGTH_ORDER.length - 4, 4)
  for (const l of LENGTH_ORDER) to.put(l <= MAX_LENGTH ? 4 : 0, 3) // 4 bits for each length
  to.put(0, 1) // of all symbols
  for (const l of lengths) for (let bit = 3; bit >= 0; bit--) to.put((l >> bit) & 1, 1)
  return (symbol) => to.put(codes[symbol] ?? 0, lengths[symbol] ?? 0)
}

/** Residuals of green, red and blue, in turn. */
function residuals(image: ImageData): Uint8Array {
  const { width, height, data } = image
  const colours = new Uint8Array(3 * width * height)
  const left = new Uint8Array(colours.length)
  for (let i = 0; i < width * height; i++) {
    const green = data[4 * i + 1] ?? 0
    colours[3 * i] = green
    colours[3 * i + 1] = (data[4 * i] ?? 0) - green
    colours[3 * i + 2] = (data[4 * i + 2] ?? 0) - green
  }
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < 3 * width; x++, i++) {
      const before = x >= 3 ? (colours[i - 3] ?? 0) : undefined
      const above = y > 0 ? (colours[i - 3 * width] ?? 0) : undefined
      // the first row is predicted by the left pixel, the first column by the upper one
      const guess =
        before !== undefined && above !== undefined ? (before + above) >> 1 : (before ?? above ?? 0)
      left[i] = (colours[i] ?? 0) - guess
    }
  return left
}

function count(values: Uint8Array, first: number, symbols: number): number[] {
  const counts = new Array<number>(symbols).fill(0)
  for (let i = first; i < values.length; i += 3) {
    const v = values[i] ?? 0
    counts[v] = (counts[v] ?? 0) + 1
  }
  return counts
}

const MEAN = 7 // the predictor

export function encodeLossless(image: ImageData): Uint8Array {
  const left = residuals(image)
  const bits = new Bits()
  bits.put(0x2f, 8)
  bits.put(image.width - 1, 14)
  bits.put(image.height - 1, 14)
  bits.put(0, 4) // no alpha; version 0
  bits.put(1, 1)
  bits.put(2, 2) // subtract green
  bits.put(1, 1)
  bits.put(0, 2) // predict
  bits.put(7, 3) // blocks of 512 x 512, all with one predictor
  bits.put(0, 1) // no colour cache
  for (const symbol of [MEAN, 0, 0, 255, 0]) putOneSymbol(bits, symbol)
  bits.put(0, 1) // no more transforms
  bits.put(0, 2) // no colour cache, one set of codes
  const green = putCode(bits, count(left, 0, GREEN_SYMBOLS))
  const red = putCode(bits, count(left, 1, 256))
  const blue = putCode(bits, count(left, 2, 256))
  putOneSymbol(bits, 0) // residual of alpha
  putOneSymbol(bits, 0) // distances
  for (let i = 0; i < left.length; i += 3) {
    green(left[i] ?? 0)
    red(left[i + 1] ?? 0)
    blue(left[i + 2] ?? 0)
  }
  const data = bits.end()
  const bytes = new Uint8Array(20 + data.length + (data.length & 1))
  const view = new DataView(bytes.buffer)
  bytes.set([...'RIFF----WEBPVP8L'].map((c) => c.charCodeAt(0)))
  view.setUint32(4, bytes.length - 8, true)
  view.setUint32(16, data.length, true)
  bytes.set(data, 20)
  return bytes
}
