#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Random combinations of options: each makes an image, and the loss never rises within
# the last scale. 40 combinations, or 200 with $NST_TEST_ALL. Prints a seed;
# $NST_TEST_SEED repeats it.
set -u
. "${srcdir:-.}/tests/cli/helper.bash"
command -v jq >/dev/null || {
    echo "1..0 # SKIP jq is not installed"
    exit 0
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export NST_HISTORY=none
seed=${NST_TEST_SEED:-$RANDOM}
echo "# NST_TEST_SEED=$seed"
RANDOM=$seed
picture style.ppm 40 32 5
picture other.ppm 61 43 23
picture photo.ppm 48 36 11
picture mask.ppm 30 30 3

# of WORD...: print one of the words.
of() {
    shift $((RANDOM % $#))
    echo "$1"
}

# maybe WORD...: print the words, or nothing.
maybe() {
    [ $((RANDOM % 3)) -gt 0 ] || echo "$@"
}

options() {
    maybe --mask mask.ppm # of the first style
    maybe -s other.ppm:"$(of 0.1 1 5)"
    if [ $((RANDOM % 4)) = 0 ]; then
        echo -s "$(of munch van-gogh)" "$(maybe --mask photo.ppm)"
    else
        maybe --colour "$(of content match)"
    fi
    maybe --moment-weight "$(of 0.1 10 1e6)"
    maybe -w "$(of 0 1 7000 1e6 1e10)"
    maybe -c "$(of 0 1 100)"
    maybe --tv-weight "$(of 0.01 1 1e4)"
    maybe --strength "$(of 0 0.01 0.5 0.99)"
    maybe --pooling avg
    maybe --padding "$(of replicate reflect)"
    if [ $((RANDOM % 4)) = 0 ]; then
        echo --style-layers relu1_1,relu2_1:3 -s style.ppm --layers relu2_1
    else
        maybe --style-layers "$(of conv_1 relu1_1,relu3_1:5 relu1_1,relu2_1,relu3_1,relu4_1)"
    fi
    maybe --content-layers "$(of conv_1 relu3_2 relu4_2)"
    maybe --init "$(of noise other.ppm)" --seed $RANDOM
    maybe --keep-mask mask.ppm
    maybe --curvature-pairs "$(of 1 3 40)"
    maybe --threads "$(of 1 2 3)"
    maybe --style-scale "$(of 0.8 2)"
    maybe --square
    maybe --tile "$(of 16 24)"
    # the last size counts
    echo --size "$(of 40 48 57)"
    maybe --scales "$(of auto 16,32 17,23,31,48)" --scale-mode "$(of progressive blend)"
}

# run OPTION...: make an image and check its trace.
run() {
    "$NST" -q -n "$(of 1 4 12)" -s style.ppm photo.ppm -o out.png --trace t.jsonl "$@" ||
        return 1
    jq -es '
        .[-1] as $final | map(select(.final | not)) as $all
        | ($all | map(select(.scale == $all[-1].scale))) as $last
        | $final.final and ($final.total_loss | type) == "number"
          and ($all | map(select(.accepted).total_loss)) as $kept
              | ($kept | all(type == "number"))
          and ($last | map(select(.accepted).total_loss)) as $falls
              | $falls == ($falls | sort | reverse)' t.jsonl >/dev/null
}

count=40
[ -z "${NST_TEST_ALL:-}" ] || count=200
echo "1..$count"
failed=0
for i in $(seq $count); do
    # shellcheck disable=SC2046 # word splitting is intended
    set -- $(options)
    if run "$@" 2>log; then
        echo "ok $i - $*"
    else
        sed 's/^/# /' log
        echo "not ok $i - $*"
        failed=1
    fi
done
exit $failed
