import './main.css'

// A dynamic import, so that the browser paints the static part of index.html first.
const { run } = await import('./page')
run()
