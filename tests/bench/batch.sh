#!/bin/sh
# SPDX-License-Identifier: MIT
#
# batch.sh [PICTURES] - the second part of make bench: how long $NST takes for as many
# pictures (16) as one batch side by side, as one batch one after the other, and as runs of
# their own, in turn, at some sizes (BATCH_SIZES); ratios are to the first.
set -eu
pictures=${1:-16}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# picture FILE SEED
picture() {
    awk -v s="$2" 'BEGIN {
        printf "P3\n384 288\n255\n"
        for (y = 0; y < 288; y++)
            for (x = 0; x < 384; x++)
                printf "%d %d %d\n", 127 + 120 * sin(x * s / 97 + y / 15),
                    127 + 120 * cos(y * s / 83), 127 + 120 * sin((x + y) * s / 111)
    }' >"$1"
}

# seconds COMMAND...
seconds() {
    begin=$(date +%s%N)
    "$@"
    end=$(date +%s%N)
    awk "BEGIN { print ($end - $begin) / 1e9 }"
}

batch() {
    "$NST" -q --history none -s style.ppm -n 60 -S "$1" -j "$2" p*.ppm -o "out$2/"
}

runs() {
    for p in p*.ppm; do
        "$NST" -q --history none -s style.ppm -n 60 -S "$1" "$p" -o "out-$p"
    done
}

for i in $(seq "$pictures"); do
    picture "p$i.ppm" "$i"
done
picture style.ppm 31
echo
echo "pixels side by side   one after the other    runs of their own"
for size in ${BATCH_SIZES:-64 128 256}; do
    for _ in 1 2 3; do
        echo "$(seconds batch "$size" auto) $(seconds batch "$size" 1) $(seconds runs "$size")"
    done | sort -n | awk -v size="$size" 'NR == 2 {
        printf "%6d %10.2f s %10.2f s, %.2f x %10.2f s, %.2f x\n",
            size, $1, $2, $2 / $1, $3, $3 / $1 }'
done
