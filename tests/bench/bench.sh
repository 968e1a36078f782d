#!/bin/sh
# SPDX-License-Identifier: MIT
#
# make bench [MODEL=FILE] [PEER=COMMAND] [SIZES="256 512"] [ROUNDS=3]
#
# Milliseconds for one evaluation of the loss and its gradient, as JSON lines, at each
# size for the two usual choices of layers: the median over a run of some evaluations,
# with one curvature pair, so that the optimiser hardly counts. PEER is another program
# to time in turn with nst, called as COMMAND --stack tutorial|gatys --size N; a ratio is
# only worth quoting from one such run.
set -eu
model=${MODEL:-vgg19-lite}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

picture() {
    awk -v n="$1" -v s="$2" 'BEGIN {
        printf "P3\n%d %d\n255\n", n, n
        for (i = 0; i < n * n; i++) {
            x = i % n; y = int(i / n)
            printf "%d %d %d\n", 127 + 120 * sin(x / s), 127 + 120 * cos((x + y) / 7),
                127 + 120 * sin(y / s)
        }
    }'
}

layers() {
    [ "$1" = tutorial ] || echo --preset gatys --pooling max
}

time_nst() {
    # shellcheck disable=SC2046 # words are wanted
    "$NST" --quiet --history none --model "$model" --size native --iterations 12 \
        --curvature-pairs 1 --trace "$work/trace" -s "$work/style.ppm" \
        "$work/content.ppm" -o "$work/out.ppm" $(layers "$1")
    jq -sc --arg stack "$1" --arg size "$2" --arg model "$model" '
        map(select(.final != true).seconds) as $t
        | [range(2; $t | length) | 1000 * ($t[.] - $t[. - 1])] | sort
        | {engine: "nst", $model, $stack, size: ($size | tonumber),
            ms_per_evaluation: .[length / 2 | floor], ms_min: .[0]}' "$work/trace"
}

for size in ${SIZES:-256 512}; do
    picture "$size" 9 >"$work/content.ppm"
    picture "$size" 23 >"$work/style.ppm"
    for stack in tutorial gatys; do
        for _ in $(seq "${ROUNDS:-3}"); do
            time_nst "$stack" "$size"
            [ -z "${PEER:-}" ] || $PEER --stack "$stack" --size "$size"
        done
    done
done
