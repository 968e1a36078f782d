/** Error messages with advice. */
import type { Fault, FaultKind } from './api'
import type { Key } from './i18n'

export interface Advice {
  text: Key
  next: Key
}

const advice: Record<FaultKind, Advice> = {
  gone: { text: 'fault.gone', next: 'fault.gone.next' },
  ending: { text: 'fault.ending', next: 'fault.ending.next' },
  full: { text: 'fault.full', next: 'fault.full.next' },
  often: { text: 'fault.often', next: 'fault.often.next' },
  large: { text: 'fault.large', next: 'fault.large.next' },
  file: { text: 'fault.file', next: 'fault.file.next' },
  type: { text: 'fault.type', next: 'fault.type.next' },
  invalid: { text: 'fault.invalid', next: 'fault.invalid.next' },
  unknown: { text: 'fault.unknown', next: 'fault.unknown.next' },
  busy: { text: 'fault.busy', next: 'fault.busy.next' },
  room: { text: 'fault.room', next: 'fault.room.next' },
  waiting: { text: 'shell.waiting', next: 'shell.waiting.next' },
  work: { text: 'shell.work', next: 'shell.work.next' },
  bytes: { text: 'shell.bytes', next: 'shell.bytes.next' },
  refused: { text: 'fault.refused', next: 'fault.refused.next' },
  broken: { text: 'fault.broken', next: 'fault.broken.next' },
  empty: { text: 'pictures.empty', next: 'fault.file.next' },
  link: { text: 'pictures.link', next: 'pictures.link.next' },
}

/** Messages of the service about a picture, which its status does not tell apart. */
const details: [RegExp, Advice][] = [
  [/the file is empty/, advice.empty],
  [/pixels is too small/, { text: 'pictures.small', next: 'fault.file.next' }],
  [/pixels is too narrow/, { text: 'pictures.narrow', next: 'pictures.narrow.next' }],
]

export function adviceFor(f: Fault): Advice {
  return details.find(([message]) => message.test(f.detail))?.[1] ?? advice[f.kind]
}

/** The names of fields in messages of the service, in words. */
const words: [RegExp, string][] = [
  [/^(?:content|style)_image: /, ''],
  [/\bcontent_image\b/g, 'the picture'],
  [/\bstyle_image\b/g, 'the style'],
  [/\b(?:keep_mask|styles\.mask)\b/g, 'the region'],
]

/** What these say is said in words already, and their numbers are for programs. */
const complete: FaultKind[] = ['full', 'often', 'waiting', 'work', 'bytes']

/** A message of the service for people. */
export function readableDetail(f: Fault): string {
  if (complete.includes(f.kind)) return ''
  return words.reduce((text, [name, word]) => text.replace(name, word), f.detail)
}

/** Seconds until an automatic retry; 0: a retry would not help. */
export function retryDelay(f: Fault): number {
  const waits: FaultKind[] = ['full', 'often', 'waiting', 'ending']
  return waits.includes(f.kind) ? Math.max(1, f.retryAfter) : 0
}
