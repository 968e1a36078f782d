/** Several photographs at once. */
import { t } from './i18n'
import { showToast } from './toast'

export function startBatch(files: readonly File[]): void {
  if (files.length) showToast(t('pictures.several'))
}
