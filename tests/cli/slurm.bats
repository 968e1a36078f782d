#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# scripts/slurm on a one-machine cluster, whose daemons the tests start.
bats_require_minimum_version 1.5.0
load helper

# Starts the daemons; $MISSING says why they cannot run.
setup_file() {
    PATH=$(dirname "$NST"):$PATH:/usr/sbin
    export PATH SLURM=${srcdir:?}/scripts/slurm
    export MISSING=
    cd "$BATS_FILE_TMPDIR" || return 1
    for tool in slurmctld slurmd munged; do
        command -v $tool >/dev/null || MISSING="$tool is not installed"
    done
    [ "${SANITIZERS:-no}" = no ] || MISSING="the build has sanitizers, and they take long"
    [ "$(id -u)" = 0 ] || MISSING="a node's daemon needs root"
    [ -n "$MISSING" ] || start_daemons >daemons.log 2>&1 ||
        MISSING="Slurm's daemons do not run here"
}

start_daemons() {
    head -c 1024 /dev/urandom >key
    chmod 400 key
    munged --force --key-file="$PWD/key" --socket="$PWD/munge" --pid-file="$PWD/munge.pid" \
        --log-file="$PWD/munge.log" --seed-file="$PWD/munge.seed" 3>&-
    mkdir state spool
    host=$(hostname -s)
    cat >slurm.conf <<END
ClusterName=nst
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$PWD/munge
SlurmctldPort=36817
SlurmdPort=36818
StateSaveLocation=$PWD/state
SlurmdSpoolDir=$PWD/spool
SlurmctldPidFile=$PWD/slurmctld.pid
SlurmdPidFile=$PWD/slurmd.pid
SlurmctldLogFile=$PWD/slurmctld.log
SlurmdLogFile=$PWD/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
    export SLURM_CONF=$PWD/slurm.conf
    slurmctld 3>&- && slurmd 3>&- || return 1
    for _ in $(seq 20); do
        timeout 2 sinfo -h 2>/dev/null | grep -q idle && return
        sleep 0.5
    done
    return 1
}

# The daemons write their state when they end; wait before bats removes the directory.
teardown_file() {
    local name pid
    cd "$BATS_FILE_TMPDIR" || return
    for name in slurmd slurmctld munge; do
        [ -s $name.pid ] || continue
        pid=$(cat $name.pid)
        kill "$pid" 2>/dev/null || continue
        timeout 10 tail --pid="$pid" -f /dev/null || kill -9 "$pid" 2>/dev/null || true
    done
}

# wait_for COMMAND...: wait until it succeeds.
wait_for() {
    wait_until "${*@Q}" || {
        squeue
        return 1
    }
}

none_is_queued() {
    [ -z "$(squeue -h)" ]
}

@test "a directory becomes a job array that resumes requeued tasks and reports failures" {
    [ -z "$MISSING" ] || skip "$MISSING"
    needs jq
    mkdir -p photos/trip
    for i in 1 2 3; do
        picture p.ppm 48 36 $((i + 3))
        nst -q -s style.ppm --strength 0 -S native p.ppm -o "photos/$i.png"
    done
    mv photos/3.png "photos/trip/the third.png"
    echo damaged >photos/bad.png
    options="-s $PWD/style.ppm -S 96 -p gatys --save-every 20"
    export NST_HISTORY=none
    # shellcheck disable=SC2086 # word splitting is intended
    nst -q -t 1 $options -S 96 -n 1200 photos/1.png -o alone.png
    # shellcheck disable=SC2086
    job=$("$SLURM/submit" photos made $options -n 1200)
    wait_for test -e made/.slurm/1.ck
    scontrol requeue "${job}_1"
    wait_for sh -c "scontrol show job ${job}_1 | grep -q Restarts=1"
    run -3 "$SLURM/gather" made
    # start the requeued task now, which would wait for two minutes
    at_once() { scontrol update JobId="${job}_1" StartTime=now 2>/dev/null || true; none_is_queued; }
    wait_for at_once
    run -1 "$SLURM/gather" made
    [[ $output == *"bad.png: nst: "*"is not an image"* ]]
    [[ $output == *"3 done, 1 failed, 0 to come" ]]
    cmp alone.png made/1.png
    [ "$(grep -c 'REQUEUE' made/.slurm/1.log)" = 1 ]
    grep -qE '^nst: +[1-9][0-9]*% [1-9][0-9]*/1200' <(sed '1,/REQUEUE/d' made/.slurm/1.log | head -n 1)
    # no result twice, and all in the history
    [ "$(jq -r .output made/history.jsonl | sort)" = "$PWD/made/1.png
$PWD/made/2.png
$PWD/made/trip/the third.png" ]
    # the second submission repeats only what failed
    cp photos/2.png photos/bad.png
    # shellcheck disable=SC2086
    "$SLURM/submit" photos made $options -n 1200
    wait_for none_is_queued
    run -0 "$SLURM/gather" made
    [ "${lines[0]}" = "4 done, 0 failed, 0 to come" ]
    [ "$(wc -l <made/history.jsonl)" = 4 ]
}

@test "the recipe for a film makes its scenes as an array, and joins them" {
    [ -z "$MISSING" ] || skip "$MISSING"
    needs ffmpeg
    mkdir bin
    printf '#!/bin/sh\nNST=%s/bin/nst exec "%s" "$@"\n' "$PWD" "$srcdir/scripts/nst-film" >bin/nst-film
    printf '#!/bin/sh\nexec "%s" "$@" -S 32 -n 2\n' "$NST" >bin/nst
    chmod +x bin/nst bin/nst-film
    ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=64x48:r=5:d=0.6 -f lavfi -i color=s=64x48:r=5:d=0.6 \
        -filter_complex '[0][1]concat' -pix_fmt yuv420p -c:v mpeg4 in.mp4
    awk '$0 == "```" { on = 0 } on { print } $0 == "```sh slurm-film" { on = 1 }' \
        "$srcdir/docs/recipes/README.md" >script
    PATH=$PWD/bin:$PATH sh -eu script
    wait_for none_is_queued
    cat slurm-*.out
    [ "$(ls slurm-*_*.out | wc -l)" = 2 ]
    [ "$(ffprobe -v error -count_frames -select_streams v -show_entries stream=nb_read_frames -of csv=p=0 out.mp4)" = 6 ]
    PATH=$PWD/bin:$PATH nst-film -q -s munch -o alone.mp4 in.mp4
    cmp alone.mp4 out.mp4
}
