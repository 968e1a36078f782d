/** Texts in PNG files. */

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

/** Latin-1, the encoding of tEXt chunks. */
function latin1(bytes: Uint8Array): string {
  let text = ''
  for (const b of bytes) text += String.fromCharCode(b)
  return text
}

/** The text of a tEXt chunk with this keyword; undefined: no PNG, or it has none. */
export function pngText(file: ArrayBuffer, keyword: string): string | undefined {
  const bytes = new Uint8Array(file)
  const view = new DataView(file)
  if (SIGNATURE.some((b, i) => bytes[i] !== b)) return undefined
  // a chunk: length, type, data, CRC
  for (let at = SIGNATURE.length; at + 12 <= bytes.length;) {
    const length = view.getUint32(at)
    const data = bytes.subarray(at + 8, at + 8 + length)
    if (at + 12 + length > bytes.length) return undefined
    if (latin1(bytes.subarray(at + 4, at + 8)) === 'tEXt') {
      const end = data.indexOf(0)
      if (end > 0 && latin1(data.subarray(0, end)) === keyword)
        return latin1(data.subarray(end + 1))
    }
    at += 12 + length
  }
  return undefined
}
