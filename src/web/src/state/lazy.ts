/** Parts of the page that are loaded when they are needed, also from a service that comes
 * back later. */
import { type Component, defineAsyncComponent } from 'vue'
import { link, onReconnect } from './link'

const RETRY_MS = 2000
const MAX_TRIES = 5

/** Parts that wait for the service. */
let waiting: (() => void)[] = []

onReconnect(() => {
  const all = waiting
  waiting = []
  for (const go of all) go()
})

export const lazy = (loader: () => Promise<{ default: Component }>) =>
  defineAsyncComponent({
    loader,
    onError: (_error, retry, fail, tries) => {
      if (!link.up) waiting.push(retry)
      else if (tries < MAX_TRIES) setTimeout(retry, RETRY_MS)
      else fail()
    },
  })
