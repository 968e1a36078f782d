/** Preparation of pictures and masks for upload. */
import * as api from './api'
import { type Mask, MASK_SIDE, fit, paint } from './masks'

/** Longest side of a picture that shrink() makes, in pixels. */
const SHRUNK_SIDE = 2048

function blobOf(canvas: HTMLCanvasElement, type: string, quality?: number): Promise<Blob> {
  return new Promise((done, fail) =>
    canvas.toBlob((b) => (b ? done(b) : fail(new api.Fault('type'))), type, quality),
  )
}

export function canvasOf(
  width: number,
  height: number,
  options?: CanvasRenderingContext2DSettings,
): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement('canvas')
  canvas.width = width
  canvas.height = height
  return [canvas, canvas.getContext('2d', options) as CanvasRenderingContext2D]
}

export function loadImage(url: string): Promise<HTMLImageElement> {
  return new Promise((done, fail) => {
    const image = new Image()
    image.onload = () => done(image)
    image.onerror = () => fail(new api.Fault('unknown'))
    image.src = url
  })
}

/** An uploaded mask: exact, unless it is of a kind that this browser does not show. */
export function loadMask(name: string): Promise<HTMLImageElement> {
  return loadImage(api.uploadUrl(name)).catch(() => loadImage(api.renditionUrl(name)))
}

export async function shrink(file: Blob): Promise<Blob> {
  const picture = await createImageBitmap(file).catch(() => null)
  if (!picture) throw new api.Fault('type')
  const [canvas, c] = canvasOf(...fit(picture.width, picture.height, SHRUNK_SIDE))
  c.drawImage(picture, 0, 0, canvas.width, canvas.height)
  return blobOf(canvas, 'image/jpeg', 0.9)
}

/** Draw a mask: white becomes the colour, black transparent. */
export function tint(c: CanvasRenderingContext2D, image: CanvasImageSource, colour: string): void {
  const { width, height } = c.canvas
  c.drawImage(image, 0, 0, width, height)
  const pixels = c.getImageData(0, 0, width, height)
  for (let i = 0; i < pixels.data.length; i += 4) pixels.data[i + 3] = pixels.data[i] ?? 0
  c.putImageData(pixels, 0, 0)
  c.globalCompositeOperation = 'source-in'
  c.fillStyle = colour
  c.fillRect(0, 0, width, height)
  c.globalCompositeOperation = 'source-over'
}

const sent = new Map<string, string>()

/** Render a mask of a content picture as a white-on-black PNG and upload it, once only. */
export async function sendMask(mask: Mask, content: string): Promise<string> {
  const key = JSON.stringify([content, mask])
  const before = sent.get(key) ?? (mask.strokes.length === 0 ? mask.under : undefined)
  if (before) return before
  const picture = await loadImage(api.renditionUrl(content))
  const [canvas, c] = canvasOf(...fit(picture.naturalWidth, picture.naturalHeight, MASK_SIDE))
  if (mask.under) tint(c, await loadMask(mask.under), '#fff')
  paint(c, mask, '#fff')
  c.globalCompositeOperation = 'destination-over'
  c.fillStyle = '#000'
  c.fillRect(0, 0, canvas.width, canvas.height)
  const { filename } = await api.upload('content', await blobOf(canvas, 'image/png'))
  sent.set(key, filename)
  return filename
}
