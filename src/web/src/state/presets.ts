/** The presets of the service, and how long a task with one takes here. */
import { reactive } from 'vue'
import * as api from './api'
import { DEFAULT, type Draft } from './draft'

export const presets = reactive({
  all: [] as api.Preset[],
  /** Seconds for each pixel and step, from the latest results; 0: unknown. */
  pace: 0,
  ranges: {
    style_weight: { min: 5000, max: 10000 },
    num_steps: { min: 100, max: 1000 },
    size: { min: 64, max: 2048 },
  },
})

/** The choices of detail: presets that differ in size and steps only. */
export const DETAILS = ['draft', DEFAULT, 'fine'] as const

/** What the service is known to have, before it has answered. */
const USUAL = { size: 512, num_steps: 300 }

export function presetOf(name: string): { size: number; num_steps: number } {
  return presets.all.find((p) => p.name === (name || DEFAULT)) ?? USUAL
}

/** Longest side and steps of the result of a draft or a request. */
export function extent(d: {
  preset?: string
  size?: number | undefined
  steps?: number | undefined
}): { size: number; steps: number } {
  const p = presetOf(d.preset ?? '')
  return { size: d.size ?? p.size, steps: d.steps ?? p.num_steps }
}

export const extentOf = (d: Draft) => extent({ preset: d.preset, ...d.values })

/** Expected seconds of a task; undefined: unknown. */
export function expected(e: { size: number; steps: number }): number | undefined {
  return presets.pace ? presets.pace * e.size ** 2 * e.steps : undefined
}

type Timed = Pick<api.Entry, 'seconds' | 'steps' | 'request'>

/** Seconds for each pixel and step of some results; large ones weigh more. */
export function paceOf(entries: readonly Timed[]): number {
  let seconds = 0
  let work = 0
  for (const e of entries) {
    if (!e.seconds || e.request.init_image || e.request.scales) continue
    const { size, steps } = extent({ ...e.request, steps: e.steps })
    seconds += e.seconds
    work += size ** 2 * steps
  }
  return work ? seconds / work : 0
}

/** Results that the pace is taken from. */
const LATEST = 8

export async function loadPace(): Promise<void> {
  try {
    const { groups } = await api.history(0, LATEST)
    presets.pace = paceOf(Object.values(groups).flat())
  } catch (e) {
    if (!(e instanceof api.Fault)) throw e
  }
}

export async function loadPresets(): Promise<void> {
  try {
    const found = await api.ranges()
    Object.assign(presets.ranges, found)
    if (found.size) presets.ranges.size.min = Math.max(64, found.size.min)
    presets.all = await api.presets()
  } catch (e) {
    if (!(e instanceof api.Fault)) throw e
  }
  await loadPace()
}
