#!/bin/sh
# SPDX-License-Identifier: MIT
#
# nvcc.sh - every source for GPUs is compiled without a warning: by nvcc, for the devices
# that configure has it compile for; where there is none, clang++ reads them as C++ with
# the headers of tests/fakecuda. Speaks TAP. $NVCC is the compiler.
set -eu
srcdir=$(cd "${srcdir:?the folder of the sources}" && pwd)
NVCC=${NVCC:-$(PATH=$PATH:/usr/local/cuda/bin command -v nvcc || :)}
CLANG=$(command -v clang++-14 || command -v clang++ || :)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
: >"$out/config.h"
n=0

# with_nvcc FILE CODE...
with_nvcc() {
    file=$1
    shift
    "$NVCC" -std=c++20 -DHAVE_CUDA -I"$out" -I"$srcdir/src" -Werror all-warnings \
        -Xcompiler -Wall,-Wextra,-Wno-missing-field-initializers "$@" \
        -c "$file" -o "$out/o" 2>&1
}

with_clang() {
    "$CLANG" -std=c++20 -DHAVE_CUDA -I"$srcdir/tests/fakecuda" -I"$out" -I"$srcdir/src" \
        -Wall -Wextra -Werror -Wno-unknown-pragmas -Wno-missing-field-initializers \
        -fsyntax-only -x c++ "$1" 2>&1
}

if [ -n "$NVCC" ]; then
    how="nvcc compiles it for 7.5, 8.0, 9.0 and PTX"
elif [ -n "$CLANG" ]; then
    how="clang++ reads it"
else
    echo "1..0 # SKIP there is neither nvcc nor clang++"
    exit 0
fi
for file in "$srcdir"/src/backend/cuda/*.cu; do
    n=$((n + 1))
    if [ -n "$NVCC" ]; then
        with_nvcc "$file" -gencode arch=compute_75,code=sm_75 \
            -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90 \
            -gencode arch=compute_90,code=compute_90 >"$out/said" && ok= || ok='not '
    else
        with_clang "$file" >"$out/said" && ok= || ok='not '
    fi
    sed 's/^/# /' "$out/said"
    [ ! -s "$out/said" ] || ok='not '
    echo "${ok}ok $n - ${file##*/}: $how"
done
echo "1..$n"
