/** Record an animation as a film, by the browser's own encoder. */
import type { Animation } from './animation'
import { canvasOf } from './upload'

export interface FilmType {
  mime: string
  extension: 'mp4' | 'webm'
}

const TYPES: FilmType[] = [
  { mime: 'video/mp4;codecs=avc1.42E01F', extension: 'mp4' },
  { mime: 'video/webm;codecs=vp9', extension: 'webm' },
  { mime: 'video/webm', extension: 'webm' },
]
const BITS_PER_PIXEL = 0.3 // of a frame; paintings have much detail

/** The best type that this browser records; MP4, which every phone plays, comes first. */
export function filmType(): FilmType | undefined {
  return typeof MediaRecorder === 'undefined' || !('captureStream' in HTMLCanvasElement.prototype)
    ? undefined
    : TYPES.find((type) => MediaRecorder.isTypeSupported(type.mime))
}

const wait = (ms: number) => new Promise((go) => setTimeout(go, ms))

/** Play the animation once and record it, which takes as long as it plays. */
export async function record(
  animation: Animation,
  type: FilmType,
  onFrame: (n: number) => void,
): Promise<Blob> {
  const [canvas, c] = canvasOf(animation.width & ~1, animation.height & ~1) // even, for H.264
  const stream = canvas.captureStream(0)
  const track = stream.getVideoTracks()[0] as CanvasCaptureMediaStreamTrack
  const { delays } = animation
  const rate = (1000 * delays.length) / delays.reduce((sum, d) => sum + d, 0)
  const recorder = new MediaRecorder(stream, {
    mimeType: type.mime,
    videoBitsPerSecond: Math.max(1e6, BITS_PER_PIXEL * rate * canvas.width * canvas.height),
  })
  const parts: Blob[] = []
  recorder.ondataavailable = (e) => parts.push(e.data)
  const ended = new Promise<void>((done, fail) => {
    recorder.onstop = () => done()
    recorder.onerror = () => fail(new Error('cannot record'))
  })
  await animation.draw(0, c)
  recorder.start()
  const begin = performance.now()
  let due = 0
  for (const [i, delay] of delays.entries()) {
    await animation.draw(i, c)
    track.requestFrame()
    onFrame(i + 1)
    due += delay
    await wait(Math.max(0, begin + due - performance.now()))
  }
  track.requestFrame() // the last frame lasts as long as the others
  recorder.stop()
  await ended
  track.stop()
  return new Blob(parts, { type: type.mime.replace(/;.*/, '') })
}
