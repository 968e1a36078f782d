#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sources.sh - unit tests, type checks and linters of the web page. Prints TAP.
set -eu
srcdir=${srcdir:?the folder of the sources}
cd "$srcdir/src/web"

skip() {
    echo "1..0 # SKIP $1"
    exit 0
}
[ "${SANITIZERS:-no}" = no ] || skip "the page is not what sanitizers look at"
command -v node >/dev/null || skip "node is missing"
[ -d node_modules/vitest ] || skip "vitest is missing: make web"

n=0
failed=0
check() { # NAME COMMAND...
    name=$1
    shift
    n=$((n + 1))
    if said=$("$@" 2>&1); then
        echo "ok $n - $name"
    else
        failed=1
        echo "not ok $n - $name"
        echo "$said" | sed 's/^/# /'
    fi
}
# shellcheck disable=SC2317 # called by check
listed() {
    find . -path ./node_modules -prune -o -path ./dist -prune -o -type f ! -name local.mk \
        -print | while read -r file; do
        grep -qF "%D%${file#.}" local.mk || echo "$file is not in local.mk"
    done | grep . && return 1
    return 0
}
# shellcheck disable=SC2317 # called by check
without_addresses() { ! grep -n '"resolved"' package-lock.json; }

check "the unit tests of the state pass" node_modules/.bin/vitest run
check "the types hold, strictly" node_modules/.bin/vue-tsc --noEmit
check "eslint has nothing to say" node_modules/.bin/eslint --max-warnings 0 .
check "prettier has nothing to say" node_modules/.bin/prettier --config .prettierrc.json --check . ../../tests/web
check "every source is in the makefile" listed
check "the lock file has no download addresses" without_addresses
echo "1..$n"
exit $failed
