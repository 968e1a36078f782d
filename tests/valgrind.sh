#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The program under valgrind, on what it must refuse and on a small run that it must not:
# nothing is lost, and nothing is read that was not written. libvips and the libraries
# under it keep memory to the end on purpose, so only what is definitely lost counts.
set -u
skip() {
    echo "1..0 # SKIP $1"
    exit 0
}
[ "${SANITIZERS:-no}" = no ] || skip "the build has sanitizers"
command -v valgrind >/dev/null || skip "valgrind is not installed"

suppressions=$(realpath "${srcdir:-.}/tests/valgrind.supp")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export NST_CPU=base NST_HISTORY=none G_SLICE=always-malloc G_DEBUG=gc-friendly
# valgrind knows no AVX-512, which glibc's and libvips' own loops are kept from too
export GLIBC_TUNABLES=glibc.cpu.x86.hwcaps=-AVX512F_Usable VIPS_NOVECTOR=1
# libvips loads no modules from a prefix that does not exist. One of them (JPEG XL) reads
# the processor's clock with an instruction that valgrind lacks on some processors.
export VIPSHOME=/nonexistent

awk 'BEGIN { print "P3\n24 20\n255"
    for (i = 0; i < 480; i++) print i % 256, i * 7 % 256, i * 31 % 256 }' >photo.ppm
awk 'BEGIN { print "P3\n1 1\n255\n1 2 3" }' >dot.ppm
echo "no picture" >text.png
printf '\377\330\377\340\000\020JFIF\000\001\001\000\000\001\000\001\000\000' >cut.jpg
# a PNG header that claims 40000 x 40000
printf '\211PNG\r\n\032\n\000\000\000\rIHDR\000\000\234\100\000\000\234\100\010\002\000\000\000\014\277\145\110' >huge.png
mkdir directory

tests=0
# check STATUS NAME ARG...: exits so under valgrind too, whose own status is 99.
check() {
    wanted=$1 name=$2
    shift 2
    tests=$((tests + 1))
    valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --suppressions="$suppressions" \
        "$NST" -q -t 2 -S 32 -n 2 "$@" >out 2>err
    got=$?
    [ $got = "$wanted" ] || printf 'not '
    echo "ok $tests - $name"
    [ $got = "$wanted" ] || { echo "# status $got" && sed 's/^/# /' err; }
}

check 2 "a missing file" -s photo.ppm missing.png -o a.png
check 2 "a directory" -s photo.ppm directory -o a.png
check 1 "a truncated JPEG" -s photo.ppm cut.jpg -o a.png
check 1 "a text file named .png" -s text.png photo.ppm -o a.png
check 1 "a picture of one pixel" -s photo.ppm dot.ppm -o a.png --size native
check 1 "a header of 40000 x 40000" -s photo.ppm huge.png -o a.png
check 2 "an unknown layer" -s photo.ppm photo.ppm -o a.png --style-layers conv_99
check 2 "a style weight of nan" -s photo.ppm photo.ppm -o a.png -w nan
check 2 "an output that cannot be written" -s photo.ppm photo.ppm -o /nonexistent/a.png
check 1 "a model that is none" -s photo.ppm photo.ppm -o a.png -m text.png
check 0 "a small run" -s photo.ppm photo.ppm -o a.png
check 0 "a small run in tiles" -s photo.ppm photo.ppm -o a.png -S 96 --tile 32
echo "1..$tests"
