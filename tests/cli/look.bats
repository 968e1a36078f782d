#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The look of the result: each option, by a measurable effect.
bats_require_minimum_version 1.5.0
load helper

# first OPTION...: the style loss of the initial image, before any step.
first() {
    nst -o first.ppm --trace first.jsonl --max-evaluations 1 "$@"
    jq -r 'select(.evaluation == 1) | .style_loss' first.jsonl
}

# total ARG...: the total loss of the first evaluation.
total() {
    first "$@" >/dev/null
    jq -r 'select(.evaluation == 1) | .total_loss' first.jsonl
}

# final FILE: the total loss in the last line of a trace.
final() {
    jq -r 'select(.final) | .total_loss' "$1"
}

less() {
    echo "$1 < $2"
    awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'
}

samples() { # of a PPM of 32 x 24, one a line
    tail -c 2304 "$1" | od -An -v -tu1 -w1
}

@test "--list-presets describes the presets, including the user's" {
    mkdir -p config/nst/presets
    echo '{"description": "of my own", "options": {"size": 64}}' >config/nst/presets/mine.json
    echo '{"options": {"size": 7}}' >config/nst/presets/wrong.json
    echo '{"options": {"scales": "64,32"}}' >config/nst/presets/falling.json
    XDG_CONFIG_HOME=$PWD/config "$NST" --list-presets >list
    grep -qE '^mine +of my own$' list
    grep -qE "^wrong .*'7' is not" list
    grep -qE '^falling .*falling.json: scales: 32 follows 64, but the sizes must increase' list
    for preset in classic draft fine gatys painting photo-colours portrait poster texture; do
        grep -qE "^$preset +[A-Z]" list
    done
}

@test "--show-config prints a preset with the same effect" {
    needs jq
    "$NST" -p portrait -S 700 --strength 0.3 -c 2 --pooling avg --show-config >one.json
    jq -e '.options | .size == 700 and .strength == 0.3 and .scales == "128.." and
        .pooling == "avg" and ."content-weight" == 2' one.json
    "$NST" -p ./one.json --show-config >two.json
    cmp one.json two.json
}

@test "the command line overrides a preset in any order" {
    needs jq
    "$NST" -w 5 -p texture --show-config | jq -e '.options."style-weight" == 5 and
        .options.init == "noise"'
    echo '{"options": {"scales": "256,512,1024", "scale-iterations": "9,5,2"}}' >three.json
    "$NST" -p ./three.json -n 8 --show-config | jq -e '.options."scale-iterations" == "auto"'
    for scales in none 512,1024; do # other than the three that it has steps for
        "$NST" -p ./three.json --scales $scales --show-config |
            jq -e '.options."scale-iterations" == "auto"'
    done
    "$NST" --scale-iterations 3,2,1 --scales 64,128,256 --show-config |
        jq -e '.options."scale-iterations" == "3,2,1"'
}

@test "the command line overrides a preset, which overrides the configuration" {
    needs jq
    mkdir -p config/nst
    export XDG_CONFIG_HOME=$PWD/config
    echo '{"options": {"style-weight": 11, "size": 100, "iterations": 9, "threads": 1}}' \
        >config/nst/config.json
    "$NST" --show-config | jq -e '.options | ."style-weight" == 11 and .size == 100'
    "$NST" -p draft --show-config |
        jq -e '.options | ."style-weight" == 11 and .size == 256 and .iterations == 40'
    "$NST" -p draft -n 5 -w 3 --show-config |
        jq -e '.options | ."style-weight" == 3 and .size == 256 and .iterations == 5'
    "$NST" --config none --show-config | jq -e '.options.size == 512'
    echo '{"options": {"size": 99, "quiet": true}}' >other.json
    "$NST" --config other.json --show-config | jq -e '.options.size == 99'
    nst --config other.json -s style.ppm photo.ppm -o out.ppm --verbose 2>log
    [ ! -s log ]
    for wrong in '{"options": {"output": "x"}}' '{"options": {"style": ""}}' \
        '{"options": {"style": ["x"]}}' '{"options": {"style": "x:0"}}' \
        '{"options": {"preset": 5}}' '{"options": {"preset": "nobody"}}' \
        '{"preset": "draft", "options": {}}' '{"options": {"sise": 7}}' '{"options": {"size": 7}}' \
        '{"options": 7}' '[]' '{'; do
        echo "$wrong" >other.json
        refused 2 'other.json: ' --config other.json -s style.ppm photo.ppm -o no.ppm
    done
    refused 2 'no.json: No such file' --config no.json -s style.ppm photo.ppm -o no.ppm
}

