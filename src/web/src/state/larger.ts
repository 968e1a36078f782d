/** Results at a higher resolution. */
import type * as api from './api'
import { fromPosted, toRequest } from './draft'
import { extent, presets } from './presets'

const SIZES = [1024, 2048]
/** Enough for finer strokes; more of them change the composition. */
const STEPS = 50

/** The size of the next larger picture; undefined: there is none that the service makes. */
export function nextSize(r: api.PostedRequest): number | undefined {
  const { size } = extent(r)
  return SIZES.find((s) => s > size && s <= presets.ranges.size.max)
}

/** The request that continues a result: it begins with it, at the finest scale only. */
export async function largerRequest(
  r: api.PostedRequest,
  id: string,
  size: number,
): Promise<api.TransferRequest> {
  const body = await toRequest(fromPosted(r), (mask) => Promise.resolve(mask.under ?? ''))
  delete body.num_steps
  return { ...body, size, scales: 'none', scale_iterations: [STEPS], init_image: `${id}.png` }
}
