import { expect, it } from 'vitest'
import { ZipTooLarge, crc32, safeNames, zip } from './zip'

const text = (s: string) => new Blob([s])

it('gives the CRC-32 of the standard, in one piece or several', () => {
  const bytes = new TextEncoder().encode('123456789')
  expect(crc32(bytes)).toBe(0xcbf43926)
  expect(crc32(bytes.subarray(4), crc32(bytes.subarray(0, 4)))).toBe(0xcbf43926)
})

it('makes names that every system can write, each once', () => {
  expect(safeNames(['../../etc/passwd', 'a:b?.png', '.hidden', 'nul.png', '', ' x. '])).toEqual([
    '-..-etc-passwd',
    'a-b-.png',
    'hidden',
    '_nul.png',
    '_',
    'x',
  ])
  expect(safeNames(['gnp.\u202eexe'])).toEqual(['gnp.-exe'])
  expect(safeNames([`${'x'.repeat(300)}.png`])).toEqual([`${'x'.repeat(100)}.png`])
  expect(safeNames(['A.png', 'a.png', 'a (2).png', 'a.png'])).toEqual([
    'A.png',
    'a (2).png',
    'a (2) (2).png',
    'a (3).png',
  ])
})

it('writes an archive that Python reads: names, times, contents, checksums', async () => {
  const date = new Date(2026, 10, 30, 13, 14, 16)
  const large = new Uint8Array(300_000).map((_, i) => i * i)
  const made = await zip([
    { name: 'Größe 星.txt', data: text('hello'), date },
    { name: 'empty', data: text('') },
    { name: 'a/b.bin', data: new Blob([large]) },
  ])
  expect(made.type).toBe('application/zip')
  const script = `
import base64, io, json, sys, zipfile
z = zipfile.ZipFile(io.BytesIO(base64.b64decode(sys.stdin.read())))
bad = z.testzip()
all = [[i.filename, i.file_size, i.compress_type, list(i.date_time)] for i in z.infolist()]
print(json.dumps([bad, all, z.read(all[0][0]).decode(), z.read('a-b.bin')[299999]]))`
  // without the types of Node, which the page must not use
  const module = 'node:child_process'
  const { execFileSync } = (await import(/* @vite-ignore */ module)) as {
    execFileSync: (file: string, args: string[], options: { input: string }) => Uint8Array
  }
  const bytes = new Uint8Array(await made.arrayBuffer())
  const input = btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(''))
  const said = new TextDecoder().decode(execFileSync('python3', ['-c', script], { input }))
  const [bad, all, first, last] = JSON.parse(said) as [unknown, unknown[][], string, number]
  expect(bad).toBe(null)
  expect(all.map((f) => f.slice(0, 3))).toEqual([
    ['Größe 星.txt', 5, 0],
    ['empty', 0, 0],
    ['a-b.bin', 300_000, 0],
  ])
  expect(all[0]?.[3]).toEqual([2026, 11, 30, 13, 14, 16])
  expect([first, last]).toEqual(['hello', large[299_999]])
})

it('refuses what the format cannot hold, in words, before it reads anything', async () => {
  const huge = { size: 2 ** 32 } as Blob
  await expect(zip([{ name: 'a', data: huge }])).rejects.toThrow(ZipTooLarge)
  const half = { size: 2 ** 31 } as Blob
  await expect(
    zip([
      { name: 'a', data: half },
      { name: 'b', data: half },
    ]),
  ).rejects.toThrow('4 GiB')
  const many = new Array(65_536).fill({ name: 'a', data: text('') })
  await expect(zip(many)).rejects.toThrow('65,535')
})
