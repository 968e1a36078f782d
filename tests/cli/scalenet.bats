#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A network for each scale: -m vgg19:256,vgg19-lite. The other network of most tests is
# the bundled one, scaled anew.
bats_require_minimum_version 1.5.0
load helper

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    picture other.ppm 64 64 7
    "$(dirname "$NST")/nst-model" convert vgg19-lite -o other.safetensors --normalise other.ppm
    export OTHER=$PWD/other.safetensors
}

# installed NAME: the other network, found by that name
installed() {
    mkdir -p data/nst
    cp "$OTHER" "data/nst/$1.safetensors"
    export XDG_DATA_HOME=$PWD/data
}

nst_history() {
    "$(dirname "$NST")/nst-history" "$@"
}

nst_style() {
    "$(dirname "$NST")/nst-style" "$@"
}

@test "small scales have one network, large ones another" {
    needs jq
    nst -s style.ppm photo.ppm --scales 24,32 -m "$OTHER:24,vgg19-lite" -o both.png \
        --trace both.jsonl
    nst -s style.ppm photo.ppm --scales 24,32 -m vgg19-lite -o one.png
    nst -s style.ppm photo.ppm --scales 24,32 -m "$OTHER" -o other.png \
        --trace other.jsonl
    # the first scale is that of a run by the first network
    cmp <(jq -c 'select(.scale == 24) | del(.seconds)' both.jsonl) \
        <(jq -c 'select(.scale == 24) | del(.seconds)' other.jsonl)
    grep -q '"scale":32' both.jsonl
    run ! cmp both.png one.png
    run ! cmp both.png other.png
}

@test "a network that no scale uses is not even read, and changes nothing" {
    nst -s style.ppm photo.ppm -m vgg19-lite -o one.png
    printf nonsense >bad.safetensors
    nst -s style.ppm photo.ppm -m bad.safetensors:16,vgg19-lite -o two.png
    nst -s style.ppm photo.ppm -m vgg19-lite:64,bad.safetensors -o three.png
    nst -s style.ppm photo.ppm -m vgg19-lite:16,vgg19-lite -o four.png
    cmp one.png two.png
    cmp one.png three.png
    cmp one.png four.png
    refused 1 'bad.safetensors: ' -s style.ppm photo.ppm --scales 16,32 \
        -m bad.safetensors:16,vgg19-lite -o out.png
    # which sizes a picture will have is not known beforehand
    refused 1 'bad.safetensors: ' -s style.ppm photo.ppm -S native \
        -m bad.safetensors:16,vgg19-lite -o out.png
}

@test "pictures side by side are the same, and share what is known of a style" {
    for i in 1 2 3 4; do
        picture p$i.ppm $((40 + i)) 36 $((i + 3))
    done
    set -- --scales 16,32 -m "$OTHER:16,vgg19-lite" --format ppm -q
    nst -s style.ppm p?.ppm "$@" -j 1 -t 1 -o one/
    nst -s style.ppm p?.ppm "$@" -j 3 -t 4 -o two/
    nst -s style.ppm p3.ppm "$@" -o three.ppm
    for i in 1 2 3 4; do
        cmp one/p$i-style.ppm two/p$i-style.ppm
    done
    cmp three.ppm one/p3-style.ppm
}

@test "statistics of a style at one size are kept for each network" {
    # the painting has the same size for both
    picture a.ppm 32 24 3
    picture b.ppm 24 18 4
    nst -s style.ppm a.ppm b.ppm -S native -m "$OTHER:24,vgg19-lite" -q -j 1 -o both/
    nst -s style.ppm b.ppm -S native -m "$OTHER:24,vgg19-lite" -o b.png --format ppm
    cmp b.png both/b-style.ppm
}

@test "--dry-run names the networks and the sizes that they serve" {
    needs jq
    set -- -s style.ppm photo.ppm --scales 16,24,32 -m "$OTHER:24,vgg19-lite" --dry-run
    nst "$@" | grep -q '^networks  *other (16, 24), vgg19-lite (32)$'
    nst "$@" --json | jq -e '.networks == [{name: "other", scales: [16, 24]},
        {name: "vgg19-lite", scales: [32]}]'
    nst -s style.ppm photo.ppm --dry-run -m vgg19-lite | grep -q '^networks  *vgg19-lite (32)$'
}

