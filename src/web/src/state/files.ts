/** Files that outlive the page, by number, in IndexedDB; a browser without it forgets them. */
const STORE = 'files'

function database(): Promise<IDBDatabase | null> {
  return new Promise((done) => {
    try {
      const r = indexedDB.open('nst', 1)
      r.onupgradeneeded = () => r.result.createObjectStore(STORE)
      r.onsuccess = () => done(r.result)
      r.onerror = () => done(null)
    } catch {
      done(null)
    }
  })
}

/** The result of a request; undefined: it failed, or there is no database. */
async function ask<T>(
  mode: IDBTransactionMode,
  f: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T | undefined> {
  const db = await database()
  if (!db) return undefined
  return new Promise<T | undefined>((done) => {
    try {
      const r = f(db.transaction(STORE, mode).objectStore(STORE))
      r.onsuccess = () => done(r.result)
      r.onerror = () => done(undefined)
    } catch {
      done(undefined)
    }
  }).finally(() => db.close())
}

export const keepFile = (id: number, file: Blob) => ask('readwrite', (s) => s.put(file, id))
export const keptFile = (id: number) =>
  ask<Blob | undefined>('readonly', (s) => s.get(id) as IDBRequest<Blob | undefined>)
export const dropFile = (id: number) => ask('readwrite', (s) => s.delete(id))
export const dropFiles = () => ask('readwrite', (s) => s.clear())
