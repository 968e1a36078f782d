/** What the page says of pictures, and the names of styles. */
import { afterEach, describe, expect, it } from 'vitest'
import { Fault, type Style, renditionUrl, resolveUrl, uploadFault } from './api'
import { adviceFor } from './faults'
import { setLanguage, t } from './i18n'
import { catalog, nameOf, readable, setLabel } from './styles'

const own = '0123456789abcdef0123456789abcdef.heic'

const style = (label: string | null): Style => ({
  name: own,
  label,
  url: null,
  thumbnail: null,
  preview: null,
  kind: 'picture',
  artist: null,
  title: null,
  year: null,
  removable: true,
})

afterEach(() => {
  catalog.all = []
  catalog.labels = {}
})

describe('a rendition', () => {
  it('has the name of its picture, below the page', () => {
    Object.assign(globalThis, { document: { baseURI: 'https://example.org/art/' } })
    expect(renditionUrl(own)).toBe(`https://example.org/art/renditions/${own}.jpg`)
    Reflect.deleteProperty(globalThis, 'document')
    expect(resolveUrl('https://example.org/art/', `/nst/renditions/${own}.jpg`)).toBe(
      `https://example.org/art/renditions/${own}.jpg`,
    )
  })
})

describe('what is wrong with a picture', () => {
  it('is told in words that name it', () => {
    setLanguage('en')
    const said = (f: Fault) => t(adviceFor(f).text)
    const empty = new Fault('invalid', 'content_image: the file is empty: choose another one')
    expect(said(uploadFault(empty))).toBe(said(new Fault('empty')))
    const tiny = new Fault('type', 'content_image: 9x9 pixels is too small: each side needs 16')
    expect(said(uploadFault(tiny))).toContain('at least 16 pixels')
    const narrow = new Fault('invalid', 'content_image: 4000x3 pixels is too narrow: even at')
    expect(said(narrow)).toContain('too narrow')
    expect(said(new Fault('link'))).toContain('link')
    expect(said(new Fault('type', 'content_image: is damaged'))).toBe(said(new Fault('type')))
  })
})

describe('the name of an own style', () => {
  it('is what the service keeps, then what this browser kept, then a general one', () => {
    setLanguage('en')
    expect(nameOf(own)).toBe('My style')
    setLabel(own, 'kept-here.jpg')
    expect(nameOf(own)).toBe('Kept Here')
    catalog.all = [style('Garden')]
    expect(nameOf(own)).toBe('Garden')
    catalog.all = [style(null)]
    expect(nameOf(own)).toBe('Kept Here')
  })

  it('is made of the name of its file, without the ending', () => {
    expect(readable('IMG_0001.JPG')).toBe('IMG 0001')
    expect(readable('starry_night.jpg')).toBe('Starry Night')
  })
})
