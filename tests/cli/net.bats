#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Feed-forward networks as styles: conversion, pictures, films, and what is refused. The
# networks are small and random: net.py writes them, and computes what they paint.
bats_require_minimum_version 1.5.0
load helper

net_py() {
    needs python3
    python3 -B "${srcdir:?}/tests/cli/net.py" "$@"
}

nst_model() {
    "$(dirname "$NST")/nst-model" "$@"
}

# nst ARG...: without the options of an optimisation, which networks refuse.
nst() {
    "$NST" --progress none "$@"
}

# pixels FILE: the samples of an 8-bit PPM that nst has written, one a line.
pixels() {
    tail -n +4 "$1" | od -An -v -tu1 -w1
}

# largest_difference A B: of the samples of two PPMs.
largest_difference() {
    paste <(pixels "$1") <(pixels "$2") |
        awk '{ d = $1 - $2; d = d < 0 ? -d : d; m = d > m ? d : m } END { print m + 0 }'
}

# film FRAMES: a 48x36 stream of waves that move.
film() {
    printf 'YUV4MPEG2 W48 H36 F25:1 Ip A1:1 C420jpeg\n'
    LC_ALL=C awk -v frames="$1" 'BEGIN {
        for (t = 0; t < frames; t++) {
            printf "FRAME\n"
            for (i = 0; i < 48 * 36 * 3 / 2; i++)
                printf "%c", 64 + int(40 * sin((i % 48 + 3 * t) / 4) * cos(i / 300))
        }
    }'
}

frames() { # FILE: how many
    grep -ao FRAME "$1" | wc -l
}

@test "checkpoints of both formats are converted, and paint as they do in double precision" {
    ! nst_model --help | grep -q libarchive || skip "nst-model is built without libarchive"
    for kind in zip legacy; do
        net_py write $kind 4 2 $kind.pth
        run --separate-stderr nst_model convert ./$kind.pth -o $kind.nstnet --title Waves --license CC0
        [ "$status" = 0 ]
        [ -z "$output$stderr" ]
        nst -s ./$kind.nstnet photo.ppm -o $kind.ppm
        net_py paint 4 2 photo.ppm $kind.ppm
    done
    cmp zip.ppm legacy.ppm
    nst_model info zip.nstnet >info
    grep -qx 'width    4 channels' info
    grep -qx 'blocks   2' info
    grep -qx 'title    Waves' info
    grep -qx 'licence  CC0' info
    grep -qx 'from     zip.pth' info
    nst_model verify zip.nstnet | grep -qx sound
    # as 16-bit floats: half the size, nearly the same picture
    nst_model convert zip.nstnet --f16 -o half.nstnet
    nst_model info half.nstnet | grep -qx 'from     zip.pth'
    [ $(($(stat -c %s half.nstnet) * 10)) -lt $(($(stat -c %s zip.nstnet) * 6)) ]
    nst -s ./half.nstnet photo.ppm -o half.ppm
    [ "$(largest_difference half.ppm zip.ppm)" -le 3 ]
}

