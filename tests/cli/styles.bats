#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Style packs: made, blended, found by name, and equal to their images.
bats_require_minimum_version 1.5.0
load helper

nst_style() {
    "$(dirname "$NST")/nst-style" "$@"
}

# first OPTION...: the style loss of the photograph before any step, with the padding
# of packs.
first() {
    nst photo.ppm -o first.ppm --trace first.jsonl --max-evaluations 1 \
        --padding reflect "$@"
    jq -r 'select(.evaluation == 1) | .style_loss' first.jsonl
}

# near A B PERCENT: A differs from B by less than that.
near() {
    echo "$1 and $2"
    awk -v a="$1" -v b="$2" -v p="$3" 'BEGIN {
        d = a / b - 1
        exit !(d < p / 100 && -d < p / 100)
    }'
}

@test "nst lists packs and networks as nst-style and nst-model do" {
    "$NST" --list-styles | diff - <("$NST-style" list)
    "$NST" --list-models | diff - <("$NST-model" list)
}

@test "a picture is no style pack, and the remedy is named" {
    run "$NST-style" info photo.ppm
    [ "$status" = 2 ]
    [[ $output == "nst-style: photo.ppm: is not a style pack, whose name ends in .nststyle; nst-style pack makes"* ]]
}

@test "a pack equals its image at its sizes and approximates it between them" {
    needs jq
    picture painting.ppm 200 150 5
    nst_style pack painting.ppm --scales 32,64,128 -o pack.nststyle
    for size in 32 64; do
        near "$(first -S $size -s pack.nststyle)" "$(first -S $size -s painting.ppm)" 0.2
    done
    near "$(first -S 48 -s pack.nststyle)" "$(first -S 48 -s painting.ppm)" 40
    for preset in gatys fine painting texture; do
        nst -p $preset -S 64 --iterations 2 -s pack.nststyle photo.ppm -o out.ppm
    done
    near "$(first --moment-weight 1 -s pack.nststyle)" \
        "$(first --moment-weight 1 -s painting.ppm)" 0.2
}

@test "packs of several images and blended packs equal several styles" {
    needs jq
    picture other.ppm 44 30 23
    nst_style pack style.ppm:3 other.ppm --scales 32 -o mix.nststyle
    near "$(first -s mix.nststyle)" "$(first -s style.ppm:3 -s other.ppm)" 0.2
    nst_style pack style.ppm --scales 32 -o a.nststyle
    nst_style pack other.ppm --scales 32 -o b.nststyle
    nst_style blend a.nststyle:3 b.nststyle -o blend.nststyle
    near "$(first -s blend.nststyle)" "$(first -s mix.nststyle)" 0.2
    near "$(first -s a.nststyle:3 -s other.ppm)" "$(first -s mix.nststyle)" 0.2
}

@test "a pack equals its enlarged image and has sizes for each layer" {
    needs jq
    nst_style pack style.ppm --scales 16,64 -o pack.nststyle
    near "$(first -S 64 -s pack.nststyle)" "$(first -S 64 -s style.ppm)" 0.2
    nst_style pack style.ppm -o all.nststyle
    [ "$(wc -c <all.nststyle)" -lt 380000 ] # and a preview has up to 20000
    nst_style info --json all.nststyle >info
    [ "$(jq -c '[.layers[] | select(.layer == "relu4_1" and .pooling == "max") | .scales]' info)" \
        = '[[64,128,256,512,1024,2048]]' ]
    [ "$(jq -c '[.layers[] | select(.layer == "relu4_1" and .pooling == "avg") | .scales]' info)" \
        = '[[512,1024]]' ]
    [ "$(jq -c '[.layers[] | select(.layer == "conv1_1") | .pooling]' info)" = '["any"]' ]
    nst_style info all.nststyle | grep -q '^layer    relu5_1, average pooling, 128 channels, at 512 1024 pixels, '
    # the layers of each preset work with each pooling
    for preset in classic gatys; do
        for pooling in max avg; do
            nst -p $preset --pooling $pooling -s all.nststyle photo.ppm -o out.ppm
        done
    done
    # given layers and scales apply to both kinds of pooling
    nst_style pack style.ppm --scales 32 --style-layers relu2_1 -o one.nststyle
    [ "$(nst_style info --json one.nststyle | jq -c '[.layers[] | [.layer, .pooling, .scales]]')" \
        = '[["relu2_1","max",[32]],["relu2_1","avg",[32]]]' ]
}

