/** The figures of results: a cache, and what they mean. */
import * as api from './api'
import type { Key } from './i18n'

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

/** A figure for people: a share from 0 to 1, and a sentence for it. */
export interface Meaning {
  name: 'structure' | 'colours' | 'repainted'
  share: number
  sentence: Key
}

/** The perceptual distance at which nothing is left, as for the overall score of nst-compare. */
const FAR = 4

/** From which share on there is much of it, and some of it. */
const LEVELS = { structure: [0.6, 0.3], colours: [0.65, 0.4], repainted: [0.45, 0.2] } as const

function meaning(name: Meaning['name'], value: number): Meaning {
  const share = Math.min(1, Math.max(0, value))
  const [much, some] = LEVELS[name]
  const level = share >= much ? 'much' : share >= some ? 'some' : 'little'
  return { name, share, sentence: `closeness.${name}.${level}` }
}

export function meanings(q: api.Quality): Meaning[] {
  return [
    meaning('structure', q.ssim),
    meaning('colours', q.colour_consistency),
    meaning('repainted', q.perceptual_distance / FAR),
  ]
}
