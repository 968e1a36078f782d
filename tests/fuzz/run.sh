#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh [SECONDS [PARSER...]] - builds fuzz.c in build-fuzz with clang-14's libFuzzer,
# AddressSanitizer and UBSan. Starting from valid files, it searches for inputs that
# crash, leak or take more than 2 seconds, for 60 seconds per parser: y4m, pnm,
# safetensors, pth, pack, net, preset, history, and those of nst-serve (request, kind, strip,
# multipart).
# Findings stay in build-fuzz.
set -eu
seconds=${1:-60}
[ $# = 0 ] || shift
cd "$(dirname "$0")/../.."
[ -f configure ] || autoreconf -i
mkdir -p build-fuzz
cd build-fuzz
sanitize=fuzzer-no-link,address,undefined
[ -f Makefile ] || ../configure CC=clang-14 CFLAGS="-O1 -g -Wno-pass-failed -fsanitize=$sanitize" >configure.log
make nst.h >make.log 2>&1
make -j"$(nproc)" tests/fuzz/fuzz >>make.log 2>&1
# shellcheck disable=SC2048 # word splitting is intended
for parser in ${*:-y4m pnm safetensors pth pack net preset history request kind strip multipart}; do
    if [ "$parser" = pth ] && ! grep -q 'define HAVE_ARCHIVE' config.h; then
        echo "pth: skipped, there is no libarchive"
        continue
    fi
    mkdir -p "good-$parser"
    case $parser in
    pnm) { printf 'P7\nWIDTH 8\nHEIGHT 8\nDEPTH 4\nMAXVAL 999\nTUPLTYPE RGB_ALPHA\nENDHDR\n' && head -c 512 /dev/zero && printf 'P6 # x\n4 4 255\n' && head -c 48 /dev/zero; } >good-pnm/a ;;
    y4m) { printf 'YUV4MPEG2 W16 H16 F25:1 Ip C420p10\nFRAME\n' && head -c 768 /dev/zero; } >good-y4m/a ;;
    safetensors) head -c 4096 ../models/vgg19-lite.safetensors >good-safetensors/a
        cp ../tests/data/tiny-lpips-alex.safetensors good-safetensors/b ;;
    pth) cp ../tests/data/*.pth good-pth/
        python3 -B ../tests/cli/net.py write legacy 1 1 good-pth/net.pth ;;
    net) python3 -B ../tests/cli/net.py write nstnet 1 1 good-net/a ;;
    pack) head -c 4096 ../styles/munch.nststyle >good-pack/a
        # a layer of one channel at one size, and a preview; the header has 304 bytes
        { printf '\060\001\0\0\0\0\0\0' && printf '%-304s' '{"__metadata__":{"format":"nst style 2","model":"a","from":"b"},"9/relu1_1/000000000000000a/products":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},"9/relu1_1/000000000000000a/means":{"dtype":"F16","shape":[1],"data_offsets":[2,4]},"preview":{"dtype":"U8","shape":[5],"data_offsets":[4,9]}}' &&
            printf '\0\0\0\0\377\330\377\377\331'; } >good-pack/b ;;
    preset) cp ../presets/*.json good-preset/ ;;
    request) printf '{"content_image": "a", "styles": [{"name": "munch", "mask": "a"}], "preset": "gatys", "size": 64, "scales": [16, 64], "strength": 0.5, "square": true, "num_steps": 100}' >good-request/a ;;
    kind) printf '\x89PNG\r\n\x1a\nxxxx' >good-kind/a && printf 'xxxxftypavif' >good-kind/b ;;
    strip) PYTHONPATH=../tests/http python3 -B -c 'import bombs
for name, data in bombs.small().items():
    open("good-strip/" + name, "wb").write(data)' ;;
    multipart) printf 'b\n--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--bx\r\n--b  \r\nContent-Disposition:\r\n form-data; name=c\r\n\r\n\r\n--b--' >good-multipart/a ;;
    history) printf '{"time":"x","options":{"size":3}}\n{"cut\n[]\n' >good-history/a ;;
    esac
    mkdir -p "found-$parser"
    echo "$parser:"
    NST_FUZZ=$parser tests/fuzz/fuzz -max_total_time="$seconds" -max_len=16384 -timeout=2 \
        -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="$parser-" \
        "found-$parser" "good-$parser" 2>"$parser.log" || {
        tail -n 40 "$parser.log"
        exit 1
    }
    sed -n 's/^stat::number_of_executed_units: */    inputs: /p' "$parser.log"
done
