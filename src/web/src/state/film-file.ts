/** Whether a file is a film, or a picture with several frames. */
export async function isFilm(picture: Blob): Promise<boolean> {
  if (picture.type.startsWith('video/')) return true
  if (picture.type !== 'image/gif' && picture.type !== 'image/webp') return false
  const { countFrames } = await import('./animation')
  return countFrames(new Uint8Array(await picture.arrayBuffer())) > 1
}
