#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Different networks for different scales: -m vgg19:256,vgg19-lite. Most tests use the
# bundled network and a normalised copy of it, $OTHER.
bats_require_minimum_version 1.5.0
load helper

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    picture other.ppm 64 64 7
    "$(dirname "$NST")/nst-model" convert vgg19-lite -o other.safetensors --normalise other.ppm
    export OTHER=$PWD/other.safetensors
}

# installed NAME: install the other network under that name.
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

@test "small scales use one network, large scales another" {
    needs jq
    nst -s style.ppm photo.ppm --scales 24,32 -m "$OTHER:24,vgg19-lite" -o both.png \
        --trace both.jsonl
    nst -s style.ppm photo.ppm --scales 24,32 -m vgg19-lite -o one.png
    nst -s style.ppm photo.ppm --scales 24,32 -m "$OTHER" -o other.png \
        --trace other.jsonl
    # the first scale equals that of a run with the first network alone
    cmp <(jq -c 'select(.scale == 24) | del(.seconds)' both.jsonl) \
        <(jq -c 'select(.scale == 24) | del(.seconds)' other.jsonl)
    grep -q '"scale":32' both.jsonl
    run ! cmp both.png one.png
    run ! cmp both.png other.png
}

@test "a network that no scale uses is not read and changes nothing" {
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
    # with -S native the scales are unknown, so both networks are read
    refused 1 'bad.safetensors: ' -s style.ppm photo.ppm -S native \
        -m bad.safetensors:16,vgg19-lite -o out.png
}

@test "parallel jobs with two networks give the same results as single ones" {
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

@test "style statistics are cached separately for each network" {
    # the style image has the same size for both
    picture a.ppm 32 24 3
    picture b.ppm 24 18 4
    nst -s style.ppm a.ppm b.ppm -S native -m "$OTHER:24,vgg19-lite" -q -j 1 -o both/
    nst -s style.ppm b.ppm -S native -m "$OTHER:24,vgg19-lite" -o b.png --format ppm
    cmp b.png both/b-style.ppm
}

@test "--dry-run names the networks and their sizes" {
    needs jq
    set -- -s style.ppm photo.ppm --scales 16,24,32 -m "$OTHER:24,vgg19-lite" --dry-run
    nst "$@" | grep -q '^networks  *other (16, 24), vgg19-lite (32)$'
    nst "$@" --json | jq -e '.networks == [{name: "other", scales: [16, 24]},
        {name: "vgg19-lite", scales: [32]}]'
    nst -s style.ppm photo.ppm --dry-run -m vgg19-lite | grep -q '^networks  *vgg19-lite (32)$'
}

@test "the plan for two networks matches the run and obeys --max-memory" {
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
    # the scale that takes most memory decides, even if it is the small one
    set -- -s style.ppm photo.ppm -p classic -n 2 --scales 512,640 -m "$large:512,vgg19-lite"
    free=$(nst "$@" --dry-run --json | jq .peak_memory)
    one=$(nst "$@" -m vgg19-lite --dry-run --json | jq .peak_memory)
    [ "$free" -gt $((one + 50000000)) ]
    limit=$((free * 4 / 5))
    nst "$@" --max-memory $limit -o out.png --history less.jsonl
    jq -e ".peak_memory < $limit and .options.tile > 0" less.jsonl
}

@test "a run is resumed to the bit across a change of network" {
    # during the second network's scale
    set -- -s style.ppm photo.ppm --scales 24,32 -m "$OTHER:24,vgg19-lite"
    nst "$@" --scale-iterations 6,6 -o whole.png
    nst "$@" --scale-iterations 6,2 --checkpoint ck -o cut.png
    "$NST" -s style.ppm photo.ppm --resume ck --scale-iterations 6,6 --progress none -o out.png
    cmp whole.png out.png
    # during the first network's scale
    set -- -s style.ppm photo.ppm --scales 128,256 --scale-iterations 60,3 \
        -m "$OTHER:128,vgg19-lite"
    "$NST" "$@" --progress none -o whole.png
    "$NST" "$@" --progress none --checkpoint ck2 --save-every 7 -o never.png &
    wait_until '[ -s ck2 ]'
    kill -KILL $!
    wait $! || true
    [ ! -e never.png ]
    "$NST" -s style.ppm photo.ppm --resume ck2 --progress none -o out.png
    cmp whole.png out.png
    # a resumed run cannot change its networks
    refused 2 'model is .*, and cannot become vgg19-lite' -s style.ppm photo.ppm --resume ck \
        -m vgg19-lite -o no.png
}

# nst_pixels FILE: the pixels as PPM.
nst_pixels() {
    "$NST" -q --config none --strength 0 -S native -n 1 -s style.ppm "$1" --format ppm
}

