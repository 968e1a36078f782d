/** Files of several results, for a ZIP archive. */
import { type Entry, Fault, fetchPicture } from './api'
import { fileOf } from './gallery'
import { timeOf } from './history'
import type { ZipFile } from './zip'

const AT_ONCE = 3

export interface Packed {
  files: ZipFile[]
  /** Results that the service no longer has. */
  missing: number
}

/** Fetch the results in their order; told is called with the number that is done. */
export async function fetchFiles(
  entries: readonly Entry[],
  signal: AbortSignal,
  told: (done: number) => void,
): Promise<Packed> {
  const found: (ZipFile | undefined)[] = []
  let next = 0
  let done = 0
  const work = async () => {
    for (let i = next++; i < entries.length; i = next++) {
      const e = entries[i] as Entry
      try {
        const data = await fetchPicture(e.output_img, signal)
        found[i] = { name: `${fileOf(e)}.png`, data, date: new Date(1000 * timeOf(e)) }
      } catch (f) {
        if (!(f instanceof Fault && f.kind === 'unknown')) throw f
      }
      told(++done)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  const files = found.filter((f) => f !== undefined)
  return { files, missing: entries.length - files.length }
}
