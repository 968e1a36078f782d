#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Style packs: made, mixed, found, and as good as the pictures.
bats_require_minimum_version 1.5.0
load helper

nst_style() {
    "$(dirname "$NST")/nst-style" "$@"
}

# first OPTION...: the style loss of a photograph, without a step from it
first() {
    nst photo.ppm -o first.ppm --trace first.jsonl --max-evaluations 1 "$@"
    jq -r 'select(.evaluation == 1) | .style_loss' first.jsonl
}

# near A B PERCENT
near() {
    echo "$1 and $2"
    awk -v a="$1" -v b="$2" -v p="$3" 'BEGIN {
        d = a / b - 1
        exit !(d < p / 100 && -d < p / 100)
    }'
}

@test "a pack stands for its picture, at the sizes it has and between them" {
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

@test "several pictures in a pack, and packs blended, are as several styles" {
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

@test "a run by a pack is the same, bit for bit, each time and on any number of threads" {
    nst_style pack style.ppm --scales 32 -o a.nststyle
    nst_style pack style.ppm --scales 32 -o b.nststyle
    cmp a.nststyle b.nststyle
    nst -s a.nststyle -t 1 photo.ppm -o a.ppm
    nst -s a.nststyle -t 3 photo.ppm -o b.ppm
    tail -c 2304 a.ppm | cmp - <(tail -c 2304 b.ppm)
}

@test "the packs that come along are found by name, and choose their network" {
    nst_style list >list
    for name in hokusai kandinsky munch van-gogh; do
        grep -q "^$name " list
        nst -s $name photo.ppm -o out.ppm
    done
    nst -s van-gogh photo.ppm -o made/
    [ -s made/photo-van-gogh.ppm ]
    # even where another network would be the first choice
    mkdir -p data/nst/styles
    head -c 1000 /dev/urandom >data/nst/vgg19.safetensors
    XDG_DATA_HOME=$PWD/data nst -s van-gogh photo.ppm -o out.ppm
    # the user's come first
    nst_style pack style.ppm --scales 32 --from mine -o data/nst/styles/van-gogh.nststyle
    export XDG_DATA_HOME=$PWD/data
    [ "$(nst_style info --json van-gogh | jq -r .from)" = mine ]
    # and a picture of that name before any, but no folder
    mkdir munch
    NST_HISTORY=$PWD/h.jsonl nst -s munch photo.ppm -o munch/
    grep -q '"style":"munch"' h.jsonl
    cp style.ppm van-gogh
    nst -m vgg19-lite -s van-gogh photo.ppm -o out.ppm --verbose 2>log
    grep -q 'style 32x26' log
}

@test "what a pack cannot do is refused in one line" {
    refused 1 "style 'van-goh': no such file, and no style pack" -s van-goh photo.ppm -o out.ppm
    refused 1 'knows nothing of conv4_1' --style-layers conv4_1 -s van-gogh photo.ppm -o out.ppm
    refused 1 'colour: match recolours' --colour match -s van-gogh photo.ppm -o out.ppm
    head -c 5000 "${srcdir:?}/styles/munch.nststyle" >cut.nststyle
    refused 1 'cut.nststyle: .*cut short' -s cut.nststyle photo.ppm -o out.ppm
    cp "$srcdir/models/vgg19-lite.safetensors" no.nststyle
    refused 1 'is not a sound style pack' -s no.nststyle photo.ppm -o out.ppm
    run nst_style pack style.ppm
    [ "$status" = 2 ]
    run nst_style blend style.ppm -o out.nststyle
    [ "$status" = 1 ]
    run nst_style frobnicate
    [ "$status" = 2 ]
    run nst_style pack style.ppm --scales 3 -o out.nststyle
    [ "$status" = 2 ]
    nst_style pack style.ppm --style-layers conv_1 --scales 32 -o one.nststyle
    run nst_style blend one.nststyle van-gogh -o out.nststyle
    [ "$status" = 1 ]
    [[ $output == *"different layers"* ]]
    [ ! -e out.nststyle ]
}

@test "a pack is not written over what it is made of, and has its ending" {
    cp style.ppm painting.nststyle # a picture by its contents
    cp style.ppm before
    run nst_style pack painting.nststyle --scales 32 -o painting.nststyle
    [ "$status" = 1 ]
    [ "$output" = "nst-style: painting.nststyle: is one of the files read, and not overwritten" ]
    cmp painting.nststyle before
    run nst_style pack style.ppm -o style.ppm
    [ "$status" = 2 ]
    [[ $output == *"output: 'style.ppm' does not end in .nststyle"* ]]
    cmp style.ppm before
    nst_style pack style.ppm --scales 32 -o one.nststyle
    cp one.nststyle before
    ln one.nststyle link.nststyle
    run nst_style blend one.nststyle:3 one.nststyle -o link.nststyle
    [ "$status" = 1 ]
    cmp one.nststyle before
    nst_style pack style.ppm --scales 32 -o - | cmp - one.nststyle
    run nst_style pack style.ppm --scales 64,32 -o no.nststyle
    [ "$status" = 2 ]
    [[ $output == *"scales: 32 after 64: each is larger"* ]]
    [ ! -e no.nststyle ]
}
