#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The engine on 64-bit ARM: floors 0 to 2 and their tests, cross-compiled and run under
# qemu's emulation, on the smaller shapes.
set -u
skip() {
    echo "1..0 # SKIP $1"
    exit 0
}
[ "${SANITIZERS:-no}" = no ] || skip "the build has sanitizers"
cc='aarch64-linux-gnu-gcc'
qemu='qemu-aarch64-static'
command -v $cc >/dev/null || skip "$cc is not installed"
command -v $qemu >/dev/null || skip "$qemu is not installed"

top=$(realpath "${srcdir:-.}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf "#define %s \"nst\"\n" PACKAGE_STRING PACKAGE_VERSION >"$work/config.h"
warnings="-Wall -Wextra -Werror -Wno-missing-field-initializers"
flags="-std=c11 -O2 $warnings -fopenmp-simd -D_GNU_SOURCE -I$work -I$top/src"
isa="-ffp-contract=fast -fno-math-errno -fno-trapping-math -DNST_ISA=base -DNST_LANES=4 -DNST_NR=8"

# The same sources and flags as src/local.mk has for this machine.
build() {
    for f in "$top"/src/kernels/nchw16c_*.c "$top"/src/kernels/*_kernels.c; do
        # shellcheck disable=SC2086 # words are wanted
        $cc $flags $isa -c "$f" -o "$work/$(basename "$f" .c).o" || return 1
    done
    for t in base/test_threads kernels/checkkernels kernels/checkflow backend/checkbackend \
        backend/checknet; do
        case $t in
        */checkbackend) more='convolutions inputs sums values' ;;
        */checknet) more='net_gradients' ;;
        *) more= ;;
        esac
        set -- "$top/tests/$t.c"
        for f in $more; do
            set -- "$@" "$top/tests/backend/$f.c"
        done
        # shellcheck disable=SC2086 # words are wanted
        $cc $flags -static -pthread "$@" "$top"/src/base/*.c \
            "$top"/src/kernels/*reference.c "$top"/src/kernels/dispatch.c \
            "$top"/src/backend/*.c "$top"/src/backend/cpu/*.c "$work"/*.o -lm \
            -o "$work/$(basename $t)" || return 1
    done
}

if ! build >"$work/log" 2>&1; then
    sed 's/^/# /' "$work/log"
    echo "not ok 1 - the engine compiles for aarch64 without a warning"
    echo 1..1
    exit 1
fi
export NST_TEST_QUICK=1
{
    echo "ok - the engine compiles for aarch64 without a warning"
    $qemu "$work/test_threads" || echo "not ok - test_threads ends well"
    $qemu "$work/checkkernels" || echo "not ok - checkkernels ends well"
    $qemu "$work/checkflow" || echo "not ok - checkflow ends well"
    $qemu "$work/checkbackend" || echo "not ok - checkbackend ends well"
    $qemu "$work/checknet" || echo "not ok - checknet ends well"
} | awk '
    /^1\.\./ { next }
    /^(not )?ok/ { sub(/ok [0-9]*/, "ok " ++n) }
    { print }
    END { print "1.." n }'
