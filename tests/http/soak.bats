#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Many clients for NST_SOAK_SECONDS, by default half a minute.
bats_require_minimum_version 1.5.0
load helper

@test "many clients leak no memory, descriptors, processes or files" {
    serve --max-history-images 30 --max-queue 20
    seed=${NST_TEST_SEED:-$RANDOM}
    echo "seed $seed"
    [ "${SANITIZERS:-no}" != no ] || unset SANITIZERS
    /usr/bin/python3 "$srcdir/tests/http/soak.py" "$url" "$service" data photo.png \
        "${NST_SOAK_SECONDS:-30}" "$seed" >&3
    stop_service
    run ! grep -q Sanitizer log
}
