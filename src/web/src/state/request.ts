/**
 * How the page asks the service: addresses, faults, and the sign-in that a request may wait for.
 * api.ts has the requests themselves.
 */
import { reactive } from 'vue'

/** Kinds of errors; faults.ts has the messages. */
export type FaultKind =
  | 'gone' // no response, or 502, 504
  | 'ending' // 503
  | 'full' // 429: the queue is full
  | 'often' // 429: the rate limit
  | 'large' // 413
  | 'type' // 415
  | 'file' // 400 or 415: an upload that nothing can mend
  | 'invalid' // 400
  | 'unknown' // 404
  | 'busy' // 409
  | 'room' // 507
  | 'waiting' // 429: the quota of tasks in the queue
  | 'work' // 429: the quota of work in a day
  | 'bytes' // 507: the quota of bytes
  | 'refused' // 401, 403
  | 'broken' // the rest
  | 'empty' // a file without contents, which is not sent
  | 'link' // a link was dropped, not a file

export class Fault extends Error {
  constructor(
    readonly kind: FaultKind,
    readonly detail = '',
    readonly retryAfter = 0,
  ) {
    super(detail || kind)
  }
}

export function kindOf(status: number, detail: string): FaultKind {
  switch (status) {
    case 400:
      return 'invalid'
    case 401:
    case 403:
      return 'refused'
    case 404:
      return 'unknown'
    case 409:
      return 'busy'
    case 413:
      return 'large'
    case 415:
      return 'type'
    case 429:
      if (detail.startsWith('waiting:')) return 'waiting'
      if (detail.startsWith('work:')) return 'work'
      return /requests a second|uploads of yours/.test(detail) ? 'often' : 'full'
    case 502:
    case 504:
      return 'gone' // from a proxy that cannot reach the service
    case 503:
      return 'ending'
    case 507:
      return detail.startsWith('bytes:') ? 'bytes' : 'room'
    default:
      return 'broken'
  }
}

/** An empty or tiny file cannot be converted: another one is needed. */
export function uploadFault(f: Fault): Fault {
  const hopeless = f.kind === 'invalid' || (f.kind === 'type' && f.detail.includes('too small'))
  return hopeless ? new Fault('file', f.detail) : f
}

/**
 * The URL of a picture. The service puts its own path prefix (--prefix) into URLs; the page
 * replaces it by the prefix of its own address, which a proxy may have changed.
 */
export function resolveUrl(base: string, url: string): string {
  const own = /(?:uploads|results|history|styles|thumbs|renditions|share)\/[^/?#]+$/.exec(url)
  return new URL(own ? own[0] : url, base).href
}

export function base(): string {
  return new URL('.', document.baseURI).href
}

/** Receives the outcome of every request; link.ts sets the callback. */
export const connectivity: { report: (there: boolean) => void } = { report: () => undefined }

/** The dialog that asks for a token; while it is open, requests that need a sign-in wait. */
export const tokenPrompt = reactive<{ open: boolean; problem: '' | 'wrong' | 'often' | 'gone' }>({
  open: false,
  problem: '',
})
let waiting: (() => void)[] = []

/** Ask for a token, and wait until it is accepted. */
export function requestToken(): Promise<void> {
  tokenPrompt.open = true
  return new Promise((go) => waiting.push(go))
}

/** Sign in: the service sets a cookie, which scripts cannot read and is not the token. */
export async function signIn(token: string, remember: boolean): Promise<void> {
  const r = await fetch(new URL('api/login', base()), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ token, remember }),
  }).catch(() => undefined)
  if (!r?.ok) {
    tokenPrompt.problem = r?.status === 429 ? 'often' : r && r.status < 500 ? 'wrong' : 'gone'
    return
  }
  tokenPrompt.open = false
  tokenPrompt.problem = ''
  const all = waiting
  waiting = []
  for (const go of all) go()
}

/** What a response that is not 2xx means. */
export async function fault(r: Response): Promise<Fault> {
  const text = await r.text().catch(() => '')
  let detail = ''
  try {
    detail = String((JSON.parse(text) as { error?: unknown }).error ?? '')
  } catch {
    /* an HTML page of a proxy */
  }
  return new Fault(kindOf(r.status, detail), detail, Number(r.headers.get('Retry-After')) || 0)
}

/** Send a request to a path below the page's address. Throws a Fault. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  let r: Response
  try {
    r = await fetch(new URL(path, base()), init)
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e
    connectivity.report(false)
    throw new Fault('gone')
  }
  if (r.status === 401) {
    await requestToken()
    return ask(path, init)
  }
  if (r.ok) {
    connectivity.report(true)
    return r
  }
  const f = await fault(r)
  connectivity.report(f.kind !== 'gone')
  throw f
}

export async function get<T>(path: string): Promise<T> {
  return (await (await ask(path)).json()) as T
}

export async function post<T>(path: string, body: unknown): Promise<T> {
  const r = await ask(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  return (await r.json()) as T
}
