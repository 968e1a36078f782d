#!/bin/sh
# SPDX-License-Identifier: MIT
#
# backends.sh - the backends cpu and blas in turn: milliseconds per evaluation of the tutorial's
# layers, steps of L-BFGS included. Variables: NST, MODEL, THREADS, SIZES, ROUNDS, and NST_BLAS.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for size in ${SIZES:-128 256 512}; do
    for _ in $(seq "${ROUNDS:-5}"); do
        for backend in cpu blas; do
            NST_BACKEND=$backend "$NST" -q --history none -t "${THREADS:-2}" -p classic \
                -m "${MODEL:-vgg19-lite}" -S "$size" --square -n 6 --trace "$work/trace" \
                -s "${srcdir:-.}/samples/style.svg" "${srcdir:-.}/samples/content.svg" \
                -o "$work/out.png"
            jq -s --arg backend "$backend" --argjson size "$size" '
                map(select(.evaluation).seconds) | sort |
                {$backend, $size, ms: ((last - first) / (length - 1) * 1000)}' "$work/trace"
        done
    done
done | tee "$work/all" | jq -c .
jq -rs 'def median: sort | .[length / 2 | floor];
    group_by(.size)[] | [.[0].size] + (group_by(.backend) | reverse | map(map(.ms) | median)) +
        [[[.[] | select(.backend == "blas").ms], [.[] | select(.backend == "cpu").ms]] |
            transpose | map(.[0] / .[1]) | sort | first, .[length / 2 | floor], last] |
    "\(.[0])²: cpu \(.[1] | round) ms, blas \(.[2] | round) ms; ratios of pairs " +
        "\(.[3:] | map(. * 10 | round / 10) | join(", "))"' "$work/all"
