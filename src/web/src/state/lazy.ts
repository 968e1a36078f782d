/** Parts of the page that are loaded when they are needed, also from a service that comes
 * back later. */
import { type Component, defineAsyncComponent } from 'vue'
import { t } from './i18n'
import { link, onReconnect } from './link'
import { showToast } from './toast'

const RETRY_MS = 2000
const MAX_TRIES = 5

/** Parts that wait for the service. */
let waiting: (() => void)[] = []

onReconnect(() => {
  const all = waiting
  waiting = []
  for (const go of all) go()
})

/**
 * A part that appears once it is loaded. A dialog that comes long after the click would startle:
 * it names what closes it, and is given up at once, with a message.
 */
export const lazy = <T extends Component>(
  loader: () => Promise<{ default: T }>,
  close?: () => void,
) =>
  defineAsyncComponent({
    loader,
    onError: (_error, retry, fail, tries) => {
      if (close) {
        close()
        showToast(t('fault.gone'), { tone: 'bad', detail: t('fault.gone.next') })
        fail()
      } else if (!link.up) waiting.push(retry)
      else if (tries < MAX_TRIES) setTimeout(retry, RETRY_MS)
      else fail()
    },
  })