@test "a run with two networks is repeated to the byte, and skipped when it is done" {
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
    # a result is done if it has the same networks at the same scales
    for case in "done a,b.safetensors:16,vgg19-lite" "done a,b.safetensors:16,./a/../lite.safetensors" \
        "anew a,b.safetensors:24,vgg19-lite --scales 16,20,32" "anew vgg19-lite" \
        "anew a,b.safetensors:16,a,b.safetensors"; do
        mkdir -p a
        cp "${srcdir:?}/models/vgg19-lite.safetensors" lite.safetensors
        cp one.png out.png
        # shellcheck disable=SC2086 # word splitting is intended
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

@test "a malformed list of networks is refused in one line" {
    for list in vgg19,vgg19-lite vgg19:256 vgg19:15,vgg19-lite vgg19:70000,vgg19-lite \
        vgg19:64,vgg19:64,vgg19-lite vgg19:64,vgg19:32,vgg19-lite ,vgg19-lite :64,vgg19-lite \
        "vgg19:64," a:16,b:17,c:18,d:19,e:20,f:21,g:22,h:23,i; do
        refused 2 "model: '$list'.*as in vgg19:256,vgg19-lite" -s style.ppm photo.ppm \
            -o o.png -m "$list"
    done
    refused 2 "model 'nobody'" -s style.ppm photo.ppm -o o.png --scales 16,32 \
        -m nobody:16,vgg19-lite
}

@test "a missing optional network is left out with one line" {
    nst -s style.ppm photo.ppm --scales 16,32 -m vgg19-lite -o one.png
    export XDG_DATA_HOME=$PWD/none
    nst -s style.ppm photo.ppm --scales 16,32 -m 'vgg19?:16,vgg19-lite' -o two.png 2>log
    cmp one.png two.png
    [ "$(cat log)" = "nst: network vgg19 not found; continuing without it (scripts/fetch-model installs it)" ]
    nst -q -s style.ppm photo.ppm --scales 16,32 -m 'vgg19?:16,vgg19-lite' -o two.png 2>log
    [ ! -s log ]
    # nothing is reported for a network that no scale would use
    nst -s style.ppm photo.ppm -m 'vgg19?:16,vgg19-lite' -o two.png 2>log
    [ ! -s log ]
    installed vgg19
    nst -s style.ppm photo.ppm --scales 16,32 -m 'vgg19?:16,vgg19-lite' -o two.png 2>log
    [ ! -s log ]
    nst -s style.ppm photo.ppm --scales 16,32 -m "$OTHER:16,vgg19-lite" -o three.png
    cmp <(nst_pixels two.png) <(nst_pixels three.png)
}

@test "the preset fine uses the full network for small scales if it is installed" {
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

@test "a style pack overrides the network of a preset, but not --model" {
    installed vgg19
    set -- photo.ppm --content-layers conv_4 --style-layers conv_1,conv_2 --scales 16,32
    nst -p fine -s munch "$@" -o one.png 2>log
    [ "$(cat log)" = "nst: style pack 'munch' is for vgg19-lite; continuing without vgg19" ]
    nst -p fine -m vgg19-lite -s munch "$@" -o two.png 2>log
    [ ! -s log ]
    cmp one.png two.png
    for model in vgg19 vgg19:16,vgg19-lite; do
        refused 2 "style 'munch': the pack is of vgg19-lite and lacks the network vgg19: leave out --model, or make a pack" \
            -m $model -s munch "$@" -o out.png
    done
    # a pack for the other network only
    nst_style pack style.ppm -m vgg19 --scales 32 -o full.nststyle
    nst -p fine -s full.nststyle "$@" -o out.png 2>log # whose large scales are not used
    [ ! -s log ]
    nst -p fine -s full.nststyle "$@" --scales 24,300 -n 1 -o out.png 2>log
    [ "$(cat log)" = "nst: style pack 'full.nststyle' is for vgg19; continuing without vgg19-lite" ]
    nst -p draft -S 32 -s full.nststyle photo.ppm -o out.png 2>log
    [ "$(wc -l <log)" = 1 ]
}

@test "nst names the network of a style pack if a style image would use another" {
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

@test "a style pack can hold several networks and selects them all" {
    installed vgg19
    nst_style pack style.ppm -m vgg19:16,vgg19-lite --scales 16,32 -o both.nststyle
    nst_style info both.nststyle | grep -q '^model  *vgg19:16,vgg19-lite$'
    nst -s both.nststyle photo.ppm --scales 16,32 -o one.png -q
    nst -s both.nststyle photo.ppm --scales 16,32 -m vgg19:16,vgg19-lite -o two.png
    cmp one.png two.png
    nst -s both.nststyle photo.ppm --scales 16,32 -m vgg19-lite -o three.png
    run ! cmp one.png three.png
    # its image would use the same networks
    nst -s style.ppm photo.ppm --scales 16,32 -m vgg19:16,vgg19-lite --dry-run |
        grep -q '^networks  *vgg19 (16), vgg19-lite (32)$'
}

@test "nst-compare uses the network for the size of the result" {
    for case in "photo.ppm 48" "style.ppm 40"; do
        # shellcheck disable=SC2086 # word splitting is intended
        set -- $case
        "$(dirname "$NST")/nst-compare" photo.ppm "$1" -m "$OTHER:40,vgg19-lite" >out
        case $2 in
        48) grep -q '^model  *vgg19-lite$' out ;;
        40) grep -q '^model  *other$' out ;;
        esac
    done
}
