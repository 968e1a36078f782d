/*
 * The service worker: it keeps the files of this version of the page, so that the page opens
 * without a connection and says so. It never keeps what the API answers, or a picture of anybody.
 * vite.config.ts puts the names of the files in the place of FILES.
 *
 * A new version waits until no page of the old one is open (there is no skipWaiting): the old
 * page loads its parts from its own cache as long as it is open.
 */
/* global FILES, VERSION */
const files = FILES
const scope = self.registration.scope
const prefix = `nst files ${scope} ` // another service may be on the same host
const cacheName = prefix + VERSION
const sharedName = `nst shared ${scope}` // as in state/install.ts

/** Of a proxy that cannot reach the service, or of a service that ends. */
const AWAY = [502, 503, 504]
const PATIENCE_MS = 5000

self.addEventListener('install', (e) => {
  e.waitUntil(caches.open(cacheName).then((kept) => kept.addAll(['./', ...files])))
})

async function replaceOld() {
  for (const name of await caches.keys())
    if (name.startsWith(prefix) && name !== cacheName) await caches.delete(name)
  await self.clients.claim() // the page that has installed it, so that it counts as open
}

self.addEventListener('activate', (e) => e.waitUntil(replaceOld()))

/** From the service; if it is away or very slow, as it was kept. */
async function page(request) {
  const kept = (await caches.open(cacheName)).match('./')
  const late = new Promise((go) => setTimeout(go, PATIENCE_MS))
  const sent = fetch(request).catch(() => undefined)
  const first = await Promise.race([sent, late])
  if (first && !AWAY.includes(first.status)) return first
  return (await kept) ?? (await sent) ?? Response.error()
}

/** Its name has a hash of its contents, so the kept file is the one of the service. */
async function asset(request) {
  return (await caches.match(request, { ignoreVary: true })) ?? fetch(request)
}

/** Keep what another app shares, for the page that opens then and takes it. */
async function receive(request) {
  const form = await request.formData()
  const kept = await caches.open(sharedName)
  let n = 0
  for (const file of form.getAll('pictures'))
    if (file instanceof File)
      await kept.put(`shared/${n++}?name=${encodeURIComponent(file.name)}`, new Response(file))
  return Response.redirect('./#/', 303)
}

self.addEventListener('fetch', (e) => {
  const { request } = e
  const url = new URL(request.url)
  if (!url.href.startsWith(scope)) return
  const path = url.pathname.slice(new URL(scope).pathname.length)
  if (request.method === 'POST' && path === 'share-target') e.respondWith(receive(request))
  else if (request.method !== 'GET') return
  else if (request.mode === 'navigate' && path === '') e.respondWith(page(request))
  else if (path.startsWith('assets/')) e.respondWith(asset(request))
})