@test "the configuration can name a preset, which --preset replaces" {
    needs jq
    echo '{"options": {"style-weight": 50, "square": true}}' >mine.json
    echo '{"options": {"size": 96, "preset": "./mine.json"}}' >config.json
    shown() { "$NST" --config config.json --show-config "$@" | jq -c '.options |
        [."style-weight", .square, .size]'; }
    [ "$(shown)" = '[50,true,96]' ]
    [ "$(shown -w 3 -S 64)" = '[3,true,64]' ]
    # the preset applies before the other options, wherever it stands
    echo '{"options": {"size": 40, "style-weight": 7}}' >mine.json
    [ "$(shown)" = '[7,false,96]' ]
    echo '{"options": {"size": 48, "square": true}}' >other.json
    [ "$(shown -p ./other.json)" = '[7000,true,48]' ]
    # a resumed run has its own options
    nst --config none -s style.ppm photo.ppm -o a.png --checkpoint ck
    "$NST" --config config.json -q -s style.ppm photo.ppm -o b.png --resume ck
    [ "$(dimensions b.png)" = "$(dimensions a.png)" ]
    # a preset cannot name another one
    echo '{"options": {"preset": "draft"}}' >mine.json
    refused 2 "config.json: ./mine.json: 'preset' is not an option that a preset may set" \
        --config config.json -s style.ppm photo.ppm -o no.ppm
    echo '{"options": {"preset": "nobody"}}' >config.json
    refused 2 "config.json: preset 'nobody': no file" --config config.json -s style.ppm \
        photo.ppm -o no.ppm
    nst --config config.json -p draft -s style.ppm photo.ppm -o out.ppm
}

@test "the style of the configuration applies if the command line has none" {
    echo '{"options": {"style": "style.ppm:0.7"}}' >config.json
    nst --config none -s style.ppm photo.ppm -o a.ppm
    nst --config none -s munch photo.ppm -o b.ppm
    nst --config config.json photo.ppm -o c.ppm
    cmp a.ppm c.ppm
    nst --config config.json -s munch photo.ppm -o c.ppm
    cmp b.ppm c.ppm
    echo '{"options": {"style": "munch"}}' >config.json
    nst --config config.json photo.ppm -o c.ppm
    cmp b.ppm c.ppm
    # style options of the command line apply to it too
    nst --config none -s munch --layers relu1_1 photo.ppm -o b.ppm
    nst --config config.json --layers relu1_1 photo.ppm -o c.ppm
    cmp b.ppm c.ppm
    mkdir made
    nst --config config.json photo.ppm -o made
    [ -s made/photo-munch.ppm ]
    refused 2 'no style is given' --config none photo.ppm -o no.ppm
    echo '{"options": {"style": "nobody"}}' >config.json
    refused 2 'nobody' --config config.json photo.ppm -o no.ppm
}

@test "scales run one after the other and are reported as one run" {
    needs jq
    nst -s style.ppm photo.ppm -o out.png --scales 16,32,48 -n 8 --trace t.jsonl
    jq -es 'map(select(.final | not)) |
        (map(.scale) | unique) == [16, 32, 48] and
        map(.evaluation) == [range(1; length + 1)] and
        ([.[] | select(.accepted) | .scale] | group_by(.) | map(length - 1)) == [4, 2, 2]' t.jsonl
    [ "$(dimensions out.png)" = 48x36 ]
    nst -s style.ppm photo.ppm -o out.png --scales 16,32 --scale-iterations 5,2 \
        --progress json 2>progress
    jq -es '(map(.total) | unique) == [7] and .[-1].done == 7' progress
    nst -s style.ppm photo.ppm --scales 16,32,48 -S 40 --dry-run --json |
        jq -e '.scales == [16, 32, 40]'
    nst -s style.ppm photo.ppm -S 1100 --dry-run --json |
        jq -e '.scales == [64, 128, 256, 512, 1100]'
    nst -s style.ppm photo.ppm -S 512 -n 300 --dry-run --json |
        jq -e '.scales == [64, 128, 256, 512] and .steps == [150, 75, 37, 38]'
    nst -s style.ppm photo.ppm -S 70 --scales 64.. --dry-run --json | jq -e '.scales == [70]'
    picture wide.ppm 256 16 3
    nst -s style.ppm wide.ppm -S 512 --scales 64.. --dry-run --json | jq -e '.scales == [256, 512]'
}

@test "progress weights a step by the pixels of its scale" {
    needs jq
    nst -s style.ppm photo.ppm -o out.png --scales 64,256 --scale-iterations 100,20 \
        --padding zero --progress json 2>progress
    # 64 x 64 x 100 of 64 x 64 x 100 + 256 x 256 x 20
    jq -es '(map(select(.done == 100)) | .[0]) as $small |
        ($small.percent - 23.8 | fabs) < 0.1 and
        $small.eta_seconds > 5 * 20 * $small.seconds / 100 and
        .[-1].percent == 100 and .[-1].eta_seconds == 0' progress
}

@test "a start from a smaller scale ends with a lower loss than one from the photograph" {
    needs jq
    nst -s style.ppm photo.ppm -o a.ppm -S 96 -n 5 --trace single.jsonl
    nst -s style.ppm photo.ppm -o b.ppm --scales 24,48,96 --scale-iterations 60,30,5 \
        --trace scales.jsonl
    less "$(final scales.jsonl)" "$(final single.jsonl)"
}

@test "--scale-mode blend reports the loss of the blended image" {
    needs jq
    nst -p classic -s style.ppm photo.ppm -o blend.png --scales 16,32 --scale-mode blend --trace t.jsonl
    less "$(jq -r 'select(.scale == 32 and .accepted) | .total_loss' t.jsonl | tail -n 1)" \
        "$(final t.jsonl)"
}

@test "an interrupt at a small scale writes an image of the full size" {
    local ended=0
    interrupt_nst -s style.ppm photo.ppm -o out.png --scales 256,320 \
        --scale-iterations 100000,10 || ended=$?
    [ "$ended" = 130 ]
    [ "$(dimensions out.png)" = 320x240 ]
}

@test "several styles are mixed by weight" {
    needs jq
    picture other.ppm 44 30 23
    nst -s style.ppm photo.ppm -o a.ppm -n 20
    nst -s style.ppm:2 -s other.ppm:2 photo.ppm -o mix.ppm -n 20
    nst -s style.ppm:0.5 -s other.ppm:0.5 photo.ppm -o same.ppm -n 20
    nst -s other.ppm photo.ppm -o b.ppm -n 20
    samples mix.ppm >m.txt
    samples same.ppm | cmp - m.txt
    # closer to each style than the result of the other style alone
    less "$(first -s style.ppm --init mix.ppm photo.ppm)" \
        "$(first -s style.ppm --init b.ppm photo.ppm)"
    less "$(first -s other.ppm --init mix.ppm photo.ppm)" \
        "$(first -s other.ppm --init a.ppm photo.ppm)"
    nst -s style.ppm -s other.ppm photo.ppm -o mix.png
    exiftool -b -nst mix.png | jq -e '.nst.style ==
        [{"file": "style.ppm", "weight": 1}, {"file": "other.ppm", "weight": 1}]'
    nst -s style.ppm -s other.ppm photo.ppm -o made/
    [ -s made/photo-style+other.ppm ]
}

# mask FILE: make a PGM of the photograph's size, 48 x 36, with a white left half.
mask() {
    awk 'BEGIN {
        print "P2\n48 36\n255"
        for (i = 0; i < 48 * 36; i++)
            print i % 48 < 24 ? 255 : 0
    }' >"$1"
}

