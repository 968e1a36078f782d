import './main.css'
import { loadWords, preferred } from './state/languages'

// The texts come along with the page, not after it.
const language = preferred()
if (language !== 'en') void loadWords(language).catch(() => undefined)
// A dynamic import, so that the browser paints the static part of index.html first.
const { run } = await import('./page')
await run()
