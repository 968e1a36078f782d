import { describe, expect, it, vi } from 'vitest'
import { type Quality, endLink, makeLink, resolveUrl, sharedLink } from './api'
import { sizeText } from './i18n'
import { fileName, withoutMetadata } from './picture'
import { meanings } from './quality'
import { fitScale, fitView, limitView, placeOf, scaleOf, scaleTo, toggleAt, zoomAt } from './zoom'

describe('looking closely', () => {
  const large = { x: 0, y: 0, width: 400, height: 300, across: 1600, down: 800, density: 2 }
  const small = { x: 0, y: 0, width: 400, height: 300, across: 200, down: 100, density: 1 }

  it('fits the whole picture, and tells its true scale', () => {
    expect(fitScale(large)).toBe(0.5) // 800 device pixels for 1600 of the picture
    expect(fitScale(small)).toBe(2)
    expect(scaleOf(fitView(), large)).toBe(0.5)
    expect(placeOf(fitView(), large)).toEqual({ left: 0, top: 50, width: 400, height: 200 })
  })

  it('has one device pixel for each of the picture at 1:1', () => {
    const v = scaleTo(fitView(), large, 1)
    expect(v).toEqual({ scale: 1, x: 0, y: 0 })
    const { width, height } = placeOf(v, large)
    expect([width * large.density, height * large.density]).toEqual([1600, 800])
    expect(scaleTo(fitView(), small, 1).scale).toBe(1) // smaller than what fits
  })

  it('puts the corner of the picture on a device pixel', () => {
    const odd = { x: 3, y: 57, width: 401, height: 299, across: 1333, down: 777, density: 1.5 }
    const { left, top } = placeOf({ ...scaleTo(fitView(), odd, 1), x: 3.3, y: -7.7 }, odd)
    for (const n of [odd.x + left, odd.y + top]) expect(n * 1.5).toBeCloseTo(Math.round(n * 1.5), 9)
  })

  it('keeps the point under the pointer, within bounds', () => {
    const v = zoomAt(fitView(), large, 2, 100, 50)
    expect(v).toEqual({ scale: 1, x: -100, y: -50 })
    expect(zoomAt(v, large, 1e9).scale).toBe(16)
    expect(zoomAt(v, large, 1e-9).scale).toBe(0.5)
    expect(zoomAt(v, small, 1e-9).scale).toBe(1)
    expect(limitView({ scale: 1, x: 900, y: -900 }, large)).toEqual({ scale: 1, x: 200, y: -50 })
    expect(limitView({ ...fitView(), x: 5, y: 5 }, large).x).toBe(0)
  })

  it('goes from fit to 1:1 and back, or doubles what is small', () => {
    expect(toggleAt(fitView(), large).scale).toBe(1)
    expect(toggleAt(fitView(), small).scale).toBe(4)
    expect(toggleAt({ scale: 3, x: 1, y: 1 }, large)).toEqual(fitView())
  })
})

describe('how close a result is to the photograph', () => {
  const figures = (ssim: number, colour: number, distance: number): Quality => ({
    overall: 0.5,
    ssim,
    psnr: null,
    colour_consistency: colour,
    perceptual_distance: distance,
    content_distance: 0,
    style_distance: null,
  })

  it('is told in three sentences, whatever the figures', () => {
    expect(meanings(figures(0.119, 0.323, 2.25)).map((m) => m.sentence)).toEqual([
      'closeness.structure.little',
      'closeness.colours.little',
      'closeness.repainted.much',
    ])
    expect(meanings(figures(1, 1, 0)).map((m) => [m.share, m.sentence])).toEqual([
      [1, 'closeness.structure.much'],
      [1, 'closeness.colours.much'],
      [0, 'closeness.repainted.little'],
    ])
    expect(meanings(figures(-0.1, 0.5, 9)).map((m) => m.share)).toEqual([0, 0.5, 1])
  })
})

/** A chunk of a PNG; its checksum is not looked at. */
function chunk(type: string, data: string): number[] {
  const bytes = [...data].map((c) => c.charCodeAt(0))
  return [0, 0, 0, bytes.length, ...[...type].map((c) => c.charCodeAt(0)), ...bytes, 9, 9, 9, 9]
}

describe('a result as a file', () => {
  const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
  const head = chunk('IHDR', '1234567890123')
  const colour = chunk('iCCP', 'a profile')
  const data = chunk('IDAT', 'pixels')
  const end = chunk('IEND', '')

  it('has no chunk of a PNG that says anything but its pixels', () => {
    const texts = ['tEXt', 'zTXt', 'iTXt', 'eXIf', 'tIME', 'pHYs', 'nstX'].flatMap((t) =>
      chunk(t, 'a secret'),
    )
    const png = [...signature, ...head, ...texts, ...colour, ...data, ...texts, ...end, 1, 2, 3]
    const bare = [...signature, ...head, ...colour, ...data, ...end]
    expect([...withoutMetadata(new Uint8Array(png))]).toEqual(bare)
    expect([...withoutMetadata(new Uint8Array(bare))]).toEqual(bare)
    // within a larger buffer
    const view = new Uint8Array([7, 7, ...png]).subarray(2)
    expect([...withoutMetadata(view)]).toEqual(bare)
  })

  it('is refused if it is no PNG, or cut short', () => {
    expect(() => withoutMetadata(new Uint8Array([1, 2]))).toThrow('no PNG')
    const whole = [...signature, ...head, ...data, ...end]
    for (const n of [8, 20, 40, whole.length - 1])
      expect(() => withoutMetadata(new Uint8Array(whole.slice(0, n)))).toThrow('cut short')
  })

  it('has a name of its styles in any script, and a size', () => {
    expect(fileName('Van Gogh + Munch', 'png')).toBe('nst-van-gogh-munch.png')
    expect(fileName('星夜 ../"x"', 'jpg')).toBe('nst-星夜-x.jpg')
    expect(fileName('…', 'png')).toBe('nst-result.png')
    expect(fileName('a'.repeat(200), 'png').length).toBeLessThan(80)
    expect([0, 1499, 994_999, 995_000, 13_500_000].map(sizeText)).toEqual([
      '1 kB',
      '1 kB',
      '995 kB',
      '1 MB',
      '14 MB',
    ])
  })
})

describe('a link', () => {
  it('is asked for, made and ended, and is an address of this page', async () => {
    vi.stubGlobal('document', { baseURI: 'https://x.example/art/' })
    const fetched = vi.fn<typeof fetch>()
    vi.stubGlobal('fetch', fetched)
    fetched.mockResolvedValueOnce(new Response('{"url": null}'))
    expect(await sharedLink('a')).toBe(null)
    fetched.mockResolvedValueOnce(new Response('{"url": "/other/share/0f"}'))
    expect(await makeLink('a')).toBe('https://x.example/art/share/0f')
    fetched.mockResolvedValueOnce(new Response('{"message": "gone"}'))
    await endLink('a')
    expect(fetched.mock.calls.map(([url, init]) => [String(url), init?.method ?? 'GET'])).toEqual(
      ['GET', 'POST', 'DELETE'].map((m) => ['https://x.example/art/api/tasks/a/share', m]),
    )
    expect(resolveUrl('https://x/', '/share/a')).toBe('https://x/share/a')
    vi.unstubAllGlobals()
  })
})