# change FILE: the distances of the left and right quarters from the photograph.
change() {
    nst -s style.ppm photo.ppm -o start.ppm --strength 0
    paste <(samples "$1") <(samples start.ppm) | awk '{
        d = $1 > $2 ? $1 - $2 : $2 - $1
        column = int((NR - 1) / 3) % 32
        if (column < 8) left += d
        if (column >= 24) right += d
    } END { print left, right }'
}

@test "a mask limits its style to an area, and the rest stays like the photograph" {
    mask left.pgm
    nst -s style.ppm --mask left.pgm photo.ppm -o half.ppm -n 30
    read -r left right <<<"$(change half.ppm)"
    less "$((right * 4))" "$left"
    # styles without a mask share the rest
    picture other.ppm 44 30 23
    nst -s style.ppm --mask left.pgm -s other.ppm photo.ppm -o both.ppm -n 30
    nst -s other.ppm photo.ppm -o other-all.ppm -n 30
    nst -s style.ppm photo.ppm -o style-all.ppm -n 30
    paste <(samples both.ppm) <(samples style-all.ppm) <(samples other-all.ppm) | awk '
        function abs(v) { return v < 0 ? -v : v }
        int((NR - 1) / 3) % 32 < 12 { left_style += abs($1 - $2); left_other += abs($1 - $3) }
        int((NR - 1) / 3) % 32 >= 20 { right_style += abs($1 - $2); right_other += abs($1 - $3) }
        END {
            print left_style, left_other, right_style, right_other
            exit !(left_style < left_other && right_other < right_style)
        }'
}

