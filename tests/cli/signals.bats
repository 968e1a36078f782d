#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Signals: exit status, and the files that remain.
bats_require_minimum_version 1.5.0
load helper

# begin OUTPUT [COMMAND...]: start a run of minutes in the background, through COMMAND,
# and wait until it makes steps.
begin() {
    "${@:2}" "$NST" -p classic -S 64 -n 100000 --progress json -s style.ppm photo.ppm -o "$1" \
        --trace trace.jsonl --history h.jsonl 2>progress 3>&- &
    pid=$!
    wait_until '[ "$(grep -c step progress)" -gt 3 ]'
}

# ends STATUS: wait for that run, which must exit with STATUS.
ends() {
    local status=0
    wait "$pid" || status=$?
    echo "status $status"
    [ "$status" = "$1" ]
}

interrupt() {
    local signal=$1 wanted=$2
    begin out.png
    kill -"$signal" "$pid"
    ends "$wanted"
    [ "$(head -c 4 out.png | tail -c 3)" = PNG ]
    grep -q '"end":"stopped"' progress
    grep -q '"final":true' trace.jsonl
    [ ! -e h.jsonl ]
}

@test "SIGINT writes the best picture so far and exits 130" {
    interrupt INT 130
}

@test "SIGTERM writes the best picture so far and exits 143" {
    interrupt TERM 143
}

@test "SIGHUP, even twice, writes the best picture so far and exits 129; nohup ignores it" {
    begin out.png env --default-signal=HUP # these tests may run under nohup
    kill -HUP "$pid"
    kill -HUP "$pid" 2>/dev/null || true
    ends 129
    [ "$(head -c 4 out.png | tail -c 3)" = PNG ]
    begin next.png env --ignore-signal=HUP
    kill -HUP "$pid"
    sleep 0.3
    kill -TERM "$pid"
    ends 143
}

@test "a second signal ends the run at once and leaves no file" {
    # the first step of the scalar backend takes seconds: both signals arrive during it
    NST_BACKEND=scalar "$NST" -q -S 256 -n 1000 -t 1 -s style.ppm photo.ppm -o out.png --trace trace.jsonl 3>&- &
    pid=$!
    wait_until '[ -e trace.jsonl ]'
    kill -INT "$pid"
    sleep 0.2
    kill -TERM "$pid"
    ends 143
    [ ! -e out.png ]
}

@test "kill -9 leaves the old file unchanged and no other file" {
    mkdir results
    echo "the old picture" >results/out.png
    begin results/out.png
    kill -9 "$pid"
    wait "$pid" || true
    [ "$(ls -A results)" = out.png ]
    [ "$(cat results/out.png)" = "the old picture" ]
}

@test "a reader that closes the pipe causes an error, not a crash" {
    run --separate-stderr bash -c "set -o pipefail
        '$NST' -q -S 32 -n 1 -s style.ppm photo.ppm | :"
    [ "$status" = 1 ]
}
