// The web page in a browser, against a real nst-serve: see run.sh.
import { budget } from './budget.mjs'
import { launch } from './browser.mjs'
import { faults } from './faults.mjs'
import { flow } from './flow.mjs'
import { live } from './live.mjs'
import { gallery } from './gallery.mjs'
import { look } from './look.mjs'
import { pictures } from './pictures.mjs'
import { play } from './play.mjs'
import { results } from './results.mjs'
import { shell } from './shell.mjs'
import { Server } from './server.mjs'
import { firstMinute } from './start.mjs'
import { finish } from './tap.mjs'

const work = process.env.NST_WORK
const browser = await launch()
const server = await new Server(work, 'data').start()
try {
  await firstMinute(browser, server)
  await flow(browser, server)
  await live(browser, server, work)
  await look(browser, server)
  await results(browser, server, work)
  await budget(browser, server)
  await shell(browser, server, work)
  await faults(browser, work)
  await play(browser, work)
  await gallery(browser, work)
  await pictures(browser, work)
} finally {
  await browser.close()
  await server.kill()
}
finish()
