#!/bin/sh
# SPDX-License-Identifier: MIT
#
# recipe.sh STYLE PHOTO - time whole runs of the default recipe in turn: nst, PyTorch as shipped
# (with one thread unless it is told otherwise), and PyTorch tuned: an OpenBLAS with OpenMP, an
# allocator that keeps its memory, all processors. Environment: NST (default: nst), MODEL (a
# safetensors file), SIZES ("512 1024"), ROUNDS (3). Prints lines of JSON, then the medians and
# their ratios. Needs python3-torch, libopenblas0-openmp, vips and jq.
set -eu
style=$1 photo=$2
nst=${NST:-nst}
model=${MODEL:?a safetensors file}
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
vips copy "$style" "$work/style.ppm"
vips copy "$photo" "$work/photo.ppm"

peer() { # SIZE
    /usr/bin/python3 "$here/torch_recipe.py" --model "$model" --size "$1" \
        ${THREADS:+--threads "$THREADS"} "$work/style.ppm" "$work/photo.ppm" "$work/peer.ppm"
}

for size in ${SIZES:-512 1024}; do
    for _ in $(seq "${ROUNDS:-3}"); do
        began=$(date +%s.%N)
        "$nst" -q --config none --history none -m "$model" -S "$size" -s "$work/style.ppm" \
            "$work/photo.ppm" -o "$work/ours.ppm"
        echo "{\"engine\":\"nst\",\"size\":$size,\"seconds\":$(echo "$(date +%s.%N) - $began" | bc)}"
        peer "$size" | jq -c '.engine = "PyTorch as shipped"'
        LD_LIBRARY_PATH=/usr/lib/$(uname -m)-linux-gnu/openblas-openmp \
            MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296 \
            MALLOC_TOP_PAD_=268435456 THREADS=$(nproc) peer "$size" | jq -c '.engine = "PyTorch tuned"'
    done
done | tee "$work/lines"
jq -rs '
    def median: sort | .[length / 2 | floor];
    group_by(.size)[] | .[0].size as $size |
    (map(select(.engine == "nst") | .seconds) | median) as $ours |
    group_by(.engine)[] | (map(.seconds) | median) as $s |
    "\($size)\t\(.[0].engine)\t\($s) s\t\($s / $ours * 10 | round / 10) x"' "$work/lines"
