/** A draft in words. */
import { DEFAULT, type Draft, WEIGHT } from './draft'
import { maybe, seconds, t } from './i18n'
import { DETAILS, expected, extentOf } from './presets'
import { mixOf } from './styles'

/** What differs from the usual look. */
function look(d: Draft): string[] {
  const { strength = 1, strokes = 1, weight = WEIGHT, colour = 'style' } = d.values
  const words: string[] = []
  if (strength < 1) words.push(t('summary.strength', { percent: Math.round(100 * strength) }))
  if (strokes !== 1) words.push(t(strokes < 1 ? 'summary.finer' : 'summary.larger'))
  if (weight !== WEIGHT) words.push(t(weight < WEIGHT ? 'summary.closer' : 'summary.more'))
  if (colour === 'content' || colour === 'match') words.push(t(`summary.${colour}`))
  if (d.more?.['init_image'] === 'noise') words.push(t('summary.noise'))
  return words
}

/** Styles, preset, size, and what is unusual. */
export function summarise(d: Draft): string {
  const preset = d.preset || DEFAULT
  const detail = DETAILS.find((one) => one === preset)
  const name = detail ? t(`detail.${detail}`) : maybe(`preset.${preset}`, preset).split(':')[0]
  const size = t('settings.px', { n: extentOf(d).size })
  return [mixOf(d.styles), `${name}, ${size}`, ...look(d)].filter(Boolean).join(' · ')
}

/** How long it takes; '' if that is unknown. */
export function duration(d: Draft): string {
  const time = expected(extentOf(d))
  return time ? t('settings.about', { time: seconds(time) }) : ''
}
