/** What outlasts the page, as JSON under names of our own. */
export interface Shelf {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
}

/** A shelf for where there is none, or none that may be used: it lasts as long as the page. */
export function memoryShelf(): Shelf {
  const kept = new Map<string, string>()
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
  }
}

function browserShelf(): Shelf {
  try {
    const shelf = globalThis.localStorage
    shelf.getItem('nst')
    return shelf
  } catch {
    return memoryShelf()
  }
}

let shelf = browserShelf()

/** For tests: begin with that. */
export function useShelf(other: Shelf): void {
  shelf = other
}

export function recall<T>(name: string, otherwise: T): T {
  try {
    const text = shelf.getItem(`nst.${name}`)
    return text === null ? otherwise : (JSON.parse(text) as T)
  } catch {
    return otherwise
  }
}

/** False if there is no room. */
export function keep(name: string, value: unknown): boolean {
  try {
    shelf.setItem(`nst.${name}`, JSON.stringify(value))
    return true
  } catch {
    return false
  }
}