# half FILE LEFT RIGHT: make a 48 x 36 PAM whose halves have these RGBA bytes.
half() {
    local row
    row=$(for bytes in "$2" "$3"; do
        for i in $(seq 24); do printf '%s' "$bytes"; done
    done)
    {
        printf 'P7\nWIDTH 48\nHEIGHT 36\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n'
        for _ in $(seq 36); do printf '%b' "$row"; done
    } >"$1"
}

@test "colours under transparent pixels of masks and styles have no effect at any size" {
    half opaque.pam '\xff\xff\xff\xff' '\x00\x00\x00\xff'
    half white.pam '\xff\xff\xff\xff' '\xff\xff\xff\x00'
    half black.pam '\xff\xff\xff\xff' '\x00\x00\x00\x00'
    half red.pam '\x40\x20\x80\xff' '\xff\x00\x00\x00'
    half green.pam '\x40\x20\x80\xff' '\x00\xff\x00\x00'
    half paper.pam '\x40\x20\x80\xff' '\xff\xff\xff\xff'
    for size in native 32; do
        for as in mask keep-mask; do
            nst --size $size -s style.ppm --$as white.pam photo.ppm -o white.ppm
            nst --size $size -s style.ppm --$as black.pam photo.ppm -o black.ppm
            cmp white.ppm black.ppm
        done
        nst --size $size -s red.pam photo.ppm -o red.ppm
        nst --size $size -s green.pam photo.ppm -o green.ppm
        cmp red.ppm green.ppm
    done
    # transparent pixels count as black in masks and as white in styles
    nst --size native -s style.ppm --keep-mask opaque.pam photo.ppm -o opaque.ppm
    nst --size native -s style.ppm --keep-mask white.pam photo.ppm -o white.ppm
    cmp white.ppm opaque.ppm
    nst --size native -s paper.pam photo.ppm -o paper.ppm
    nst --size native -s red.pam photo.ppm -o red.ppm
    cmp red.ppm paper.ppm
}

@test "a white mask changes nothing, and overlapping masks mix their styles" {
    needs jq
    picture white.ppm 48 36 0
    awk 'NR < 4 { print; next } { print "255 255 255" }' white.ppm >w.ppm
    near() { awk -v a="$1" -v b="$2" 'BEGIN { print a, b; exit !(a > b * 0.999 && a < b * 1.001) }'; }
    nst -s style.ppm photo.ppm -o a.ppm --trace a.jsonl
    nst -s style.ppm --mask w.ppm photo.ppm -o b.ppm --trace b.jsonl
    near "$(final a.jsonl)" "$(final b.jsonl)"
    # the loss of a mixed target differs from that of two targets only by a constant
    picture other.ppm 44 30 23
    gradient() { jq -r 'select(.evaluation == 1) | .gradient_norm' "$1"; }
    nst -s style.ppm:3 -s other.ppm photo.ppm -o a.ppm --trace a.jsonl
    nst -s style.ppm:3 --mask w.ppm -s other.ppm --mask w.ppm photo.ppm -o b.ppm --trace b.jsonl
    near "$(gradient a.jsonl)" "$(gradient b.jsonl)"
}

