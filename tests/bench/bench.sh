#!/bin/sh
# SPDX-License-Identifier: MIT
#
# make bench [MODEL=FILE] [PEER=COMMAND] [SIZES="256 512"] [ROUNDS=3]
#
# Times the engine's operators, evaluations at 64 to 512 pixels with and without padding and
# moments, and whole evaluations of the loss and its gradient at each size for the two usual
# choices of layers. PEER is another program to time in turn
# with nst, called as COMMAND --stack tutorial|gatys --size N, that prints lines of JSON
# with "engine" and "ms_per_evaluation": a ratio is only worth quoting from one such run.
# All lines go to bench.jsonl, with machine, compiler and commit; a table of them comes
# last.
set -eu
model=${MODEL:-vgg19-lite}
out=bench.jsonl
machine=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
commit=$(git -C "$srcdir" describe --always --dirty 2>/dev/null || echo unknown)

# With where, how and when it was measured.
note() {
    jq -c --arg machine "$machine" --arg compiler "$COMPILER" --arg commit "$commit" \
        --arg model "$model" --arg date "$(date -u +%F)" \
        '. + {$machine, $compiler, $commit, $model, $date}' >>"$out"
}

: >"$out"
"$BENCH" operators | note
for stack in tutorial gatys; do
    "$BENCH" scales "$stack" "$model" | note
done
for size in ${SIZES:-256 512}; do
    for stack in tutorial gatys; do
        for _ in $(seq "${ROUNDS:-3}"); do
            "$BENCH" evaluations "$stack" "$size" "$model" | note
            [ -z "${PEER:-}" ] || $PEER --stack "$stack" --size "$size" | note
        done
    done
done

jq -rs '
    def median: sort | .[length / 2 | floor];
    (map(select(.operator)) | .[] |
        "\(.operator)\t\(.channels[0]) to \(.channels[1])\t\(.size)²\t\(.ms) ms\t" +
        "\(.gflops) GFLOP/s\t\(.percent_of_ceiling) %"),
    "",
    (map(select(.scale)) | .[] |
        "\(.stack)\t\(.scale)²\t\(.padding)\t\(if .moments then "moments" else "" end)\t" +
        "\(.ms) ms\t\(.of_256) of 256²"),
    "",
    (map(select(.engine)) | group_by([.stack, .size])[] |
        (map(select(.engine == "nst")) | map(.ms_per_evaluation) | median) as $ours |
        (map(select(.engine == "nst")) | map(.optimiser_ms) | median) as $optimiser |
        (map(select(.engine != "nst")) | group_by(.engine) | map(
            (map(.ms_per_evaluation) | median) as $theirs |
            "\t\(.[0].engine) \($theirs) ms\t\($theirs / $ours * 10 | round / 10) x")
        ) as $peers |
        "\(.[0].stack)\t\(.[0].size)²\t\($ours) ms\t+ \($optimiser) ms\t" +
        "\(map(select(.engine == "nst")) | map(.peak_rss_mib) | max) MiB" +
        ($peers | join("")))' "$out" | column -t -s "$(printf '\t')"