@test "the plan is what a run by two networks takes, and keeps to --max-memory" {
    needs jq
    needs_plain_build
    large=${NST_SHARED:-${srcdir:?}/../shared}/weights/vgg19-conv5_1.safetensors
    [ -r "$large" ] || skip "the full network is not in $large"
    set -- -s style.ppm photo.ppm -n 2 -p gatys --scales 96,192
    for model in "$large:96,vgg19-lite" "vgg19-lite:96,$large"; do
        rm -f h.jsonl
        nst "$@" -m "$model" --dry-run --json >plan
        nst "$@" -m "$model" -o out.png --history h.jsonl
        jq -s '.[0].peak_memory / .[1].peak_memory' plan h.jsonl >ratio
        echo "$model: $(cat ratio)"
        awk '{ exit $1 < 0.85 || $1 > 1.15 }' ratio
    done
    # where the small scale takes most, it decides
    set -- -s style.ppm photo.ppm -p classic -n 2 --scales 512,640 -m "$large:512,vgg19-lite"
    free=$(nst "$@" --dry-run --json | jq .peak_memory)
    one=$(nst "$@" -m vgg19-lite --dry-run --json | jq .peak_memory)
    [ "$free" -gt $((one + 50000000)) ]
    limit=$((free * 4 / 5))
    nst "$@" --max-memory $limit -o out.png --history less.jsonl
    jq -e ".peak_memory < $limit and .options.tile > 0" less.jsonl
}

@test "a run is resumed to the bit across a change of network" {
    # in the second one's
    set -- -s style.ppm photo.ppm --scales 24,32 -m "$OTHER:24,vgg19-lite"
    nst "$@" --scale-iterations 6,6 -o whole.png
    nst "$@" --scale-iterations 6,2 --checkpoint ck -o cut.png
    "$NST" -s style.ppm photo.ppm --resume ck --scale-iterations 6,6 --progress none -o out.png
    cmp whole.png out.png
    # in the first one's
    set -- -s style.ppm photo.ppm --scales 128,256 --scale-iterations 200,5 \
        -m "$OTHER:128,vgg19-lite"
    "$NST" "$@" --progress none -o whole.png
    "$NST" "$@" --progress none --checkpoint ck2 --save-every 7 -o never.png &
    while [ ! -s ck2 ]; do
        sleep 0.01
    done
    kill -KILL $!
    wait $! || true
    [ ! -e never.png ]
    "$NST" -s style.ppm photo.ppm --resume ck2 --progress none -o out.png
    cmp whole.png out.png
    # which cannot change on the way
    refused 2 'model is .*, and cannot become vgg19-lite' -s style.ppm photo.ppm --resume ck \
        -m vgg19-lite -o no.png
}

# nst_pixels FILE: as PPM
nst_pixels() {
    "$NST" -q --config none --strength 0 -S native -n 1 -s style.ppm "$1" --format ppm
}

@test "a run by two networks is made again, to the byte, and known when it is done" {
    needs jq
    export NST_HISTORY=$PWD/h.jsonl
    cp "$OTHER" "a,b.safetensors"
    set -- -s style.ppm photo.ppm --scales 16,32
    nst "$@" -m a,b.safetensors:16,vgg19-lite -o one.png
    jq -e '.model == "a,b:16,vgg19-lite" and (.model_sha256 | length) == 2 and
        (.network | test("^[0-9a-f]{16}:16,[0-9a-f]{16}$"))' h.jsonl
    id=$(nst_history list | cut -c1-8)
    (cd / && nst_history rerun "$id" -o "$NST_HISTORY.png")
    cmp one.png h.jsonl.png
    # done is what has these networks for these sizes
    for case in "done a,b.safetensors:16,vgg19-lite" "done a,b.safetensors:16,./a/../lite.safetensors" \
        "anew a,b.safetensors:24,vgg19-lite --scales 16,20,32" "anew vgg19-lite" \
        "anew a,b.safetensors:16,a,b.safetensors"; do
        mkdir -p a
        cp "${srcdir:?}/models/vgg19-lite.safetensors" lite.safetensors
        cp one.png out.png
        # shellcheck disable=SC2086 # words are wanted
        nst "$@" -m ${case#* } --skip-done -o out.png 2>log
        case $case in
        done*) grep -q 'out.png: is up to date' log ;;
        anew*) ! grep -q 'is up to date' log ;;
        esac
    done
    printf x >>"a,b.safetensors"
    run -1 --separate-stderr nst_history rerun "$id" -o again.png
    [[ $stderr == *"a,b.safetensors: is missing or has changed since the run" ]]
}

@test "a malformed list is refused in one line" {
    for list in vgg19,vgg19-lite vgg19:256 vgg19:15,vgg19-lite vgg19:70000,vgg19-lite \
        vgg19:64,vgg19:64,vgg19-lite vgg19:64,vgg19:32,vgg19-lite ,vgg19-lite :64,vgg19-lite \
        "vgg19:64," a:16,b:17,c:18,d:19,e:20,f:21,g:22,h:23,i; do
        refused 2 "model: '$list'.*as in vgg19:256,vgg19-lite" -s style.ppm photo.ppm \
            -o o.png -m "$list"
    done
    refused 1 "model 'nobody'" -s style.ppm photo.ppm -o o.png --scales 16,32 \
        -m nobody:16,vgg19-lite
}