@test "a pack stores artist, title, year and a preview" {
    needs jq
    small="--scales 32 --style-layers relu1_1"
    # shellcheck disable=SC2086 # word splitting is intended
    nst_style pack style.ppm $small --artist 'Ada B.' --title Squares --year 'c. 1830' \
        --preview photo.ppm -o a.nststyle
    [ "$(nst_style info --json a.nststyle | jq -c '[.from, .artist, .title, .year]')" \
        = '["Ada B., Squares, c. 1830","Ada B.","Squares","c. 1830"]' ]
    nst_style info a.nststyle | grep -qE '^preview  a JPEG of [0-9]+ bytes$'
    # a single pack keeps its other texts, and may be the output
    cp a.nststyle before
    nst_style blend a.nststyle -o a.nststyle
    cmp a.nststyle before
    nst_style blend a.nststyle --title Circles -o a.nststyle
    [ "$(nst_style info --json a.nststyle | jq -c '[.from, .artist, .title, .preview > 0]')" \
        = '["Ada B., Squares, c. 1830","Ada B.","Circles",true]' ]
    # a blend of several packs inherits no texts
    # shellcheck disable=SC2086
    nst_style pack style.ppm $small --from mine -o b.nststyle
    nst_style blend a.nststyle b.nststyle -o c.nststyle
    [ "$(nst_style info --json c.nststyle | jq -c '[.from, .artist, .preview]')" \
        = '["a.nststyle, b.nststyle",null,0]' ]
    # texts become one line
    # shellcheck disable=SC2086
    nst_style pack style.ppm $small --artist $'A\nB\e[1m' -o d.nststyle
    [ "$(nst_style info --json d.nststyle | jq -r .artist)" = 'A B [1m' ]
    run nst_style blend a.nststyle --preview none.png -o e.nststyle
    [ "$status" = 2 ]
    [[ $output == *none.png* ]]
    [ ! -e e.nststyle ]
    cp photo.ppm p.nststyle # a picture by its contents
    run nst_style blend a.nststyle --preview p.nststyle -o p.nststyle
    [ "$status" = 2 ]
    cmp photo.ppm p.nststyle
}

@test "a preview is a JPEG of at most 256 pixels without metadata" {
    needs vipsheader exiftool
    picture large.ppm 600 300 3
    mkdir -p data/nst/styles
    nst_style pack style.ppm --scales 32 --style-layers relu1_1 --preview large.ppm \
        -o data/nst/styles/mine.nststyle
    nst_style pack style.ppm --scales 32 --style-layers relu1_1 --preview photo.ppm \
        -o data/nst/styles/small.nststyle
    nst_style pack style.ppm --scales 32 --style-layers relu1_1 -o data/nst/styles/none.nststyle
    export XDG_DATA_HOME=$PWD/data
    nst_style list --previews made/previews >said
    grep -qx made/previews/mine.jpg said
    [ ! -e made/previews/none.jpg ]
    [[ $(vipsheader made/previews/mine.jpg) == *"256x128 uchar, 3 bands"* ]]
    [[ $(vipsheader made/previews/small.jpg) == *"48x36 uchar, 3 bands"* ]]
    [ -z "$(exiftool -EXIF:all -XMP:all -ICC_Profile:all -Comment made/previews/mine.jpg)" ]
    # the second time overwrites them, and a directory in the way is reported
    nst_style list --previews made/previews | cmp - said
    mkdir -p other/mine.jpg
    run nst_style list --previews other
    [ "$status" = 2 ]
    [[ $output == *other/mine.jpg* ]]
    run nst_style list --previews made --json
    [ "$status" = 2 ]
    run nst_style info mine --previews made
    [ "$status" = 2 ]
}

