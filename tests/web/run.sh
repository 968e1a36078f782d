#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh - tests the web page in Debian's Chromium against nst-serve with real transfers.
# Screenshots are in tests/web/shots of the build. Prints TAP.
set -eu
srcdir=${srcdir:?the folder of the sources}
srcdir=$(cd "$srcdir" && pwd)
here=$(dirname "$NST") # the programs
build=$(dirname "$here")

skip() {
    echo "1..0 # SKIP $1"
    exit 0
}
[ "${SANITIZERS:-no}" = no ] || skip "the page is not what sanitizers look at"
command -v node >/dev/null || skip "node is missing"
CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v google-chrome || :)}
[ -n "$CHROMIUM" ] || skip "chromium is missing"
[ -x "$here/nst-serve" ] || skip "nst-serve is not built"
[ -f "$build/share/nst/web/index.html" ] || skip "the web page is not built"
[ -d "$srcdir/src/web/node_modules/playwright-core" ] ||
    skip "playwright-core is missing: make web"

NST_WORK=$(mktemp -d)
trap 'rm -rf "$NST_WORK"' EXIT
NST_SERVE=$here/nst-serve NST_WEB=$build/share/nst/web NST_SHOTS=$build/tests/web/shots
export srcdir CHROMIUM NST_WORK NST_SERVE NST_WEB NST_SHOTS
timeout "${NST_WEB_SECONDS:-1800}" node "$srcdir/tests/web/${NST_WEB_PART:-all}.mjs"