@test "an optional network is left out where there is none, in one line" {
    nst -s style.ppm photo.ppm --scales 16,32 -m vgg19-lite -o one.png
    export XDG_DATA_HOME=$PWD/none
    nst -s style.ppm photo.ppm --scales 16,32 -m 'vgg19?:16,vgg19-lite' -o two.png 2>log
    cmp one.png two.png
    [ "$(cat log)" = "nst: network vgg19 not found; continuing without it (scripts/fetch-model installs it)" ]
    nst -q -s style.ppm photo.ppm --scales 16,32 -m 'vgg19?:16,vgg19-lite' -o two.png 2>log
    [ ! -s log ]
    # nothing is said of one that no scale would use
    nst -s style.ppm photo.ppm -m 'vgg19?:16,vgg19-lite' -o two.png 2>log
    [ ! -s log ]
    installed vgg19
    nst -s style.ppm photo.ppm --scales 16,32 -m 'vgg19?:16,vgg19-lite' -o two.png 2>log
    [ ! -s log ]
    nst -s style.ppm photo.ppm --scales 16,32 -m "$OTHER:16,vgg19-lite" -o three.png
    cmp <(nst_pixels two.png) <(nst_pixels three.png)
}

@test "the preset fine has the full network for its small scales, where it is installed" {
    set -- -p fine --scales 16,24,300 -n 1 -s style.ppm photo.ppm
    XDG_DATA_HOME=$PWD/none nst "$@" --dry-run >table 2>log
    grep -q '^networks  *vgg19-lite (16, 24, 300)$' table
    grep -q '^nst: network vgg19 not found.*scripts/fetch-model' log
    [ "$(wc -l <log)" = 1 ]
    installed vgg19
    nst "$@" --dry-run >table 2>log
    grep -q '^networks  *vgg19 (16, 24), vgg19-lite (300)$' table
    [ ! -s log ]
}

@test "a network of a preset yields to a style pack, and one of the command line does not" {
    installed vgg19
    set -- photo.ppm --content-layers conv_4 --style-layers conv_1,conv_2 --scales 16,32
    nst -p fine -s munch "$@" -o one.png 2>log
    [ "$(cat log)" = "nst: style pack 'munch' is for vgg19-lite; continuing without vgg19" ]
    nst -p fine -m vgg19-lite -s munch "$@" -o two.png 2>log
    [ ! -s log ]
    cmp one.png two.png
    for model in vgg19 vgg19:16,vgg19-lite; do
        refused 1 "style 'munch': the pack is of vgg19-lite and lacks the network vgg19: leave out --model, or make a pack" \
            -m $model -s munch "$@" -o out.png
    done
    # a pack of the other network alone
    nst_style pack style.ppm -m vgg19 --scales 32 -o full.nststyle
    nst -p fine -s full.nststyle "$@" -o out.png 2>log # whose large scales are not used
    [ ! -s log ]
    nst -p fine -s full.nststyle "$@" --scales 24,300 -n 1 -o out.png 2>log
    [ "$(cat log)" = "nst: style pack 'full.nststyle' is for vgg19; continuing without vgg19-lite" ]
    nst -p draft -S 32 -s full.nststyle photo.ppm -o out.png 2>log
    [ "$(wc -l <log)" = 1 ]
}

@test "which network a style pack brings is told where a picture would have another" {
    XDG_DATA_HOME=$PWD/none nst -s munch photo.ppm -o out.png 2>log
    [ ! -s log ]
    installed vgg19
    nst -s munch photo.ppm -o out.png 2>log
    [ "$(cat log)" = "nst: style pack 'munch' selects the network vgg19-lite; a style image would use vgg19" ]
    nst -s munch photo.ppm -q -o out.png 2>log
    [ ! -s log ]
    nst -s munch -m vgg19-lite photo.ppm -o out.png 2>log
    [ ! -s log ]
}

@test "a style pack may hold several networks, and brings them all" {
    installed vgg19
    nst_style pack style.ppm -m vgg19:16,vgg19-lite --scales 16,32 -o both.nststyle
    nst_style info both.nststyle | grep -q '^model  *vgg19:16,vgg19-lite$'
    nst -s both.nststyle photo.ppm --scales 16,32 -o one.png -q
    nst -s both.nststyle photo.ppm --scales 16,32 -m vgg19:16,vgg19-lite -o two.png
    cmp one.png two.png
    nst -s both.nststyle photo.ppm --scales 16,32 -m vgg19-lite -o three.png
    run ! cmp one.png three.png
    # and nearly the same as the picture it is of
    nst -s style.ppm photo.ppm --scales 16,32 -m vgg19:16,vgg19-lite --dry-run |
        grep -q '^networks  *vgg19 (16), vgg19-lite (32)$'
}

@test "nst-compare takes the network for the size of the result" {
    for case in "photo.ppm 48" "style.ppm 40"; do
        # shellcheck disable=SC2086 # words are wanted
        set -- $case
        "$(dirname "$NST")/nst-compare" photo.ppm "$1" -m "$OTHER:40,vgg19-lite" >out
        case $2 in
        48) grep -q '^model  *vgg19-lite$' out ;;
        40) grep -q '^model  *other$' out ;;
        esac
    done
}
