import './main.css'

// The rest is fetched while what index.html has of the page is painted.
const { run } = await import('./page')
run()
