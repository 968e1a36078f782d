// Sequential tests with TAP output.
let count = 0
let failed = 0

/** Run a test. Its name is a sentence; NST_TEST_ONLY is a regular expression of names to run. */
export async function test(name, f) {
  if (!new RegExp(process.env.NST_TEST_ONLY ?? '').test(name)) return
  const begun = Date.now()
  try {
    await f()
    console.log(`ok ${++count} - ${name}`)
  } catch (e) {
    failed++
    console.log(`not ok ${++count} - ${name}`)
    for (const line of String(e.stack ?? e).split('\n')) console.log(`# ${line}`)
  }
  if (process.env.NST_TEST_TIMES) console.log(`# ${Date.now() - begun} ms`)
}

export function finish() {
  console.log(`1..${count}`)
  process.exitCode = failed ? 1 : 0
}

/** Print a line for the reader of the log. */
export function note(text) {
  console.log(`# ${text}`)
}

/** Wait until f returns a truthy value; the error names what was awaited. */
export async function until(what, f, ms = 30_000) {
  const end = Date.now() + ms
  let last
  for (;;) {
    try {
      const got = await f()
      if (got) return got
      last = got
    } catch (e) {
      last = e
    }
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what} (${last})`)
    await new Promise((go) => setTimeout(go, 60))
  }
}
