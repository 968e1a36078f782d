#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# nst-train: what it refuses, and that the seed alone decides the network.
bats_require_minimum_version 1.5.0
load helper

nst_train() {
    "$(dirname "$NST")/nst-train" --size 64 --batch 2 --width 4 --progress none "$@"
}

# photos N: a folder of N photographs.
photos() {
    mkdir -p photos
    for ((i = 0; i < $1; i++)); do
        picture "photos/$i.ppm" $((66 + i % 5)) $((70 + i % 3)) $((3 + i))
    done
}

# refuses STATUS PATTERN ARG...: nst-train exits with STATUS, says why and writes nothing.
refuses() {
    local wanted=$1 pattern=$2
    shift 2
    run --separate-stderr nst_train "$@"
    echo "status $status: $stderr"
    [ "$status" = "$wanted" ]
    grep -qE -- "$pattern" <<<"$stderr"
    [ ! -e out.nstnet ]
}

@test "nst-train refuses what it cannot use" {
    photos 19
    refuses 2 'photos: photos has 19 photographs, but a training needs at least 20' \
        style.ppm --photos photos -o out.nstnet
    picture photos/19.ppm 66 66 9
    refuses 2 "style 'no-such': no such file or style pack" \
        no-such --photos photos -o out.nstnet
    refuses 2 "steps: '0' is not a whole number between 1 and" \
        style.ppm --photos photos -o out.nstnet --steps 0
    refuses 2 "size: '66' is not a multiple of 4" \
        style.ppm --photos photos -o out.nstnet --size 66
    refuses 2 "detail: '-1' is not a number between 0 and" \
        style.ppm --photos photos -o out.nstnet --detail -1
    refuses 2 "rate: '0' is not a number between 1e-06 and 0.1" \
        style.ppm --photos photos -o out.nstnet --rate 0
    refuses 2 'width: is that of the network given with --from' \
        style.ppm --photos photos -o out.nstnet --from base
    refuses 2 'must end in .nstnet' style.ppm --photos photos -o out.png
    refuses 2 'no-such/out.nstnet: ' style.ppm --photos photos -o no-such/out.nstnet
    refuses 2 'requires --photos' style.ppm -o out.nstnet
    refuses 2 'requires a style' --photos photos -o out.nstnet
    refuses 2 'give only one' style.ppm --photos photos -o out.nstnet --steps 3 --time 1
    refuses 2 'checkpoint: out.nstnet is the network to write' \
        style.ppm --photos photos -o out.nstnet --checkpoint out.nstnet
    refuses 2 'resume: out.checkpoint: no such checkpoint; .* leave out --resume' \
        style.ppm --photos photos -o out.nstnet --resume
    mkdir out.preview.jpg
    refuses 2 'out.preview.jpg: ' \
        style.ppm --photos photos -o out.nstnet --preview photos/3.ppm
    echo a network >from.nstnet
    ln from.nstnet same.nstnet
    cksum from.nstnet >before
    run --separate-stderr "$(dirname "$NST")/nst-train" style.ppm --photos photos \
        -o ./same.nstnet --from from.nstnet
    [ "$status" = 2 ]
    grep -q 'output: ./same.nstnet is the network given with --from; name another file' <<<"$stderr"
    cksum from.nstnet | diff before -
}

@test "a directory of photographs that cannot be read is told of, and left out" {
    photos 20
    mkdir photos/locked
    cp photos/3.ppm photos/locked/30.ppm
    ln -s . photos/above
    chmod 000 photos/locked
    chmod o+x "$BATS_RUN_TMPDIR"
    local as_nobody=()
    if [ "$(id -u)" = 0 ]; then
        needs setpriv
        as_nobody=(setpriv --reuid=65534 --clear-groups)
        chmod 777 .
    fi
    if ! "${as_nobody[@]}" cat style.ppm >/dev/null ||
        ! "${as_nobody[@]}" "$(dirname "$NST")/nst-train" --version; then
        skip "another user cannot read the build"
    fi
    run --separate-stderr "${as_nobody[@]}" "$(dirname "$NST")/nst-train" --size 64 --batch 2 \
        --width 4 --progress none style.ppm --photos photos -o out.nstnet --steps 1
    chmod 700 photos/locked # or nobody could remove it
    echo "$stderr"
    [ "$status" = 0 ]
    grep -q 'photos: photos/locked: Permission denied; continuing without it' <<<"$stderr"
    grep -q 'photos: photos/above: is a directory above itself; continuing without it' <<<"$stderr"
}

