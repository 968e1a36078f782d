#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# --device, --precision and --list-devices. GPU tests need the emulated GPU of
# tests/fakecuda (configure --with-cuda=fake), because only its memory can be limited.
bats_require_minimum_version 1.5.0
load helper
unset NST_FAKE_CUDA_DRIVER

# An emulated GPU is slow, so use the fastest preset.
eval "$(declare -f setup | sed '1s/setup/setup_helper/')"
setup() {
    setup_helper
    mkdir -p config/nst
    echo '{"options": {"preset": "classic"}}' >config/nst/config.json
    export XDG_CONFIG_HOME=$PWD/config
}

is_fake() {
    "$NST" --list-devices | grep -q '^cuda:0  *fake,' ||
        skip "the build has no GPU of the tests"
}

# takes_long: skip a test that takes minutes with sanitizers.
takes_long() {
    [ "${SANITIZERS:-no}" = no ] || skip "the build has sanitizers, and it takes minutes"
}

# on DEVICE OPTION...: make a small image; set $last to the last line of the trace.
on() {
    local device=$1
    shift
    rm -f t
    "$NST" -q --history none --device "$device" -S 48 -n 4 -s "$srcdir/samples/style.svg" \
        --trace t -o out.png "$@" "$srcdir/samples/content.svg" || return
    last=$(tail -n 1 t)
}

kept=35000000 # bytes of a GPU's memory that a run takes whatever its size

# takes ARG...: the bytes that a run takes beyond these.
takes() {
    "$NST" --device cuda "$@" -o x.png --dry-run --json | jq .device_memory
}

# near A B FRACTION: A differs from B by at most that fraction of B.
near() {
    awk -v a="$1" -v b="$2" -v s="$3" 'BEGIN { d = a - b; exit !((d < 0 ? -d : d) <= s * b) }'
}

