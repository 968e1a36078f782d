#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The public site of docs/SERVE.md: its commands, as they are written there, in a root
# directory of their own: this machine's, under a layer that is thrown away, with its own
# network. There is no systemd and no certificate authority, and the packages are not
# built: site/ has programs in place of systemctl, certbot and apt-get.
bats_require_minimum_version 1.5.0
load ../cli/helper

PATH=$PATH:/usr/sbin # where nginx is
BUILD=$(cd "$(dirname "$NST")" && cd "$([ "$(basename "$PWD")" != .libs ] || echo ..)" && pwd)

setup() {
    [ -x "$(dirname "$NST")/nst-serve" ] || skip "nst-serve is not built"
    [ "$(id -u)" = 0 ] || skip "only root can make a root directory"
    for program in nginx curl jq openssl make setpriv systemd-socket-activate; do
        needs "$program"
    done
    cd "$BATS_TEST_TMPDIR" || return 1
}

# commands: print the commands of SERVE.md
commands() {
    sed -n '/^## A public site/,/^## /{/^```sh/,/^```$/{/^```/d;p}}' "$srcdir/docs/SERVE.md"
}

@test "ten commands make a public site: sign-in, upload, task and result over https" {
    commands >commands.sh
    count=$(sed -e ':a' -e '/\\$/{N;s/\\\n//;ba' -e '}' commands.sh | grep -c .)
    echo "$count commands"
    [ "$count" -gt 5 ]
    [ "$count" -le 10 ]
    mkdir root
    unshare --mount --net true 2>/dev/null || skip "no namespace can be made"
    unshare --mount --net --pid --fork --kill-child \
        bash "$srcdir/tests/http/site/enter" "$srcdir" "$BUILD" "$PWD/root" commands.sh >log 2>&1 || {
        status=$?
        [ $status != 77 ] || skip "no layer can be mounted"
        cat log
        return 1
    }
    grep -q '^the site works$' log
}