@test "a training warns of few photographs, and leaves a network but no checkpoint" {
    photos 20
    run --separate-stderr nst_train style.ppm --photos photos -o out.nstnet --steps 2
    echo "$stderr"
    [ "$status" = 0 ]
    grep -q 'has only 20 photographs' <<<"$stderr"
    [ -s out.nstnet ]
    [ ! -e out.checkpoint ]
}

@test "the number of threads does not change the network, but the seed does" {
    photos 20
    nst_train style.ppm --photos photos -o one.nstnet --steps 3 -t 1
    nst_train style.ppm --photos photos -o five.nstnet --steps 3 -t 5
    nst_train style.ppm --photos photos -o other.nstnet --steps 3 --seed 2
    cmp one.nstnet five.nstnet
    run ! cmp one.nstnet other.nstnet
}

@test "a training that was killed is resumed to the same bits" {
    local pid ended
    photos 20
    nst_train style.ppm --photos photos -o whole.nstnet --steps 60
    env --default-signal=INT "$(dirname "$NST")/nst-train" --size 64 --batch 2 --width 4 \
        style.ppm --photos photos -o part.nstnet --steps 60 --progress json 2>progress 3>&- &
    pid=$!
    wait_until '[ -e progress ] && [ "$(grep -c step progress)" -gt 3 ]'
    kill -INT "$pid"
    ended=0
    wait "$pid" || ended=$?
    [ "$ended" = 130 ]
    [ -s part.nstnet ] && [ -s part.checkpoint ]
    grep -q 'same command with --resume' progress
    run ! cmp whole.nstnet part.nstnet
    refuses 2 'resume: seed is 1 in part.checkpoint, and cannot become 3' style.ppm \
        --photos photos -o out.nstnet --checkpoint part.checkpoint --steps 60 --resume \
        --seed 3
    "$(dirname "$NST")/nst-train" --size 64 --batch 2 --width 4 style.ppm --photos photos \
        -o part.nstnet --steps 60 --resume --progress json 2>progress 3>&- &
    pid=$!
    wait_until '[ -e progress ] && [ "$(grep -c step progress)" -gt 3 ]'
    kill -KILL "$pid"
    wait "$pid" || ended=$?
    [ "$ended" = 137 ]
    [ -s part.checkpoint ]
    nst_train style.ppm --photos photos -o part.nstnet --steps 60 --resume
    cmp whole.nstnet part.nstnet
    [ ! -e part.checkpoint ]
}

@test "a training starts from the bundled network, and its file names no folder" {
    photos 20
    "$(dirname "$NST")/nst-train" --size 64 --progress none "$PWD/style.ppm" --photos photos \
        -o out.nstnet --steps 1
    "$(dirname "$NST")/nst-model" info out.nstnet >info
    grep -q '"style":\["style.ppm"\],"from":"base",' info
    grep -q '^credit *started from a network by The nst developers' info
    run ! grep -qE '^(licence|preview|title)' info # those of the base are not its own
    grep -q '^width *16 ' info
    run ! grep -q "$PWD/style" info
    "$(dirname "$NST")/nst-train" --size 64 --progress none style.ppm --photos photos \
        -o random.nstnet --steps 1 --from none
    "$(dirname "$NST")/nst-model" info random.nstnet | grep -q '"from":null,'
    run ! cmp out.nstnet random.nstnet
}

@test "a preview shows the photograph as the network paints it" {
    photos 20
    nst_train style.ppm --photos photos -o out.nstnet --steps 2 --preview photo.ppm
    [ "$(head -c 2 out.preview.jpg | od -An -tx1)" = " ff d8" ]
}