@test "masks work with scales, tiles, padding, style packs and --keep-mask" {
    mask left.pgm
    nst -s style.ppm --mask left.pgm -s munch photo.ppm -o out.png --scales 24,48 \
        --padding reflect --keep-mask left.pgm --optimiser adam
    [ "$(dimensions out.png)" = 48x36 ]
    nst -s style.ppm --mask left.pgm photo.ppm -o one.ppm -S 96 -n 5
    nst -s style.ppm --mask left.pgm photo.ppm -o tiles.ppm -S 96 -n 5 --tile 32
    paste <(tail -c 20736 one.ppm | od -An -v -tu1 -w1) \
        <(tail -c 20736 tiles.ppm | od -An -v -tu1 -w1) |
        awk '{ d = $1 - $2; if (d > 2 || d < -2) exit 1 }'
}

@test "--layers limits a style to some of the layers" {
    needs jq
    near() { awk -v a="$1" -v b="$2" 'BEGIN { print a, b; exit !(a > b * 0.999 && a < b * 1.001) }'; }
    near "$(first -p classic -s style.ppm --layers conv_1,conv_3:2 photo.ppm)" \
        "$(first -p classic -s style.ppm --style-layers conv_1,conv_3:2 photo.ppm)"
    near "$(first -p classic -s style.ppm --layers conv_1 -s style.ppm \
        --layers conv_2,conv_3,conv_4,conv_5 photo.ppm)" \
        "$(awk -v l="$(first -p classic -s style.ppm photo.ppm)" 'BEGIN { print l / 2 }')"
    refused 2 'layers: conv5_4 .for style.ppm. is not one' -s style.ppm --layers conv5_4 \
        photo.ppm -o out.ppm
    refused 2 "mask: 'm.png': must follow" --mask m.png -s style.ppm photo.ppm -o out.ppm
    refused 2 'm.png: ' -s style.ppm --mask m.png photo.ppm -o out.ppm
}

@test "--adaptive parameters follows the complexity of the images and reports changes" {
    needs jq
    awk 'BEGIN { print "P2\n40 32\n255"; for (i = 0; i < 1280; i++) print i % 3 * 127 }' >busy.pgm
    awk 'BEGIN { print "P2\n40 32\n255"; for (i = 0; i < 1280; i++) print int(i / 40) * 3 }' >calm.pgm
    nst -s busy.pgm calm.pgm -o a.png --adaptive parameters 2>log
    grep -qE 'nst: adaptive: style complexity 0.* is above 0.08: 5 steps instead of 3' log
    exiftool -b -nst a.png | jq -e '.nst | .iterations == 5 and .options.iterations == 3'
    nst -s busy.pgm calm.pgm -o a.png --adaptive parameters --scales 16,32 \
        --scale-iterations 9,3 2>log
    grep -q '0.08: 5/3 of the steps at each scale' log
    [ "$(exiftool -b -nst a.png | jq .nst.iterations)" = 20 ]
    nst -s calm.pgm busy.pgm -o a.png --adaptive both --optimiser adam 2>log
    grep -q 'content complexity .* learning rate 0.01 instead of 0.02' log
    nst -s calm.pgm calm.pgm -o a.png --adaptive parameters 2>log
    run ! grep adaptive log
    nst -s busy.pgm calm.pgm -o a.png 2>log
    run ! grep adaptive log
}

@test "a run with adaptive parameters is resumed, skipped and repeated to the byte" {
    needs jq
    awk 'BEGIN { print "P2\n40 32\n255"; for (i = 0; i < 1280; i++) print i % 3 * 127 }' >busy.pgm
    export NST_HISTORY=$PWD/runs.jsonl
    nst -s busy.pgm photo.ppm -o a.png --adaptive parameters -n 30 -q
    nst -s busy.pgm photo.ppm -o b.png --adaptive parameters -n 12 -q --checkpoint ck
    nst -s busy.pgm photo.ppm -o b.png --resume ck -n 30 -q
    cmp a.png b.png
    nst -s busy.pgm photo.ppm -o a.png --adaptive parameters -n 30 --skip-done 2>log
    grep -q 'a.png: is up to date' log
    "$(dirname "$NST")/nst-history" rerun -o c.png "$("$(dirname "$NST")/nst-history" list |
        awk 'NR == 1 { print $1 }')"
    cmp a.png c.png
}

