import { createApp } from 'vue'
import App from './App.vue'
import { openDraft } from './state/draft'
import { openInstallation, takeShared } from './state/install'
import { openPrefs } from './state/prefs'
import { openTasks } from './state/tasks'
import { openView } from './state/view'

export async function run(): Promise<void> {
  await openPrefs()
  openView()
  openDraft()
  openTasks()
  openInstallation()
  createApp(App).mount('#app')
  await takeShared()
}
