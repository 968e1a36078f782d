// A real nst-serve with its own data and port, which tests stop, break and restart.
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const SERVE = process.env.NST_SERVE
const WEB = process.env.NST_WEB

/** The data folder is work/NAME; options are those of nst-serve. */
export class Server {
  constructor(work, name, options = []) {
    this.data = join(work, name)
    this.options = options
    this.port = 0
    this.log = ''
    rmSync(this.data, { recursive: true, force: true })
    mkdirSync(this.data, { recursive: true })
  }

  /** Start on the same port as before, if there was one. */
  async start(options = this.options) {
    const listen = `127.0.0.1:${this.port}`
    // the pages of a test and its own requests are one group
    const access = options.some((o) => o.startsWith('--token')) ? [] : ['--shared']
    this.process = spawn(
      SERVE,
      [
        '--data',
        this.data,
        '--listen',
        listen,
        '--web',
        WEB,
        '--grace',
        '0',
        ...access,
        ...options,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    this.ended = new Promise((done) => this.process.once('exit', done))
    this.process.stderr.on('data', (d) => (this.log += d))
    for (let i = 0; i < 200; i++) {
      const at = [...this.log.matchAll(/listening on http:\/\/127\.0\.0\.1:(\d+)/g)].at(-1)
      if (at && this.log.lastIndexOf('listening') > (this.seen ?? -1)) {
        this.seen = this.log.lastIndexOf('listening')
        this.port = Number(at[1])
        return this
      }
      if (this.process.exitCode !== null) break
      await new Promise((go) => setTimeout(go, 50))
    }
    throw new Error(`nst-serve does not begin: ${this.log}`)
  }

  get url() {
    return `http://127.0.0.1:${this.port}`
  }

  async kill(signal = 'SIGKILL') {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill(signal)
      await this.ended
    }
  }

  async json(path, body) {
    const r = await fetch(
      this.url + path,
      body && {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      },
    )
    return r.json()
  }
}
