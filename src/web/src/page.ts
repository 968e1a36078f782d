import { createApp } from 'vue'
import App from './App.vue'
import { openDraft } from './state/draft'
import { openPrefs } from './state/prefs'
import { openTasks } from './state/tasks'
import { openView } from './state/view'

export function run(): void {
  openPrefs()
  openView()
  openDraft()
  openTasks()
  createApp(App).mount('#app')
}
