/** A cache of the figures of results. */
import * as api from './api'

const found = new Map<string, Promise<api.Quality>>()

export function quality(id: string): Promise<api.Quality> {
  let q = found.get(id)
  if (!q) {
    q = api.quality(id)
    found.set(id, q)
    q.catch(() => found.delete(id))
  }
  return q
}
