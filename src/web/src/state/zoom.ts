/**
 * Zoom and pan of a picture in a window. Lengths are CSS pixels. A scale is the number of device
 * pixels for each pixel of the picture: at 1 it is shown as it is, 1:1.
 */
export interface Frame {
  /** Of the window; x and y are its place on the screen, as far as the browser knows it. */
  x: number
  y: number
  width: number
  height: number
  /** Of the picture, in its own pixels. */
  across: number
  down: number
  /** Device pixels for each CSS pixel. */
  density: number
}

export interface View {
  scale: number | 'fit'
  /** Offset of the picture's centre from the window's centre. */
  x: number
  y: number
}

const MAX_SCALE = 16

export const fitView = (): View => ({ scale: 'fit', x: 0, y: 0 })

/** The scale at which the whole picture is as large as the window allows. */
export function fitScale(f: Frame): number {
  return f.density * Math.min(f.width / f.across, f.height / f.down)
}

export function scaleOf(v: View, f: Frame): number {
  return v.scale === 'fit' ? fitScale(f) : v.scale
}

function clamp(value: number, limit: number): number {
  return Math.min(limit, Math.max(-limit, value))
}

/** Limit the offset so that no side of the picture leaves the window's edge. */
export function limitView(v: View, f: Frame): View {
  const of = scaleOf(v, f) / f.density
  return {
    scale: v.scale,
    x: clamp(v.x, Math.max(0, (f.across * of - f.width) / 2)),
    y: clamp(v.y, Math.max(0, (f.down * of - f.height) / 2)),
  }
}

/** Change the scale and keep the point (px, py), relative to the window's centre, fixed. */
export function scaleTo(v: View, f: Frame, scale: number, px = 0, py = 0): View {
  const fit = fitScale(f)
  const to = Math.min(Math.max(MAX_SCALE, fit), Math.max(Math.min(1, fit), scale))
  const by = to / scaleOf(v, f)
  return limitView({ scale: to, x: px - (px - v.x) * by, y: py - (py - v.y) * by }, f)
}

export function zoomAt(v: View, f: Frame, factor: number, px = 0, py = 0): View {
  return scaleTo(v, f, scaleOf(v, f) * factor, px, py)
}

/** The other of fit and 1:1; a picture that is small at 1:1 is doubled instead. */
export function toggleAt(v: View, f: Frame, px = 0, py = 0): View {
  if (v.scale !== 'fit') return fitView()
  const fit = fitScale(f)
  return scaleTo(v, f, fit < 1 ? 1 : 2 * fit, px, py)
}

/** Where the picture is in the window. Its corner is on a device pixel, so that 1:1 is sharp. */
export function placeOf(
  v: View,
  f: Frame,
): { left: number; top: number; width: number; height: number } {
  const of = scaleOf(v, f) / f.density
  const width = f.across * of
  const height = f.down * of
  const snap = (n: number, from: number) => Math.round((from + n) * f.density) / f.density - from
  return {
    left: snap((f.width - width) / 2 + v.x, f.x),
    top: snap((f.height - height) / 2 + v.y, f.y),
    width,
    height,
  }
}

const ratios = new Map<string, number>()

/** The shape of a picture that this page has shown before, so that nothing moves when it is shown
 * again; otherwise a common one. */
export const knownRatio = (url: string): number => ratios.get(url) ?? 1.5

export function keepRatio(url: string, ratio: number): number {
  ratios.set(url, ratio)
  return ratio
}
