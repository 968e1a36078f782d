// The web page in a browser, against a real nst-serve: see run.sh.
import { budget } from './budget.mjs'
import { launch } from './browser.mjs'
import { faults } from './faults.mjs'
import { flow } from './flow.mjs'
import { look } from './look.mjs'
import { shell } from './shell.mjs'
import { Server } from './server.mjs'
import { finish } from './tap.mjs'

const work = process.env.NST_WORK
const browser = await launch()
const server = await new Server(work, 'data').start()
try {
  await flow(browser, server)
  await look(browser, server)
  await budget(browser, server)
  await shell(browser, server, work)
  await faults(browser, work)
} finally {
  await browser.close()
  await server.kill()
}
finish()
