/** A ZIP archive without compression, since pictures are compressed already. */
import { t } from './i18n'

export interface ZipFile {
  name: string
  data: Blob
  /** The time of the file; default: now. */
  date?: Date
}

const MAX = 0xffffffff // bytes of an archive and of each file, without ZIP64
const MAX_FILES = 0xffff
const MAX_STEM = 100 // characters of a name, without the extension
const UTF8 = 0x0800 // the flag of names in UTF-8
const VERSION = 20 // of the format: 2.0

/** Thrown for what the format cannot hold; the message is for people. */
export class ZipTooLarge extends Error {}

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let i = 0; i < 8; i++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
  return c
})

/** CRC-32 of the bytes after those that gave crc; begin with 0. */
export function crc32(bytes: Uint8Array, crc = 0): number {
  let c = ~crc
  for (const b of bytes) c = (table[(c ^ b) & 0xff] as number) ^ (c >>> 8)
  return ~c >>> 0
}

// control characters, what turns text round, and what Windows does not allow
// eslint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069<>:"/\\|?*]+/g
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i

function safeName(name: string): string {
  const clean = name.replace(UNSAFE, '-').replace(/^[.\s]+|[.\s]+$/g, '')
  return !clean || RESERVED.test(clean) ? `_${clean}` : clean
}

/** Names that every system can write, each once, whatever the case of letters. */
export function safeNames(names: readonly string[]): string[] {
  const taken = new Set<string>()
  return names.map((name) => {
    const [, all = '', end = ''] = /^(.*?)(\.\w{1,5})?$/s.exec(safeName(name)) ?? []
    const stem = all.slice(0, MAX_STEM)
    let free = stem + end
    for (let n = 2; taken.has(free.toLowerCase()); n++) free = `${stem} (${n})${end}`
    taken.add(free.toLowerCase())
    return free
  })
}

/** Date and time of MS-DOS: two seconds are one unit, and years begin at 1980. */
function dosTime(d: Date): number {
  const date = (Math.max(0, d.getFullYear() - 1980) << 9) | ((d.getMonth() + 1) << 5) | d.getDate()
  const time = (d.getHours() << 11) | (d.getMinutes() << 5) | (d.getSeconds() >> 1)
  return ((date << 16) | time) >>> 0
}

/** Little-endian numbers of 2 or 4 bytes: [size, value] each. */
function record(...fields: [2 | 4, number][]): Uint8Array<ArrayBuffer> {
  const out = new DataView(new ArrayBuffer(fields.reduce((n, [size]) => n + size, 0)))
  let at = 0
  for (const [size, value] of fields) {
    if (size === 2) out.setUint16(at, value, true)
    else out.setUint32(at, value, true)
    at += size
  }
  return new Uint8Array(out.buffer)
}

async function crcOf(data: Blob): Promise<number> {
  let crc = 0
  const reader = data.stream().getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return crc
    crc = crc32(value, crc)
  }
}

/** The archive; it refers to the files' data instead of copying them. */
export async function zip(files: readonly ZipFile[]): Promise<Blob> {
  if (files.length > MAX_FILES) throw new ZipTooLarge(t('zip.files', { n: MAX_FILES }))
  const names = safeNames(files.map((f) => f.name)).map((n) => new TextEncoder().encode(n))
  const headers = files.length * (30 + 46) + 2 * names.reduce((n, name) => n + name.length, 0)
  const size = files.reduce((n, f) => n + f.data.size, headers + 22)
  if (size > MAX) throw new ZipTooLarge(t('zip.bytes'))
  const body: BlobPart[] = []
  const directory: BlobPart[] = []
  let at = 0
  let length = 0
  for (const [i, { data, date }] of files.entries()) {
    const name = names[i] as Uint8Array<ArrayBuffer>
    const both: [2 | 4, number][] = [
      [2, VERSION],
      [2, UTF8],
      [2, 0], // stored
      [4, dosTime(date ?? new Date())],
      [4, await crcOf(data)],
      [4, data.size],
      [4, data.size],
      [2, name.length],
      [2, 0], // no extra field
    ]
    const header = record([4, 0x04034b50], ...both)
    const central = record(
      [4, 0x02014b50],
      [2, VERSION],
      ...both,
      [2, 0], // no comment
      [2, 0], // the first disk
      [2, 0],
      [4, 0],
      [4, at],
    )
    body.push(header, name, data)
    directory.push(central, name)
    at += header.length + name.length + data.size
    length += central.length + name.length
  }
  const end = record(
    [4, 0x06054b50],
    [2, 0],
    [2, 0],
    [2, files.length],
    [2, files.length],
    [4, length],
    [4, at],
    [2, 0], // no comment
  )
  return new Blob([...body, ...directory, end], { type: 'application/zip' })
}
