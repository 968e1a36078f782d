/** Persistent storage: JSON values in localStorage under the prefix "nst.". */
export interface KeyValueStore {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
  removeItem(key: string): void
}

/** Fallback if localStorage is not available; its values are lost with the page. */
export function memoryStore(): KeyValueStore {
  const kept = new Map<string, string>()
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  }
}

function browserStore(): KeyValueStore {
  try {
    const store = globalThis.localStorage
    store.getItem('nst')
    return store
  } catch {
    return memoryStore()
  }
}

let store = browserStore()

/** Replace the store; for tests. */
export function useStore(other: KeyValueStore): void {
  store = other
}

export function loadItem<T>(name: string, otherwise: T): T {
  try {
    const text = store.getItem(`nst.${name}`)
    return text === null ? otherwise : (JSON.parse(text) as T)
  } catch {
    return otherwise
  }
}

/** False if the quota is exceeded. */
export function saveItem(name: string, value: unknown): boolean {
  try {
    store.setItem(`nst.${name}`, JSON.stringify(value))
    return true
  } catch {
    return false
  }
}

/** Remove what belongs to a user, not to the browser: at a sign-out. */
export function forgetUser(): void {
  for (const name of ['draft', 'labels', 'ratings', 'tasks', 'batch', 'variations'])
    store.removeItem(`nst.${name}`)
}