@test "an adaptive weight grows if its loss rises over ten steps, and --resume keeps it" {
    needs jq
    nst -p classic -s style.ppm photo.ppm -o a.png --adaptive weights -n 40 --trace t.jsonl 2>log
    grep -qE 'adaptive: the content loss rose at step [0-9]+; its weight goes from 1 to 1.1' log
    jq -es 'map(select(.evaluation and .accepted)) | .[-1].iteration == 40' t.jsonl
    for optimiser in lbfgs adam; do
        nst -s style.ppm photo.ppm -o a.png --adaptive weights -n 40 --optimiser $optimiser -q
        nst -s style.ppm photo.ppm -o b.png --adaptive weights -n 17 --optimiser $optimiser -q \
            --checkpoint ck
        nst -s style.ppm photo.ppm -o b.png --resume ck -n 40 -q
        cmp a.png b.png
    done
}

@test "--moment-weight matches means and deviations beside Gram matrices" {
    needs jq
    nst -s style.ppm photo.ppm -o a.ppm -n 30 --moment-weight 0
    nst -s style.ppm photo.ppm -o b.ppm -n 30 --moment-weight 1000
    less "$(total -s style.ppm --moment-weight 1000 --init b.ppm photo.ppm)" \
        "$(total -s style.ppm --moment-weight 1000 --init a.ppm photo.ppm)"
}

@test "the moment loss scales with the style weight" {
    needs jq
    awk -v a="$(total -c 0 -w 14000 -s style.ppm photo.ppm)" \
        -v b="$(total -c 0 -w 7000 -s style.ppm photo.ppm)" \
        'BEGIN { print a, 2 * b; exit !(a > 1.999 * b && a < 2.001 * b) }'
}

@test "--style-scale sizes the style image as a multiple of the content" {
    nst -s style.ppm photo.ppm -o out.png --style-scale 2 --verbose 2>log
    grep -q 'content 32x24, style 64x51' log
}

@test "more strength lowers the style loss, and strength 0 gives the photograph" {
    needs jq
    nst -s style.ppm photo.ppm -o start.ppm --strength 0
    nst -s style.ppm photo.ppm -o noisy.ppm --style-weight 0
    samples start.ppm >a.txt
    samples noisy.ppm | cmp - a.txt
    before=1e9
    for strength in 0 0.3 0.7 1; do
        nst -s style.ppm photo.ppm -o s.ppm -n 60 --strength $strength
        loss=$(first -s style.ppm --init s.ppm photo.ppm)
        less "$loss" "$before"
        before=$loss
    done
}

@test "noise with the same seed gives the same image, and another seed another one" {
    nst -s style.ppm photo.ppm -o a.ppm --init noise
    nst -s style.ppm photo.ppm -o b.ppm --init noise --seed 0
    nst -s style.ppm photo.ppm -o c.ppm --init noise --seed 1
    cmp a.ppm b.ppm
    run ! cmp -s a.ppm c.ppm
}

@test "--init continues from a result where it ended, up to rounding" {
    needs jq
    nst -s style.ppm photo.ppm -o a.ppm -n 40 --trace a.jsonl
    nst -s style.ppm photo.ppm -o b.ppm -n 1 --init a.ppm --trace b.jsonl
    less "$(jq -r 'select(.evaluation == 1) | .total_loss' b.jsonl)" \
        "$(jq -r 'select(.iteration == 20 and .accepted) | .total_loss' a.jsonl)"
}

@test "the total variation loss smooths the image" {
    nst -s style.ppm photo.ppm -o a.ppm -n 40
    nst -s style.ppm photo.ppm -o b.ppm -n 40 --tv-weight 1000
    roughness() {
        samples "$1" | awk 'NR > 3 { d = $1 - old[NR % 3]; s += d * d }
            { old[NR % 3] = $1 } END { print s / NR }'
    }
    less "$(roughness b.ppm)" "$(roughness a.ppm)"
}

