#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Many clients for a while: half a minute, or as long as NST_SOAK_SECONDS says.
bats_require_minimum_version 1.5.0
load helper

@test "after a crowd of clients, memory, descriptors, processes and files are as before" {
    serve --max-history-images 30 --max-queue 20
    seed=${NST_TEST_SEED:-$RANDOM}
    echo "seed $seed"
    [ "${SANITIZERS:-no}" != no ] || unset SANITIZERS
    /usr/bin/python3 "$srcdir/tests/http/soak.py" "$url" "$service" data photo.png \
        "${NST_SOAK_SECONDS:-30}" "$seed" >&3
    stop_service
    run ! grep -q Sanitizer log
}
