/** GIF: count the frames of one, without a decoder. */

const EXTENSION = 0x21
const IMAGE = 0x2c

export function isGif(bytes: Uint8Array): boolean {
  return String.fromCharCode(...bytes.subarray(0, 4)) === 'GIF8'
}

/** Bytes of the colour table that the flags announce. */
const tableSize = (flags: number) => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0)

/** The number of frames; 0 if it is not a GIF. */
export function countGifFrames(bytes: Uint8Array): number {
  const at = (i: number) => bytes[i] ?? 0
  const skip = (i: number) => {
    while (i < bytes.length && at(i)) i += 1 + at(i)
    return i + 1
  }
  let frames = 0
  if (!isGif(bytes)) return 0
  for (let i = 13 + tableSize(at(10)); i < bytes.length;)
    if (at(i) === IMAGE) {
      frames++
      i = skip(i + 11 + tableSize(at(i + 9)))
    } else if (at(i) === EXTENSION) i = skip(i + 2)
    else break
  return frames
}
