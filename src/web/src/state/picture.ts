/** A result as a file: its name, and PNG and JPEG without metadata. */
import { canvasOf } from './upload'

/** Chunks that say how the pixels look; all others are texts, dates and the like. */
const NEEDED = new Set([
  'IHDR',
  'PLTE',
  'IDAT',
  'IEND',
  'tRNS',
  'gAMA',
  'cHRM',
  'sRGB',
  'iCCP',
  'cICP',
  'sBIT',
  'acTL',
  'fcTL',
  'fdAT',
])
const SIGNATURE = 8
const AROUND = 12 // length, type and checksum of a chunk

/** A PNG without the chunks that the pixels do not need. Throws if it is none. */
export function withoutMetadata(png: Uint8Array): Uint8Array<ArrayBuffer> {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength)
  const out = new Uint8Array(png.length)
  let end = 0
  const take = (from: number, to: number) => {
    out.set(png.subarray(from, to), end)
    end += to - from
  }
  if (png.length < SIGNATURE || view.getUint32(0) !== 0x89504e47) throw new TypeError('no PNG')
  take(0, SIGNATURE)
  for (let at = SIGNATURE; at + AROUND <= png.length;) {
    const next = at + AROUND + view.getUint32(at)
    const type = String.fromCharCode(...png.subarray(at + 4, at + 8))
    if (next > png.length) break
    if (NEEDED.has(type)) take(at, next)
    if (type === 'IEND') return out.slice(0, end)
    at = next
  }
  throw new TypeError('the PNG is cut short')
}

/** The same picture as a JPEG; transparent parts become white. quality: 1 to 100. */
export async function asJpeg(picture: ImageBitmap, quality: number): Promise<Blob | null> {
  const [canvas, c] = canvasOf(picture.width, picture.height)
  c.fillStyle = '#fff'
  c.fillRect(0, 0, canvas.width, canvas.height)
  c.drawImage(picture, 0, 0)
  return new Promise((done) => canvas.toBlob(done, 'image/jpeg', quality / 100))
}

/** A file name for a result in some styles. */
export function fileName(styles: string, ending: string): string {
  const words = styles.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ['result']
  return `nst-${words.join('-').slice(0, 60)}.${ending}`
}
