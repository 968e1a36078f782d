/** Names that people give, in whatever direction they are written. */

/** What turns the text around it: embeddings, overrides and isolates. */
const CONTROLS = /[\u202A-\u202E\u2066-\u2069]/g
/** Letters that are written from right to left. */
const RIGHT_TO_LEFT =
  /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}]/u
const FIRST_STRONG = '\u2068'
const END = '\u2069'

/**
 * A name that leaves the order of the text around it as it is, and cannot pretend to be another.
 * These characters do in any text, such as a label, what <bdi> does in a document.
 */
export function isolate(name: string): string {
  const plain = name.replace(CONTROLS, '')
  return RIGHT_TO_LEFT.test(plain) ? `${FIRST_STRONG}${plain}${END}` : plain
}
