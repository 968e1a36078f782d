/** Several photographs at once. */
import { t } from './i18n'
import { showToast } from './toast'

export function batchOf(files: File[]): void {
  if (files.length) showToast(t('pictures.several'))
}
