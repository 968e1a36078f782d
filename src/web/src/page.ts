import { createApp } from 'vue'
import App from './App.vue'
import { openBatch } from './state/batch'
import { openDraft } from './state/draft'
import { openPrefs } from './state/prefs'
import { openTasks } from './state/tasks'
import { openVariations } from './state/variations'
import { openView } from './state/view'

export function run(): void {
  openPrefs()
  openView()
  openDraft()
  openTasks()
  openBatch()
  openVariations()
  createApp(App).mount('#app')
}
