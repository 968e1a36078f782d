/** The page as an app: its service worker, its installation, and what other apps hand to it. */
import { shallowRef } from 'vue'
import { t } from './i18n'
import { showToast } from './toast'

/** An event of Chromium: the page can be installed. */
interface InstallEvent extends Event {
  prompt(): Promise<unknown>
}

/** The offer of the browser to install the page, if there is one. */
export const installation = shallowRef<InstallEvent>()

export async function install(): Promise<void> {
  const offer = installation.value
  installation.value = undefined // it can be used once
  await offer?.prompt()
}

/** Where worker.js keeps what was shared until the page takes it. */
const sharedName = () => `nst shared ${new URL('.', document.baseURI).href}`

const TAKE_MS = 100
const TAKE_TRIES = 100

/**
 * Take the pictures that another app has shared, and drop them on the page, which does with them
 * what it does with all that is dropped, as soon as it is there.
 */
export async function takeShared(): Promise<void> {
  if (!('caches' in globalThis) || !(await caches.has(sharedName()))) return
  const kept = await caches.open(sharedName())
  const dataTransfer = new DataTransfer()
  for (const request of await kept.keys()) {
    const blob = await (await kept.match(request))?.blob()
    if (blob) dataTransfer.items.add(new File([blob], nameIn(request.url), { type: blob.type }))
  }
  await caches.delete(sharedName())
  for (let i = 0; i < TAKE_TRIES && dataTransfer.files.length; i++) {
    const drop = new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true })
    if (!document.body.dispatchEvent(drop)) return // who takes it prevents the default
    await new Promise((go) => setTimeout(go, TAKE_MS))
  }
}

/** worker.js makes the URL of the file's name. */
function nameIn(url: string): string {
  return new URL(url).searchParams.get('name') ?? 'picture'
}

/** The shortcut of the installed app asks for the camera. */
export const asksForCamera = () => location.hash === '#/camera'

/** A part of the page that is not there any more, since the service has another version. */
function offerReload(): void {
  showToast(t('shell.updated'), {
    ms: 0,
    action: { label: t('shell.reload'), run: () => location.reload() },
  })
}

export function openInstallation(): void {
  addEventListener('beforeinstallprompt', (e) => {
    e.preventDefault() // the menu offers it
    installation.value = e as InstallEvent
  })
  addEventListener('appinstalled', () => (installation.value = undefined))
  addEventListener('vite:preloadError', offerReload)
  // without https there is none; the page works without it
  if (import.meta.env.PROD && 'serviceWorker' in navigator)
    void navigator.serviceWorker.register('sw.js').catch(() => undefined)
}