@test "--colour content keeps the content's colours, and match comes closer than style" {
    nst -s style.ppm photo.ppm -o start.ppm --strength 0
    for kind in style content match; do
        nst -p classic -s style.ppm photo.ppm -o with-$kind.ppm -n 40 --colour $kind
    done
    chroma() { # red less blue, pixel by pixel
        samples "$1" | paste - - - | awk '{ print $1 - $3 }'
    }
    chroma start.ppm >photo.chroma
    for kind in style content match; do
        chroma with-$kind.ppm | paste - photo.chroma |
            awk '{ d = $1 - $2; s += d < 0 ? -d : d } END { print s / NR }' >$kind.away
    done
    less "$(cat content.away)" 12 # where the brightness leaves room for it
    less "$(cat content.away)" "$(cat match.away)"
    less "$(cat match.away)" "$(cat style.away)"
}

@test "--colour match accepts grey images and gives the same for any number of threads" {
    awk 'BEGIN { print "P2\n40 32\n255"; for (i = 0; i < 1280; i++) print i % 200 }' >grey.pgm
    nst -s style.ppm grey.pgm -o a.ppm -n 20 --colour match
    # the result has almost no colour, so the style was turned grey
    samples a.ppm | paste - - - | awk '{ d = $1 - $3; s += d < 0 ? -d : d }
        END { print s / NR; exit s / NR > 30 }'
    nst -s grey.pgm photo.ppm -o b.ppm -n 20 --colour match -t 1
    nst -s grey.pgm photo.ppm -o c.ppm -n 20 --colour match -t 3
    cmp b.ppm c.ppm
    run ! cmp -s b.ppm a.ppm
}

@test "--keep-mask preserves the white area, and the rest is stylised" {
    needs jq
    awk 'BEGIN { print "P2 64 48 255"; for (i = 0; i < 64 * 48; i++)
        print i % 64 < 32 ? 255 : 0 }' >mask.pgm
    nst -s style.ppm photo.ppm -o start.ppm --strength 0
    for scales in none 16,32; do
        for init in content noise; do
            nst -s style.ppm photo.ppm -o kept.ppm -n 30 --keep-mask mask.pgm \
                --scales $scales -S 32 --init $init --trace t.jsonl
            paste <(samples start.ppm) <(samples kept.ppm) | awk '
                { x = int((NR - 1) / 3) % 32; d = $1 - $2; d = d < 0 ? -d : d }
                x < 14 && d > 1 { bad++ }
                x > 18 { away += d; n++ }
                END { print bad + 0, away / n; exit bad || away / n < 10 }'
            less "$(final t.jsonl)" "$(jq -r 'select(.evaluation == 1) | .total_loss' t.jsonl)"
        done
    done
    exiftool -b -nst <(nst -s style.ppm photo.ppm --keep-mask ./mask.pgm) |
        jq -e '.nst.options."keep-mask" == "mask.pgm"'
}

@test "a grey --keep-mask keeps half of the content" {
    needs jq
    near() { awk -v a="$1" -v b="$2" 'BEGIN { print a, b; exit !(a > b * 0.8 && a < b * 1.2) }'; }
    awk 'BEGIN { print "P2 48 36 255"; for (i = 0; i < 48 * 36; i++) print 128 }' >half.pgm
    nst -s style.ppm photo.ppm -o start.ppm --strength 0
    # one step from black changes little
    awk 'NR < 4 { print; next } { print "0 0 0" }' photo.ppm >black.ppm
    nst -p classic -s style.ppm photo.ppm -o half.ppm --keep-mask half.pgm --init black.ppm \
        -n 1 --optimiser adam --learning-rate 0.001 --trace t.jsonl
    paste <(samples start.ppm) <(samples half.ppm) | awk '
        { d = $2 - $1 / 2; sum += d < 0 ? -d : d }
        END { print sum / NR; exit sum / NR > 3 }'
    # the reported loss is that of this image
    near "$(final t.jsonl)" "$(jq -r 'select(.evaluation == 1) | .total_loss' t.jsonl)"
}