@test "public checkpoints paint as PyTorch does, whatever the size of the picture" {
    local checkpoints=$srcdir/../shared/checkpoints python=/usr/bin/python3
    [ -d "$checkpoints" ] || skip "the checkpoints are not here"
    nst -s "$srcdir/samples/style.svg" --size 96 --strength 0 -n 1 "$srcdir/samples/content.svg" -o 0.ppm
    # sides of the layers are odd at each stride
    "$python" -B "$srcdir/tests/cli/net.py" photo 321 319 1.ppm
    "$python" -B "$srcdir/tests/cli/net.py" photo 103 70 2.ppm
    for file in "$checkpoints"/*.model; do
        nst_model convert "$file" -o net.nstnet
        for i in 0 1 2; do
            nst -s ./net.nstnet $i.ppm -o out$i.ppm
        done
        run "$python" -B "$srcdir/tests/cli/net.py" torch "$file" 0.ppm out0.ppm 1.ppm out1.ppm \
            2.ppm out2.ppm
        [ "$status" != 77 ] || skip "PyTorch is not installed"
        echo "$file: $output"
        [ "$status" = 0 ]
    done
}

@test "a checkpoint that is not quite such a network is refused in a line" {
    ! nst_model --help | grep -q libarchive || skip "nst-model is built without libarchive"
    net_py write legacy 4 2 good.pth
    refuses() { # PATTERN FILE ARG...
        run --separate-stderr nst_model convert ./"$2" -o out.nstnet "${@:3}"
        echo "status $status: $stderr"
        [ "$status" = "${wanted:-1}" ]
        [ "$(wc -l <<<"$stderr")" = 1 ]
        grep -qE "$1" <<<"$stderr"
        [ ! -e out.nstnet ]
    }
    LC_ALL=C sed s/in3.weight/in3.width_/g good.pth >renamed.pth
    refuses 'in3.weight: is not in the file' renamed.pth
    LC_ALL=C sed s/in3.running_mean/in3.something___/g good.pth >more.pth
    refuses 'the file has other tensors' more.pth
    head -c 20000 good.pth >short.pth
    refuses 'is truncated' short.pth
    LC_ALL=C sed s/res1.conv1.conv2d.weight/ras1.conv1.conv2d.weight/g good.pth >blocks.pth
    refuses 'res1: the network must have 1 to 16 blocks' blocks.pth
    wanted=2
    refuses 'paints in one pass; --last' good.pth --last relu1_1
    run --separate-stderr nst_model convert ./good.pth -o out.safetensors
    [ "$status" = 2 ]
    [[ $stderr == *"must end in .nstnet"* ]]
    run --separate-stderr nst_model convert vgg19-lite --title A -o out.safetensors
    [ "$status" = 2 ]
    [[ $stderr == *"title: is for a network that paints in one pass"* ]]
}

@test "a network paints the picture at its own size, or at --size, and is found by its name" {
    mkdir -p data/nst/nets
    net_py write nstnet 4 1 data/nst/nets/waves.nstnet artist=Ada
    export XDG_DATA_HOME=$PWD/data
    nst -s waves photo.ppm -o ./
    [ -e photo-waves.ppm ]
    picture large.ppm 700 140 3
    nst -s waves large.ppm -o own.png
    [ "$(dimensions own.png)" = 700x140 ]
    nst -s waves large.ppm -S 350 -o half.png
    [ "$(dimensions half.png)" = 350x70 ]
    "$(dirname "$NST")/nst-style" list | grep -qE '^waves +Ada'
    cmp <(nst -s waves photo.ppm) <(nst -s waves -t 1 photo.ppm)
    nst_model info waves | grep -qx 'artist   Ada'
    run --separate-stderr "$(dirname "$NST")/nst-style" info waves
    [ "$status" = 2 ]
    [ "$stderr" = "nst-style: waves: is a network, not a style pack; nst-model info describes it" ]
}

@test "strength, masks and colours apply to what a network paints" {
    net_py write nstnet 4 1 n.nstnet
    nst -s n.nstnet photo.ppm -o full.ppm
    cp photo.ppm before.ppm
    nst -s n.nstnet --strength 0 photo.ppm -o none.ppm
    paste <(tail -n +4 photo.ppm | tr ' ' '\n') <(pixels none.ppm) | awk '$1 != $2 { exit 1 }'
    nst -s n.nstnet --strength 0.5 photo.ppm -o half.ppm
    paste <(pixels none.ppm) <(pixels full.ppm) <(pixels half.ppm) |
        awk '{ d = ($1 + $2) / 2 - $3; if (d > 1 || d < -1) exit 1 }'
    # the left half is white
    awk 'BEGIN { printf "P2\n48 36\n255\n"; for (i = 0; i < 1728; i++) print i % 48 < 24 ? 255 : 0 }' >mask.pgm
    nst -s n.nstnet --mask mask.pgm photo.ppm -o mask.ppm
    nst -s n.nstnet --keep-mask mask.pgm photo.ppm -o keep.ppm
    paste <(pixels none.ppm) <(pixels full.ppm) <(pixels mask.ppm) <(pixels keep.ppm) |
        awk '{ left = int((NR - 1) / 3) % 48 < 24
            if ($3 != (left ? $2 : $1) || $4 != (left ? $1 : $2)) exit 1 }'
    # the luma is the network's, the rest the photograph's
    nst -s n.nstnet --colour content photo.ppm -o colour.ppm
    run ! cmp -s colour.ppm full.ppm
    paste - - - < <(paste <(pixels full.ppm) <(pixels colour.ppm)) | awk '
        { a = 0.299 * $1 + 0.587 * $3 + 0.114 * $5; b = 0.299 * $2 + 0.587 * $4 + 0.114 * $6
          inside = $2 > 0 && $2 < 255 && $4 > 0 && $4 < 255 && $6 > 0 && $6 < 255
          if (inside && (a - b > 1.5 || b - a > 1.5)) exit 1; n += inside }
        END { exit n < 500 }'
}

@test "alpha and 16 bits of the photograph stay" {
    net_py write nstnet 4 1 n.nstnet
    LC_ALL=C awk 'BEGIN { printf "P7\nWIDTH 24\nHEIGHT 20\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
        for (i = 0; i < 480; i++) printf "%c%c%c%c", 1 + i % 120, 1 + i / 4, 60, 1 + i % 100 }' >a.pam
    nst --pnm -s n.nstnet a.pam -o out.pam
    head -c 67 out.pam | grep -aq 'DEPTH 4'
    cmp <(tail -c 1920 a.pam | od -An -v -tu1 -w4 | awk '{ print $4 }') \
        <(tail -c 1920 out.pam | od -An -v -tu1 -w4 | awk '{ print $4 }')
    LC_ALL=C awk 'BEGIN { printf "P6\n20 20\n65535\n"; for (i = 0; i < 2400; i++) printf "%c", 1 + i % 120 }' >deep.ppm
    nst -s n.nstnet deep.ppm -o out.ppm
    grep -aqx 65535 out.ppm
}

@test "options of an optimisation are refused on the command line, and ignored in presets" {
    net_py write nstnet 4 1 n.nstnet
    for option in --iterations=5 --style-layers=relu1_1 --optimiser=adam --model=vgg19-lite \
        --content-weight=1 --scales=16,32 --seed=1 --init=noise --tile=32 --temporal=1 \
        --checkpoint=c --trace=t --preview=p.png --style-scale=2 --layers=relu1_1; do
        # the attributes of a style follow it
        refused 2 "^nst: ${option:2:4}.*: does not apply to the style 'n.nstnet', a network" \
            -s n.nstnet "$option" photo.ppm -o o.png
    done
    refused 2 "n.nstnet': is a network.*cannot be mixed" -s n.nstnet -s style.ppm photo.ppm -o o.png
    refused 2 'colour: match needs style images' -s n.nstnet --colour match photo.ppm -o o.png
    refused 2 'square: requires --size' -s n.nstnet --square photo.ppm -o o.png
    refused 2 'no such file, style pack or network' -s nothing photo.ppm -o o.png
    refused 2 'none.nstnet: No such file' -s none.nstnet photo.ppm -o o.png
    nst -p gatys -s n.nstnet photo.ppm -o preset.ppm
    nst -s n.nstnet photo.ppm -S 48 -o plain.ppm
    echo '{"options": {"iterations": 5, "tile": 32, "init": "no-such-file.png", "precision": "fp16"}}' >p.json
    nst -p ./p.json -s n.nstnet photo.ppm -o own.ppm
    cmp own.ppm plain.ppm
}

@test "wrong files are refused in a line" {
    net_py write nstnet 4 1 n.nstnet
    head -c 9000 n.nstnet >short.nstnet
    refused 1 'short.nstnet: .*cut short' -s short.nstnet photo.ppm -o o.png
    net_py write nstnet 4 1 new.nstnet 'format=nst net 2'
    refused 1 'new.nstnet: .*use a newer nst' -s new.nstnet photo.ppm -o o.png
    net_py write nstnet 4 1 wide.nstnet width=8
    refused 1 'first.weight: the shape is not that of a network of this width' -s wide.nstnet \
        photo.ppm -o o.png
    net_py write nstnet 4 1 deep.nstnet blocks=2
    refused 1 'block2.conv1.weight: is not in the file' -s deep.nstnet photo.ppm -o o.png
    net_py write nstnet 4 2 shallow.nstnet blocks=1
    refused 1 'block2.conv1.weight: is no part of a network with 1 block' -s shallow.nstnet \
        photo.ppm -o o.png
    cp "$srcdir/styles/munch.nststyle" pack.nstnet
    refused 1 'pack.nstnet: is not a valid network' -s pack.nstnet photo.ppm -o o.png
    cp photo.ppm picture.nstnet
    refused 1 'picture.nstnet: is not a safetensors file' -s picture.nstnet photo.ppm -o o.png
}

@test "a dry run states size, memory and time" {
    needs jq
    net_py write nstnet 4 1 n.nstnet
    picture large.ppm 640 360 3
    nst --dry-run -s n.nstnet large.ppm >said
    grep -qx 'size             640 x 360' said
    grep -qx 'network          n.nstnet, in one pass' said
    grep -qE 'peak memory      [0-9]+ MiB of' said
    grep -qE 'estimated time   [0-9.]+ s' said
    nst --dry-run --json -s n.nstnet large.ppm |
        jq -e '.size == [640, 360] and .steps == [1] and .peak_memory > 3e7 and .seconds > 0'
}

@test "a large picture is painted in bands within --max-memory, or refused" {
    needs_plain_build
    net_py write nstnet 4 1 n.nstnet
    picture large.ppm 900 700 3
    nst -s n.nstnet large.ppm -o whole.ppm
    nst -v -s n.nstnet large.ppm -o bands.ppm --max-memory 100M 2>said
    cat said
    peak=$(sed -n 's/.*peak memory \([0-9]*\) MiB/\1/p' said)
    [ "$peak" -le 100 ]
    [ "$(largest_difference whole.ppm bands.ppm)" -le 1 ]
    refused 1 '900x700 pixels need more than the 40 MiB that are allowed .--max-memory.; -S N' \
        -s n.nstnet large.ppm -o o.ppm --max-memory 40M
}

@test "a batch is recorded, skipped when done, and a run is repeated to the bit" {
    net_py write nstnet 4 1 n.nstnet
    export NST_HISTORY=$PWD/history
    mkdir in
    for i in 1 2 3; do
        picture in/$i.ppm 48 36 $i
    done
    nst -s n.nstnet in -o out/
    [ "$(cd out && echo *)" = "1-n.ppm 2-n.ppm 3-n.ppm" ]
    nst_history=$(dirname "$NST")/nst-history
    [ "$("$nst_history" list | wc -l)" = 3 ]
    "$nst_history" list | grep -q 'n.nstnet .* 48 x 36  *- '
    id=$("$nst_history" list | awk 'NR == 1 { print $1 }')
    output=$("$nst_history" list | awk 'NR == 1 { print $NF }')
    "$nst_history" rerun "$id" -o again."${output##*.}"
    cmp again."${output##*.}" "$output"
    run --separate-stderr nst -s n.nstnet --format png --name '{stem}.png' in -o png/ --skip-done
    run --separate-stderr nst -s n.nstnet --format png --name '{stem}.png' in -o png/ --skip-done
    [ "$status" = 0 ]
    [[ $stderr == *"0 done, 3 skipped, 0 failed"* ]]
    net_py write nstnet 4 2 n.nstnet # another network of the same name
    run --separate-stderr nst -s n.nstnet --format png --name '{stem}.png' in -o png/ --skip-done
    [[ $stderr == *"3 done, 0 skipped, 0 failed"* ]]
    run ! "$nst_history" rerun "$id" -o no.ppm
}

@test "each frame of a film is painted as a picture is, whatever the number of threads" {
    net_py write nstnet 4 1 n.nstnet
    film 6 >film.y4m
    nst --y4m -s n.nstnet film.y4m -o out.y4m
    [ "$(frames out.y4m)" = 6 ]
    [ "$(stat -c %s out.y4m)" = "$(stat -c %s film.y4m)" ]
    nst --y4m -s n.nstnet -t 1 - -o - <film.y4m | cmp - out.y4m
    # the fourth frame by itself
    { head -n 1 film.y4m && tail -c +$((1 + 41 + 3 * (6 + 2592))) film.y4m | head -c $((6 + 2592)); } >one.y4m
    nst --y4m -s n.nstnet one.y4m -o one-out.y4m
    cmp <(tail -c 2592 one-out.y4m) <(tail -c $((3 * 2598)) out.y4m | head -c 2598 | tail -c 2592)
    # pictures of different sizes in one stream, with a mask for each
    awk 'BEGIN { printf "P2\n48 36\n255\n"; for (i = 0; i < 1728; i++) print i % 48 < 24 ? 255 : 0 }' >mask.pgm
    picture small.ppm 32 24 3
    nst --strength 0 -s n.nstnet photo.ppm -o p6.ppm
    nst --strength 0 -s n.nstnet small.ppm -o s6.ppm
    cat p6.ppm s6.ppm p6.ppm | nst --pnm -s n.nstnet --mask mask.pgm - -o out.pnm
    nst -s n.nstnet --mask mask.pgm photo.ppm -o p.ppm
    nst -s n.nstnet --mask mask.pgm small.ppm -o s.ppm
    cmp <(cat p.ppm s.ppm p.ppm) out.pnm
}

@test "an animation keeps its frames and their times" {
    needs vipsheader
    net_py write nstnet 4 1 n.nstnet
    gif 3 >in.gif
    nst -s n.nstnet in.gif -o out.gif
    [ "$(vipsheader -f n-pages out.gif)" = 3 ]
    [ "$(vipsheader -f delay out.gif)" = "$(vipsheader -f delay in.gif)" ]
    nst -v --json --dry-run -s n.nstnet in.gif -o out.gif >/dev/null
}

@test "a film ends well: stopped, cut short, or when its reader has gone" {
    net_py write nstnet 4 1 n.nstnet
    film 40 >film.y4m
    # the writer waits: after an interrupt the frames so far are a whole film
    mkfifo pipe
    { head -c $((41 + 5 * 2598)) film.y4m && sleep 100; } >pipe 3>&- 4>&- &
    feeder=$!
    env --default-signal=INT "$NST" --progress json --y4m -s n.nstnet pipe -o stopped.y4m \
        2>progress 3>&- 4>&- &
    pid=$!
    wait_until '[ "$(grep -c step progress)" -ge 5 ]'
    kill -INT $pid
    status=0
    wait $pid || status=$?
    kill $feeder
    [ "$status" = 130 ]
    [ "$(frames stopped.y4m)" = 5 ]
    grep -q 'stopped after 5 frames' progress
    # a frame that is cut short: an error, and no file
    head -c 20000 film.y4m >short.y4m
    refused 1 'short.y4m: its last frame is cut short' --y4m -s n.nstnet short.y4m -o o.y4m
    # the reader has gone: it ends by itself
    nst --y4m -s n.nstnet film.y4m -o - | head -c 3000 >/dev/null
    run --separate-stderr nst -q --y4m -s n.nstnet film.y4m -o /dev/full
    [ "$status" = 3 ]
}

@test "an interrupt ends a picture before it is painted, and nothing is written" {
    net_py write nstnet 16 16 n.nstnet
    nst -s n.nstnet photo.ppm -o old.ppm
    # a photograph that takes many seconds, whole and in bands
    picture huge.ppm 2000 2000 3
    for options in '' '--max-memory 512M'; do
        cp old.ppm out.ppm
        rm -f progress
        # shellcheck disable=SC2086 # two words
        env --default-signal=INT "$NST" --progress json -t 1 $options -s n.nstnet \
            huge.ppm -o out.ppm 2>progress 3>&- 4>&- &
        pid=$!
        wait_until '[ -s progress ]' # it has begun
        sleep 0.5                    # and paints, which takes many seconds
        kill -INT $pid
        status=0
        wait $pid || status=$?
        cat progress
        [ "$status" = 130 ]
        cmp out.ppm old.ppm
        [ "$(echo *out.ppm*)" = out.ppm ]
        grep -q 'huge.ppm: stopped; nothing is written' progress
    done
}

@test "with a GPU asked for, a network says that it runs on the CPU" {
    net_py write nstnet 4 1 n.nstnet
    run --separate-stderr nst --device cuda -s n.nstnet photo.ppm -o gpu.ppm
    [ "$status" = 0 ]
    [ "$stderr" = "nst: networks that paint in one pass run on the CPU" ]
    nst --device cpu -s n.nstnet photo.ppm -o cpu.ppm
    cmp gpu.ppm cpu.ppm
}
