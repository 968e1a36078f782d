/** Animated pictures: count their frames, and draw each onto a canvas. */
import { countGifFrames } from './gif'
import { canvasOf } from './upload'
import { type WebpFrame, isWebp, splitFrames } from './webp'

export interface Animation {
  width: number
  height: number
  /** Of each frame, in milliseconds. */
  delays: number[]
  /** Draw a frame over the whole canvas. */
  draw(frame: number, to: CanvasRenderingContext2D): Promise<void>
  close(): void
}

/** Browsers show a frame without a delay for so long. */
const NO_DELAY = 100

const delayOf = (ms: number) => (ms > 10 ? ms : NO_DELAY)

/** The number of frames of a GIF or WebP; 1 for a still and other formats. */
export function countFrames(bytes: Uint8Array): number {
  return Math.max(1, isWebp(bytes) ? splitFrames(bytes).frames.length : countGifFrames(bytes))
}

function drawAll(from: CanvasImageSource, to: CanvasRenderingContext2D): void {
  to.clearRect(0, 0, to.canvas.width, to.canvas.height)
  to.drawImage(from, 0, 0, to.canvas.width, to.canvas.height)
}

/** Every browser decodes the frames of a WebP, which are WebP pictures themselves. */
function openWebp(bytes: Uint8Array): Animation {
  const { width, height, frames } = splitFrames(bytes)
  const [canvas, c] = canvasOf(width, height)
  let at = -1 // the frame on the canvas
  const isKey = (f: WebpFrame) => !f.blend && f.width === width && f.height === height

  async function step(f: WebpFrame, before?: WebpFrame): Promise<void> {
    const picture = await createImageBitmap(new Blob([f.still], { type: 'image/webp' }))
    if (before?.dispose) c.clearRect(before.x, before.y, before.width, before.height)
    if (!f.blend) c.clearRect(f.x, f.y, f.width, f.height)
    c.drawImage(picture, f.x, f.y)
    picture.close()
  }

  async function go(frame: number): Promise<void> {
    let from = frames.slice(0, frame + 1).findLastIndex(isKey)
    if (from < 0) from = 0
    if (at >= from && at <= frame) from = at + 1
    if (from === 0) c.clearRect(0, 0, width, height)
    for (; from <= frame; from++) {
      await step(frames[from] as WebpFrame, from > 0 ? frames[from - 1] : undefined)
      at = from
    }
  }

  let last: Promise<void> = Promise.resolve() // frames are drawn one after the other
  return {
    width,
    height,
    delays: frames.map((f) => delayOf(f.delay)),
    draw(frame, to) {
      last = last.catch(() => undefined).then(() => go(frame))
      return last.then(() => drawAll(canvas, to))
    },
    close: () => undefined,
  }
}

/** WebCodecs; not in all browsers, and only in a secure context. */
interface Decoder {
  tracks: { ready: Promise<void>; selectedTrack: { frameCount: number } | null }
  completed: Promise<void>
  decode(options: { frameIndex: number }): Promise<{ image: VideoFrame }>
  close(): void
}
type DecoderClass = new (init: { data: Uint8Array; type: string }) => Decoder

async function openDecoder(bytes: Uint8Array, type: string): Promise<Animation | null> {
  const Decoder = (globalThis as { ImageDecoder?: DecoderClass }).ImageDecoder
  if (!Decoder) return null
  const decoder = new Decoder({ data: bytes, type })
  await decoder.tracks.ready
  await decoder.completed // the number of frames
  const count = decoder.tracks.selectedTrack?.frameCount ?? 0
  const delays: number[] = []
  let size = { width: 0, height: 0 }
  for (let i = 0; i < count; i++) {
    const { image } = await decoder.decode({ frameIndex: i })
    size = { width: image.displayWidth, height: image.displayHeight }
    delays.push(delayOf((image.duration ?? 0) / 1000))
    image.close()
  }
  if (count < 2) return null
  return {
    ...size,
    delays,
    async draw(frame, to) {
      const { image } = await decoder.decode({ frameIndex: frame })
      drawAll(image, to)
      image.close()
    },
    close: () => decoder.close(),
  }
}

/** Open a GIF or WebP; null if it is a still, or this browser cannot take it apart. */
export async function openAnimation(bytes: Uint8Array): Promise<Animation | null> {
  if (countFrames(bytes) < 2) return null
  return isWebp(bytes) ? openWebp(bytes) : openDecoder(bytes, 'image/gif').catch(() => null)
}