@test "list prints a line for each pack in columns, or JSON" {
    needs jq
    mkdir -p data/nst/styles
    export XDG_DATA_HOME=$PWD/data
    nst_style pack style.ppm --scales 32 --style-layers relu1_1 --artist 'Édouard B.' \
        --title Squares --year 1830 -o data/nst/styles/mine.nststyle
    cp data/nst/styles/mine.nststyle data/nst/styles/mine-2.nststyle
    nst_style pack style.ppm --scales 32 --style-layers relu1_1 --artist A --title B \
        -o data/nst/styles/munch.nststyle
    echo no >data/nst/styles/broken.nststyle
    nst_style list >list
    cat list
    grep -qE '^mine +Édouard B\. +Squares +1830$' list
    grep -q '^broken .*is not a safetensors file' list
    # a user's pack hides the bundled one of the same name
    [ "$(grep -c '^munch ' list)" = 1 ]
    grep -qE '^munch +A +B +-$' list
    # titles are aligned, counted in characters
    sed 's/É/E/' list | awk '/^mine/ { a = index($0, "Squares") }
        /^munch/ { b = index($0, " B ") + 1 } END { exit a != b }'
    nst_style list --json >json
    [ "$(jq -r '.[] | select(.name == "mine") | .artist, .title, .year, .from' json)" = 'Édouard B.
Squares
1830
Édouard B., Squares, 1830' ]
    [ "$(jq -r '.[] | select(.name == "munch") | .path' json)" = "$XDG_DATA_HOME/nst/styles/munch.nststyle" ]
    jq -e '.[] | select(.name == "broken") | .error' json
    [ "$(jq -r '.[].name' json)" = "$(cut -d' ' -f1 list)" ]
    [ "$(cut -d' ' -f1 list)" = "$(cut -d' ' -f1 list | LC_ALL=C sort)" ]
}

@test "every pack of styles/ is small, installed and in the manual" {
    needs mandoc
    mandoc -T ascii "${srcdir:?}/man/nst-style.1" | col -bx | sed -n '/^FILES/,/^EXIT/p' >files
    for file in "$srcdir"/styles/*.nststyle; do
        name=$(basename "$file" .nststyle)
        [ "$(wc -c <"$file")" -lt 400000 ]
        grep -q "/$name.nststyle" "$srcdir/styles/local.mk"
        grep -qE "^ +$name " files
    done
}

@test "packs, and runs with them, are identical each time and for any number of threads" {
    nst_style pack style.ppm --scales 32 -o a.nststyle
    nst_style pack style.ppm --scales 32 -o b.nststyle
    cmp a.nststyle b.nststyle
    nst -s a.nststyle -t 1 photo.ppm -o a.ppm
    nst -s a.nststyle -t 3 photo.ppm -o b.ppm
    tail -c 2304 a.ppm | cmp - <(tail -c 2304 b.ppm)
}

@test "bundled packs are found by name and select their network" {
    nst_style list >list
    for name in hokusai kandinsky munch van-gogh; do
        grep -q "^$name " list
        nst -s $name photo.ppm -o out.ppm
    done
    nst -s van-gogh photo.ppm -o made/
    [ -s made/photo-van-gogh.ppm ]
    # even if another network is preferred
    mkdir -p data/nst/styles
    head -c 1000 /dev/urandom >data/nst/vgg19.safetensors
    XDG_DATA_HOME=$PWD/data nst -s van-gogh photo.ppm -o out.ppm
    # the user's packs come first
    nst_style pack style.ppm --scales 32 --from mine -o data/nst/styles/van-gogh.nststyle
    export XDG_DATA_HOME=$PWD/data
    [ "$(nst_style info --json van-gogh | jq -r .from)" = mine ]
    # an image file of that name comes before any pack, a directory does not
    mkdir munch
    NST_HISTORY=$PWD/h.jsonl nst -s munch photo.ppm -o munch/
    grep -q '"style":"munch"' h.jsonl
    cp style.ppm van-gogh
    nst -m vgg19-lite -s van-gogh photo.ppm -o out.ppm --verbose 2>log
    grep -q 'style 32x26' log
}

@test "options that a pack does not support are refused in one line" {
    refused 2 "style 'van-goh': no such file, style pack or network" -s van-goh photo.ppm -o out.ppm
    refused 2 'knows nothing of conv4_1' --style-layers conv4_1 -s van-gogh photo.ppm -o out.ppm
    refused 2 'colour: match needs style images' --colour match -s van-gogh photo.ppm -o out.ppm
    head -c 5000 "${srcdir:?}/styles/munch.nststyle" >cut.nststyle
    refused 1 'cut.nststyle: .*cut short' -s cut.nststyle photo.ppm -o out.ppm
    cp "$srcdir/models/vgg19-lite.safetensors" no.nststyle
    refused 1 'is not a sound style pack' -s no.nststyle photo.ppm -o out.ppm
    run nst_style pack style.ppm
    [ "$status" = 2 ]
    run nst_style blend style.ppm -o out.nststyle
    [ "$status" = 2 ]
    run nst_style frobnicate
    [ "$status" = 2 ]
    run nst_style pack style.ppm --scales 3 -o out.nststyle
    [ "$status" = 2 ]
    nst_style pack style.ppm --style-layers conv_1 --scales 32 -o one.nststyle
    run nst_style blend one.nststyle van-gogh -o out.nststyle
    [ "$status" = 2 ]
    [[ $output == *"different layers"* ]]
    [ ! -e out.nststyle ]
}

@test "a pack does not overwrite its inputs, and its name needs the suffix" {
    cp style.ppm painting.nststyle # a picture by its contents
    cp style.ppm before
    run nst_style pack painting.nststyle --scales 32 -o painting.nststyle
    [ "$status" = 2 ]
    [ "$output" = "nst-style: painting.nststyle: is an input file and will not be overwritten" ]
    cmp painting.nststyle before
    run nst_style pack style.ppm -o style.ppm
    [ "$status" = 2 ]
    [[ $output == *"output: 'style.ppm': the name of a style pack must end in .nststyle"* ]]
    cmp style.ppm before
    nst_style pack style.ppm --scales 32 -o one.nststyle
    cp one.nststyle before
    ln one.nststyle link.nststyle
    run nst_style blend one.nststyle:3 one.nststyle -o link.nststyle
    [ "$status" = 2 ]
    cmp one.nststyle before
    nst_style pack style.ppm --scales 32 -o - | cmp - one.nststyle
    run nst_style pack style.ppm --scales 64,32 -o no.nststyle
    [ "$status" = 2 ]
    [[ $output == *"scales: 32 follows 64, but"* ]]
    [ ! -e no.nststyle ]
}