@test "--padding changes the border, and the result keeps its size" {
    needs jq
    for padding in zero replicate reflect; do
        nst -s style.ppm photo.ppm -o $padding.ppm -n 20 --padding $padding -w 1e6
    done
    [ "$(samples reflect.ppm | wc -l)" = 2304 ]
    run ! cmp -s zero.ppm replicate.ppm
    run ! cmp -s replicate.ppm reflect.ppm
    nst -s style.ppm photo.ppm -o start.ppm --strength 0
    nst -s style.ppm photo.ppm -o same.ppm --strength 0 --padding reflect
    samples same.ppm >a.txt
    samples start.ppm | cmp - a.txt
    nst -s style.ppm photo.ppm -o out.png --padding reflect --scales 16,32 --scale-mode blend \
        --trace t.jsonl
    jq -es '(map(select(.evaluation).scale) | unique) == [16, 32]' t.jsonl
    [ "$(dimensions out.png)" = 32x24 ]
    nst -s style.ppm photo.ppm --padding reflect --dry-run --json | jq -e '.size == [32, 24]'
    nst -s style.ppm photo.ppm -o whole.ppm --padding reflect
    nst -s style.ppm photo.ppm -o tiles.ppm --padding reflect --tile 16
    paste <(samples whole.ppm) <(samples tiles.ppm) |
        awk '{ d = $1 - $2; d = d < 0 ? -d : d } d > 1 { bad++ } END { print bad + 0; exit bad > 20 }'
}

@test "Adam lowers the loss with one evaluation per step and reports the final loss" {
    needs jq
    nst() { "$NST" -p classic --size 32 --progress none "$@"; }
    nst -s style.ppm photo.ppm -o a.ppm -n 60 --optimiser adam --trace a.jsonl
    less "$(final a.jsonl)" "$(jq -r 'select(.evaluation == 1) | .total_loss / 4' a.jsonl)"
    [ "$(grep -c '"evaluation"' a.jsonl)" = 60 ]
    # rounding to 8 bits raises the loss a little
    nst -s style.ppm photo.ppm -o b.ppm --init a.ppm --max-evaluations 1 --trace b.jsonl
    less "$(final b.jsonl)" "$(jq -r 'select(.final) | .total_loss * 1.5' a.jsonl)"
    nst -s style.ppm photo.ppm -o c.ppm -n 60 --optimiser adam --threads 3
    cmp a.ppm c.ppm
    nst -s style.ppm photo.ppm -o d.ppm --optimiser adam --scales 16,32 -n 30 --trace d.jsonl
    less "$(final d.jsonl)" "$(jq -r 'select(.evaluation == 19) | .total_loss' d.jsonl)"
}

@test "strength 0 gives the photograph at one scale and at several" {
    nst -s style.ppm photo.ppm -o start.ppm --strength 0 --scales none
    nst -s style.ppm photo.ppm -o fine.ppm --strength 0 --scales 16,24,32
    paste <(samples start.ppm) <(samples fine.ppm) |
        awk '{ d = $1 - $2; if (d > 1 || d < -1) exit 1 }'
}

@test "invalid values and combinations are refused" {
    refused 2 'scales: 16 follows 32' -s style.ppm photo.ppm -o x.ppm --scales 32,16
    refused 2 "scales: '8' is not a list of up to 8 whole numbers between 16 and 65536" \
        -s style.ppm photo.ppm -o x.ppm --scales 8
    refused 2 'scale-iterations: 3 values for 2 scales' \
        -s style.ppm photo.ppm -o x.ppm --scales 16,32 --scale-iterations 1,2,3
    refused 2 "strength: '1.5' is not a number between 0 and 1" \
        -s style.ppm photo.ppm -o x.ppm --strength 1.5
    refused 2 "style: 'style.ppm:0': the weight" -s style.ppm:0 photo.ppm -o x.ppm
    refused 2 'style-scale: cannot be combined' -s style.ppm photo.ppm -o x.ppm -S native --style-scale 2
    refused 2 'none.ppm' -s style.ppm photo.ppm -o x.ppm --init none.ppm
    refused 2 'style.ppm: is an input file' -s photo.ppm --init style.ppm photo.ppm -o style.ppm
}

@test "-v prints how long each part of a run takes" {
    nst -v --progress none -s style.ppm photo.ppm -o out.png -S 32 -n 2 2>said
    grep -qE 'photo.ppm: [0-9.]+ s to read, [0-9.]+ s to prepare scales, [0-9.]+ s to optimise, [0-9.]+ s to write$' said
}
