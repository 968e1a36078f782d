/** The current view, kept in the hash of the URL so that it can be shared. */
import { reactive } from 'vue'

export type Route = { page: 'studio'; task: string } | { page: 'gallery'; task: '' }

export function parseHash(hash: string): Route {
  const task = /^#\/task\/([0-9a-zA-Z]{1,64})$/.exec(hash)
  if (task?.[1]) return { page: 'studio', task: task[1] }
  return hash === '#/gallery' ? { page: 'gallery', task: '' } : { page: 'studio', task: '' }
}

export const view = reactive<{ page: 'studio' | 'gallery'; task: string }>({
  page: 'studio',
  task: '',
})

export function go(to: string): void {
  if (location.hash !== to) location.hash = to
}

export const goTask = (id: string) => go(`#/task/${id}`)

export function openView(): void {
  const update = () => Object.assign(view, parseHash(location.hash))
  addEventListener('hashchange', update)
  update()
}