@test "--list-devices lists the CPU and the GPUs, or why there is none" {
    run --separate-stderr "$NST" --list-devices
    [ "$status" -eq 0 ]
    [[ ${lines[0]} == "cpu      "* ]]
    [[ ${lines[1]} == "cuda"* ]]
    "$NST" --list-devices --json >list
    jq -e '.[0].name == "cpu" and (.[0].instructions | length > 0) and
        (.[1].error // .[1].model | length > 0)' list
    NST_FAKE_CUDA_DEVICES=0 run "$NST" --list-devices
    [[ $output != *"cuda:0"* || $output != *fake* ]]
}

@test "unknown devices, unknown precisions and those that the CPU lacks are refused" {
    run --separate-stderr on gpu
    [ "$status" -eq 2 ]
    [[ $stderr == "nst: device: 'gpu' is not auto, cpu, cuda, cuda:N or"* ]]
    for name in cuda: cuda:x cuda:0,,1 'cuda:0,' cuda:-1 CUDA ""; do
        run on "$name"
        [ "$status" -eq 2 ]
    done
    run --separate-stderr on cpu --precision fp16
    [ "$status" -eq 2 ]
    [ "${stderr_lines[0]}" = "nst: precision fp16 is for GPUs: a CPU has fp32" ]
    run --separate-stderr on cpu --precision fp8
    [ "$status" -eq 2 ]
    [[ ${stderr_lines[0]} == *"'fp8' is not one of auto|fp32|tf32|fp16" ]]
}

@test "without a usable GPU nst falls back to the CPU and says so in one line" {
    if "$NST" --list-devices | grep -q 'without CUDA'; then
        on cpu
        mv out.png cpu.png
        for device in cuda cuda:1 cuda:0,1; do
            run --separate-stderr "$NST" --progress none --device $device -S 48 -n 4 -q \
                -s "$srcdir/samples/style.svg" -o out.png "$srcdir/samples/content.svg"
            [ "$status" -eq 0 ]
            [ -z "$stderr" ] # as -q wishes
            run --separate-stderr "$NST" --progress none --device $device -S 48 -n 4 \
                -s "$srcdir/samples/style.svg" -o out.png "$srcdir/samples/content.svg"
            [ "$stderr" = "nst: this nst was built without CUDA (configure --with-cuda); using the CPU" ]
            cmp out.png cpu.png
        done
        on auto
        skip "the build has no CUDA"
    fi
    is_fake
    on cpu
    cp out.png cpu.png
    for why in NST_FAKE_CUDA_DRIVER=none NST_FAKE_CUDA_DEVICES=0 \
        NST_FAKE_CUDA_MEMORY=1000000 NST_FAKE_CUDA_CC=70; do
        rm -f out.png
        run --separate-stderr env "$why" "$NST" --history none --progress none \
            --device cuda -S 48 -n 4 -s "$srcdir/samples/style.svg" -o out.png \
            "$srcdir/samples/content.svg"
        [ "$status" -eq 0 ]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [[ $stderr == "nst: cuda"*"; using the CPU" ]]
        cmp out.png cpu.png
    done
    NST_FAKE_CUDA_DEVICES=0 on auto # nobody asked for a GPU
    run --separate-stderr on cuda:1
    [ "$status" -eq 2 ]
    [ "$stderr" = "nst: cuda:1: there is cuda:0 alone" ]
}

@test "a GPU makes the CPU's image within the tolerance of its precision" {
    is_fake
    takes_long
    on cpu
    cp out.png cpu.png
    loss=$(jq .total_loss <<<"$last")
    for p in fp32:1e-3 tf32:0.1 fp16:0.1; do
        on cuda --precision "${p%:*}"
        near "$(jq .total_loss <<<"$last")" "$loss" "${p#*:}"
        [ "$("${NST%nst}nst-compare" --json cpu.png out.png | jq '.ssim > 0.97')" = true ]
    done
    on auto --precision fp16 # is a GPU
    on cuda --pooling avg --padding reflect --tv-weight 0.01 --moment-weight 1 \
        --optimiser adam --precision fp16
}

@test "tiles keep a run within the memory of the GPU" {
    is_fake
    takes_long
    picture long.ppm 256 24 5
    set -- -S native -n 1 --curvature-pairs 1 -s style.ppm long.ppm
    "$NST" -q --history none --device cuda "$@" -o whole.png
    # less than an untiled run takes; nst leaves a tenth to other programs
    export NST_FAKE_CUDA_MEMORY=$(($(takes "$@") * 9 / 10 + kept))
    "$NST" --history none --progress none --device cuda "$@" -o out.png 2>said
    grep -q 'using .* tiles to stay within' said
    NST_FAKE_CUDA_MEMORY="" "${NST%nst}nst-compare" --json whole.png out.png >compared
    jq -e '.ssim > 0.99' compared
    NST_FAKE_CUDA_MEMORY=$((kept + 1000000)) run --separate-stderr \
        "$NST" -q --history none --device cuda "$@" -o none.png
    [ "$status" -eq 1 ]
    [[ $stderr == *"pixels need at least "*" MiB of GPU memory, but "*" are available"* ]]
}

@test "the history records the GPU, and parallel jobs on it do not change results" {
    is_fake
    for i in 1 2 3; do cp "$srcdir/samples/content.svg" "$i.svg"; done
    "$NST" -q --history h --device cuda -j 1 -S 24 -n 2 -s "$srcdir/samples/style.svg" \
        -o one/ 1.svg 2.svg 3.svg
    "$NST" -q --history none --device cuda -j 3 -S 24 -n 2 \
        -s "$srcdir/samples/style.svg" -o three/ 1.svg 2.svg 3.svg
    [ "$(jq -s 'length == 3 and all(.device == "cuda")' h)" = true ]
    for f in one/*; do cmp "$f" "three/${f#one/}"; done
}

@test "in fp16 a result does not depend on the images before it" {
    is_fake
    cp photo.ppm next.ppm
    "$NST" -q --history none --device cuda --precision fp16 -j 1 -S 24 -n 4 -w 100 \
        -s style.ppm -o both/ photo.ppm next.ppm
    cmp both/photo-style.ppm both/next-style.ppm
}

@test "--dry-run estimates the GPU memory of a run" {
    is_fake
    set -- -S 32 -s style.ppm photo.ppm -o x.png --dry-run
    "$NST" --device cuda "$@" | grep -Eq '^GPU memory       [0-9]+ MiB of [0-9]+ MiB$'
    "$NST" --device cuda "$@" --json | jq -e '.device_memory > 0 and
        .device_limit > .device_memory and .peak_memory > 0'
    "$NST" --device cpu "$@" --json | jq -e 'has("device_memory") | not'
    # the temporal loss takes four planes
    printf 'YUV4MPEG2 W32 H24 F25:1 C420jpeg\n' >film.y4m
    for _ in 1 2; do
        echo FRAME
        head -c $((32 * 24 * 3 / 2)) /dev/zero
    done >>film.y4m
    for held in 10 0; do
        "$NST" --device cuda --y4m -S 32 -s style.ppm film.y4m -o x.y4m --dry-run --json \
            --temporal $held | jq .device_memory
    done >taken
    { read -r held && read -r free; } <taken
    [ $((held - free)) = $((4 * 4 * 32 * 24)) ]
}

@test "parallel jobs stay within the memory of the GPU" {
    is_fake
    takes_long
    for i in 1 2 3; do cp "$srcdir/samples/content.svg" "$i.svg"; done
    set -- -S 96 -n 1 -s "$srcdir/samples/style.svg"
    # memory for one and a half images, and the fixed part of three runs
    NST_FAKE_CUDA_MEMORY=$(($(takes "$@" 1.svg) * 3 / 2 + 3 * kept)) \
        "$NST" -q --history h --device cuda -j 3 "$@" -o three/ 1.svg 2.svg 3.svg
    [ "$(jq -s 'length == 3 and all(.device == "cuda")' h)" = true ]
}

@test "several GPUs share a batch and give the results of one" {
    is_fake
    takes_long
    for i in 1 2 3; do cp "$srcdir/samples/content.svg" "$i.svg"; done
    "$NST" -q --device cuda -j 1 -S 32 -n 2 -s "$srcdir/samples/style.svg" -o one/ ?.svg
    NST_FAKE_CUDA_DEVICES=2 "$NST" -q --history h --device cuda:1,0 -S 32 -n 2 \
        -s "$srcdir/samples/style.svg" -o two/ ?.svg
    for f in one/*; do cmp "$f" "two/${f#one/}"; done
    [ "$(jq -s 'length == 3 and all(.device == "cuda")' h)" = true ]
    NST_FAKE_CUDA_DEVICES=2 run --separate-stderr "$NST" --device cuda:0,7 -S 32 -n 2 -j 3 \
        --progress json -s "$srcdir/samples/style.svg" -o three/ ?.svg
    [ "$status" -eq 0 ]
    grep -q "cuda:7: there is cuda:0 to cuda:1; continuing without this GPU" <<<"$stderr"
    for f in one/*; do cmp "$f" "three/${f#one/}"; done
    # the remaining GPU runs jobs in parallel
    grep '^{' <<<"$stderr" | jq -r .event | grep -v step | head -n 2 | sort -u >first
    [ "$(cat first)" = start ]
}

@test "parallel jobs all run on the requested GPU" {
    is_fake
    for i in 1 2 3; do cp "$srcdir/samples/content.svg" "$i.svg"; done
    NST_FAKE_CUDA_DEVICES=2 "$NST" -q --history h --device cuda:1 -j 3 -S 24 -n 2 \
        -s "$srcdir/samples/style.svg" -o three/ 1.svg 2.svg 3.svg
    [ "$(jq -s 'length == 3 and all(.device == "cuda")' h)" = true ]
}

@test "a run resumed on a GPU is the same to the bit" {
    is_fake
    for o in "--precision tf32" "--precision fp16" "--optimiser adam"; do
        # shellcheck disable=SC2086 # word splitting is intended
        for n in "whole 6" "part 3 --checkpoint ck"; do
            set -- $n
            "$NST" -q --history none --device cuda -S 24 -n "$2" $o "${@:3}" \
                -s style.ppm photo.ppm -o "$1.png"
        done
        run ! cmp whole.png part.png
        "$NST" -q --history none --device cuda -n 6 --resume ck -s style.ppm photo.ppm \
            -o end.png
        cmp whole.png end.png
    done
}
