#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Signals: exit status, and the files that remain.
bats_require_minimum_version 1.5.0
load helper

# Shells ignore SIGINT for background jobs, and these tests may run under nohup.
default_signals=(env "--default-signal=INT,TERM,HUP")

# begin OUTPUT [COMMAND...]: start a run of minutes in the background, through COMMAND,
# and wait until it makes steps.
begin() {
    "${@:2}" "${default_signals[@]}" "$NST" -p classic -S 64 -n 100000 --progress json -s style.ppm photo.ppm -o "$1" \
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
    grep -q '^nst: photo.ppm: stopped after [0-9]* steps; the image so far is written$' progress
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
    begin out.png
    kill -HUP "$pid"
    kill -HUP "$pid" 2>/dev/null || true
    ends 129
    [ "$(head -c 4 out.png | tail -c 3)" = PNG ]
}

@test "signals that are ignored at the start stay ignored" {
    default_signals=(env "--ignore-signal=HUP,INT")
    begin out.png
    kill -HUP "$pid"
    kill -INT "$pid"
    sleep 0.4
    run ! grep -q stopped progress
    kill -TERM "$pid"
    ends 143
    grep -q '"end":"stopped"' progress
}

# begin_slowly: a run whose steps take seconds, in the middle of the second one.
begin_slowly() {
    NST_BACKEND=scalar "${default_signals[@]}" "$NST" -q -S 128 -p classic -n 1000 -t 1 -s style.ppm photo.ppm -o out.png --trace trace.jsonl 3>&- &
    pid=$!
    wait_until '[ -s trace.jsonl ]'
}

@test "a signal that arrives twice at once, as from timeout, counts once" {
    begin_slowly
    kill -TERM "$pid"
    kill -TERM "$pid"
    sleep 0.02
    kill -INT "$pid"
    ends 143
    [ "$(head -c 4 out.png | tail -c 3)" = PNG ]
}

# ends_blocked STATUS SIGNAL ARG...: nst, which reads a pipe without a writer, ends within
# seconds of SIGNAL.
ends_blocked() {
    local wanted=$1 signal=$2 start
    shift 2
    "${default_signals[@]}" "$NST" -S 32 -n 1 --progress none "$@" <"${stdin:-/dev/null}" 2>said 3>&- &
    pid=$!
    wait_until '[ "$(grep -c "^SigBlk:.*[1-9a-f]" /proc/$pid/status)" = 1 ]'
    sleep 0.3
    kill -"$signal" "$pid"
    start=$SECONDS
    ends "$wanted"
    [ $((SECONDS - start)) -lt 10 ]
}

@test "one signal ends a run that waits for an input" {
    mkfifo pipe
    sleep 60 >keep <>pipe 3>&- & # a writer that never writes
    keeper=$!
    ends_blocked 143 TERM -s style.ppm pipe -o out.png
    [ "$(cat said)" = "nst: stopped by SIGTERM" ]
    ends_blocked 130 INT -s pipe photo.ppm -o out.png
    ends_blocked 129 HUP -s style.ppm --mask pipe photo.ppm -o out.png
    ends_blocked 143 TERM -s style.ppm --keep-mask pipe photo.ppm -o out.png
    ends_blocked 143 TERM -s style.ppm --init pipe photo.ppm -o out.png
    ends_blocked 143 TERM -s style.ppm --files-from pipe -o out/
    stdin=pipe ends_blocked 143 TERM -s style.ppm - -o out.png
    ends_blocked 143 TERM -s style.ppm --y4m pipe -o out.y4m
    ends_blocked 143 TERM -s style.ppm pipe -o out.png --dry-run
    kill $keeper
    # without a writer, the open waits
    ends_blocked 143 TERM -s style.ppm pipe -o out.png
    ends_blocked 143 TERM -s pipe photo.ppm -o out.png --dry-run
    [ "$(ls)" = "$(printf '%s\n' keep photo.ppm pipe said style.ppm)" ]
}

@test "one signal ends a batch that waits for an input, and counts what is left" {
    mkfifo pipe.ppm
    cp photo.ppm a.ppm
    cp photo.ppm z.ppm
    for jobs in 1 3; do
        "${default_signals[@]}" "$NST" -S 32 -n 1 -j $jobs --progress none -s style.ppm a.ppm pipe.ppm z.ppm -o $jobs/ 2>said 3>&- &
        pid=$!
        wait_until "[ -e $jobs/a-style.ppm ] && { [ $jobs = 1 ] || [ -e $jobs/z-style.ppm ]; }"
        sleep 0.2
        kill -TERM "$pid"
        ends 143
        [ "$(tail -n 1 said)" = "nst: $(((jobs + 1) / 2)) done, 0 skipped, 0 failed, $((3 - (jobs + 1) / 2)) left" ]
    done
    ends_blocked 130 INT -s style.ppm a.ppm pipe.ppm -o dry/ --dry-run
    grep -q '2 left\|1 left' said
}

@test "a picture in progress is written while another one waits for its input" {
    mkfifo pipe.ppm
    "${default_signals[@]}" "$NST" -S 64 -n 100000 -j 2 --progress json -s style.ppm photo.ppm pipe.ppm -o out/ 2>progress 3>&- &
    pid=$!
    wait_until '[ "$(grep -c step progress)" -gt 3 ]'
    kill -TERM "$pid"
    ends 143
    [ -s out/photo-style.ppm ]
    grep -q '^nst: 0 done, 0 skipped, 0 failed, 1 interrupted, 1 left$' progress
}

@test "a second signal ends the run at once and leaves no file" {
    begin_slowly
    kill -INT "$pid"
    sleep 0.5
    kill -TERM "$pid"
    ends 143
    [ ! -e out.png ]
}

@test "--on-interrupt discard writes nothing and keeps an older result" {
    echo "the old picture" >out.png
    begin out.png "${default_signals[@]}" sh -c 'exec "$@" --on-interrupt discard' sh
    kill -TERM "$pid"
    ends 143
    [ "$(cat out.png)" = "the old picture" ]
    grep -q '^nst: photo.ppm: stopped after [0-9]* steps; nothing is written$' progress
    grep -q '"end":"stopped"' progress
    run ! grep -q '"final":true' trace.jsonl
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

@test "a reader that closes the pipe ends nst quietly by SIGPIPE, unless that is ignored" {
    pipe() { # SIGNALS ARG...: statuses of nst and head
        { env "$1=PIPE" "$NST" -S 32 -n 1 --progress none "${@:2}" 2>said || echo $? >status; } | head -c 10 >/dev/null
        cat status said
    }
    picture large.ppm 300 300 5 # more than a pipe holds
    [ "$(pipe --default-signal -s style.ppm large.ppm -S native --format ppm)" = 141 ]
    [ "$(pipe --ignore-signal -s style.ppm large.ppm -S native --format ppm)" = "1
nst: standard output: cannot be written: Broken pipe" ]
    # the reader of the messages is another one
    { env --default-signal=PIPE "$NST" -S 32 -n 1 --progress plain -s style.ppm photo.ppm -o out.png 2>&1; echo $? >status; } | :
    [ "$(cat status)" = 0 ]
    [ -s out.png ]
}
