#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The bundled networks: what their files say, and that they paint like their paintings.
bats_require_minimum_version 1.5.0
load helper

# names: of the networks of nets/.
names() {
    for file in "${srcdir:?}"/nets/*.nstnet; do
        basename "$file" .nstnet
    done
}

# style_loss PICTURE PACK: of a picture as it is.
style_loss() {
    "$NST" "$1" -o first.ppm --trace first.jsonl --max-evaluations 1 --progress none \
        --padding reflect --size 192 --scales 192 -s "$2"
    jq -r 'select(.evaluation == 1) | .style_loss' first.jsonl
}

@test "every network of nets/ is small, installed, and says whose style it has" {
    needs jq
    for name in $(names); do
        echo "$name"
        file=$srcdir/nets/$name.nstnet
        [ "$(wc -c <"$file")" -lt 1000000 ]
        grep -q "/$name.nstnet" "$srcdir/nets/local.mk"
        grep -q "\`$name\`" "$srcdir/nets/README.md"
        "$(dirname "$NST")/nst-model" info --json "$name" >info
        jq -e '.artist and .title and .licence and .training and .preview > 1000' info
        "$NST" --list-styles | grep -qE "^$name .* network$"
        [ ! -e "$srcdir/styles/$name.nststyle" ] # a pack would hide it
    done
    [ "$(names | wc -l)" -ge 5 ]
}

@test "nst-model convert stores a preview, and refuses what is no picture" {
    nst_model=$(dirname "$NST")/nst-model
    "$nst_model" convert --f16 base --preview photo.ppm -o with.nstnet
    "$nst_model" info with.nstnet | grep -q '^preview *a JPEG'
    [ "$("$nst_model" info --json with.nstnet | jq .preview)" != \
        "$("$nst_model" info --json base | jq .preview)" ]
    echo no >no.png
    run ! "$nst_model" convert base --preview no.png -o no.nstnet
    [ ! -e no.nstnet ]
    run ! --separate-stderr "$nst_model" convert vgg19-lite --preview photo.ppm -o no.safetensors
    grep -q 'preview: is for a network that paints in one pass' <<<"$stderr"
    [ ! -e no.safetensors ]
}

@test "a bundled network takes a photograph to the style of its painting" {
    needs jq
    picture photo.ppm 256 192 11
    for name in $(names); do
        pack=${name#fast-}
        [ "$pack" != base ] || pack=van-gogh
        before=$(style_loss photo.ppm "$pack")
        "$NST" --progress none -s "$name" photo.ppm -o painted.ppm
        after=$(style_loss painted.ppm "$pack")
        echo "$name: $before, painted $after"
        awk -v a="$after" -v b="$before" 'BEGIN { exit !(a < b / 8) }'
    done
}
