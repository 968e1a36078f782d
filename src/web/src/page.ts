import { createApp } from 'vue'
import App from './App.vue'
import { openBatch } from './state/batch'
import { openDraft } from './state/draft'
import { openInstallation, takeShared } from './state/install'
import { openPrefs } from './state/prefs'
import { openTasks } from './state/tasks'
import { openVariations } from './state/variations'
import { openView } from './state/view'

export async function run(): Promise<void> {
  await openPrefs()
  openView()
  openDraft()
  openTasks()
  openBatch()
  openVariations()
  openInstallation()
  createApp(App).mount('#app')
  await takeShared()
}
