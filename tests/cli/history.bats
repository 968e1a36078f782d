#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# nst-history: list, find, show, rerun, rm, prune and export.
bats_require_minimum_version 1.5.0
load helper

nst_history() {
    "$(dirname "$NST")/nst-history" "$@"
}

# three_runs: make one.png, two.png and three.png, with their history in h.jsonl
three_runs() {
    export NST_HISTORY=$PWD/h.jsonl
    nst -s style.ppm photo.ppm -o one.png
    nst -s munch photo.ppm -o two.png -w 5
    nst -s style.ppm:2 --mask photo.ppm -s hokusai --layers relu1_1 photo.ppm -o three.png \
        --scales 16,32 --init style.ppm --keep-mask style.ppm --square --strength 0.7
}

# One history serves the tests that do not repeat its runs.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    picture style.ppm 40 32 5
    picture photo.ppm 48 36 11
    three_runs
}

# runs: copy the history of three runs to h.jsonl
runs() {
    export NST_HISTORY=$PWD/h.jsonl
    cp "$BATS_FILE_TMPDIR/h.jsonl" .
}

ids() {
    nst_history list | cut -d' ' -f1
}

@test "runs are listed, found and shown" {
    needs jq
    runs
    [ "$(nst_history list | wc -l)" = 3 ]
    nst_history list | sed -n 2p | grep -qE "^[0-9a-f]{8}  20.*photo.ppm +munch +32 x 24 .*two.png"
    nst_history list | sed -n 3p | grep -qE "photo.ppm +style.ppm\+hokusai +32 x 32 "
    [ "$(nst_history find munch | wc -l)" = 1 ]
    nst_history list --json | jq -es 'length == 3 and .[0].id != .[1].id
        and .[1].options."style-weight" == 5 and (.[0].model_sha256 | length) == 64
        and .[0].device == "cpu" and .[0].inputs[0].file == .[0].content'
    id=$(ids | head -n 1)
    nst_history show "$id" | jq -e --arg id "$id" '.id == $id'
    nst_history show "${id:0:6}" | jq -e --arg id "$id" '.id == $id'
    nst_history export | jq -e 'length == 3'
}

@test "a history from Windows has the same runs, and UTF-16 is named" {
    runs
    ids >before
    sed -i '1s/^/\xef\xbb\xbf/; s/$/\r/' h.jsonl
    ids | diff before -
    nst_history rm "$(head -n 1 before)"
    ids | diff <(tail -n +2 before) -
    run ! grep -q $'\r' h.jsonl
    printf '\xff\xfe{\0' >h.jsonl
    run nst_history list
    [ "$status" = 1 ]
    [[ $output == *"h.jsonl: is UTF-16 text; save it as UTF-8" ]]
}

@test "rerun repeats a run to the byte" {
    three_runs
    n=0
    for name in one two three; do
        n=$((n + 1))
        cp $name.png kept.png
        cd /
        nst_history rerun "$(ids | sed -n ${n}p)" -o "$NST_HISTORY.png"
        cd - >/dev/null
        cmp kept.png h.jsonl.png
    done
    # to its original place
    id=$(ids | head -n 1)
    cp one.png kept.png
    rm one.png
    nst_history rerun "$id"
    cmp kept.png one.png
    nst -s style.ppm photo.ppm -o low.jpg --quality 30
    nst_history rerun "$(ids | tail -n 1)" -o "$NST_HISTORY.jpg"
    cmp low.jpg "$NST_HISTORY.jpg"
    picture photo.ppm 48 36 12
    run nst_history rerun "$id"
    [ "$status" = 1 ]
    [[ $output == *"photo.ppm: is missing or has changed since the run" ]]
}

@test "rerun uses the instruction set of the run" {
    needs jq
    export NST_HISTORY=$PWD/h.jsonl
    NST_CPU=base nst -s style.ppm photo.ppm -o one.png
    jq -e '.device == "cpu" and .instructions == "base"' h.jsonl
    nst_history rerun "$(ids)" -o again.png
    cmp one.png again.png
    [ "$(jq -r .instructions h.jsonl | sort -u)" = base ]
    NST_BACKEND=scalar nst -S 24 -s style.ppm photo.ppm -o two.png -n 1 --history s.jsonl
    jq -e '.device == "scalar" and (has("instructions") | not)' s.jsonl
    nst_history --history s.jsonl rerun "$(nst_history --history s.jsonl list | cut -c1-8)" -o again.png
    cmp two.png again.png
}

@test "rerun refuses a run whose network or style pack has changed" {
    needs jq
    export NST_HISTORY=$PWD/h.jsonl XDG_DATA_HOME=$PWD/data
    mkdir -p data/nst/styles
    "$(dirname "$NST")"/nst-style pack style.ppm --scales 32 -o data/nst/styles/mine.nststyle
    cp "$srcdir/models/vgg19-lite.safetensors" m.safetensors
    nst -m ./m.safetensors -s mine photo.ppm -o one.png
    nst_history rerun "$(ids | head -n 1)" -o again.png
    cmp one.png again.png
    "$(dirname "$NST")"/nst-style pack photo.ppm --scales 32 -o data/nst/styles/mine.nststyle
    run -1 --separate-stderr nst_history rerun "$(ids | head -n 1)" -o again.png
    [[ $stderr == *"mine: is missing or has changed since the run" ]]
    nst -m m.safetensors -s style.ppm photo.ppm -o two.png
    printf x >>m.safetensors
    run -1 --separate-stderr nst_history rerun "$(ids | tail -n 1)" -o again.png
    [[ $stderr == *"m.safetensors: is missing or has changed since the run" ]]
}

@test "an image from standard input is not mistaken for a file named -" {
    needs jq
    export NST_HISTORY=$PWD/h.jsonl
    cp style.ppm ./-
    nst -s style.ppm - <photo.ppm >one.png
    jq -e '.content == "-" and .inputs[0].sha256 == null' h.jsonl
    run -1 --separate-stderr nst_history rerun "$(ids)" -o again.png <photo.ppm
    [[ $stderr == *"-: was not a regular file and cannot be read again" ]]
}

@test "rm and prune delete runs and lose no line that is written meanwhile" {
    runs
    read -r first second third <<<"$(ids | tr '\n' ' ')"
    nst_history rm "$second"
    [ "$(ids)" = "$first
$third" ]
    run nst_history rm "$second"
    [ "$status" = 2 ]
    nst_history prune --keep 1
    [ "$(ids)" = "$third" ]
    # an empty ID matches no run, even if there is only one
    run nst_history rm ""
    [ "$status" = 2 ]
    [ "$(ids)" = "$third" ]
    for i in $(seq 12); do
        "$NST" -q -S 24 -n 1 -t 1 -s style.ppm photo.ppm -o "o$i.ppm" &
    done
    while [ -n "$(jobs -r)" ]; do
        nst_history prune --keep 1000
        nst_history rm "$third" 2>/dev/null || true
    done
    wait
    [ "$(nst_history list | wc -l)" = 12 ]
    nst_history prune --keep 0
    [ ! -s h.jsonl ]
}

@test "damaged lines are reported, skipped and kept" {
    runs
    printf 'nonsense\n{"a":\n' >>h.jsonl
    run --separate-stderr nst_history list
    [ "$(wc -l <<<"$output")" = 3 ]
    [ "$(grep -c damaged <<<"$stderr")" = 2 ]
    nst_history prune --keep 2
    grep -q nonsense h.jsonl
    echo '{}' >>h.jsonl
    nst_history list
    nst_history show "$(ids | tail -n 1)"
}

@test "wrong commands are refused" {
    runs
    for wrong in "" frobnicate "list x" show rerun prune "prune --keep x" "find a b"; do
        # shellcheck disable=SC2086 # word splitting is intended
        run nst_history $wrong
        [ "$status" = 2 ]
    done
    run nst_history show 00000000x
    [ "$status" = 2 ]
    rm h.jsonl
    run nst_history list
    [ "$status" = 0 ] && [ -z "$output" ]
}

@test "rerun of a run of nst 0.1.0 uses the old meaning of its options" {
    needs jq
    export NST_HISTORY=$PWD/h.jsonl
    nst -p classic -s style.ppm photo.ppm -o one.ppm --scales 16,32 --scale-iterations 6,3 \
        -w 21000 --moment-weight 1
    nst -p classic -s style.ppm photo.ppm -o two.ppm --scales 256,512 --scale-iterations 2,1
    jq -c '.version = "0.1.0" | .options.iterations = 6 | .options."scale-iterations" = "auto"
        | .options."moment-weight" = 3 * .options."moment-weight"
        | if .output | endswith("two.ppm")
          then .options.iterations = 2 | .options.scales = "auto" else . end' h.jsonl >old
    mv old h.jsonl
    for name in one two; do
        cp $name.ppm kept.ppm
        nst_history rerun "$(nst_history find $name.ppm | cut -d' ' -f1)" 2>log
        cmp kept.ppm $name.ppm
        [ $name = two ] || run ! grep "will differ" log
    done
    grep -q 'the result will differ: nst 0.1.0 made small scales from the image' log
}

@test "rerun says if it cannot repeat a run of nst 0.1.0" {
    needs jq
    export NST_HISTORY=$PWD/h.jsonl
    nst -s style.ppm photo.ppm -o one.ppm
    jq -c '.version = "0.1.0"' h.jsonl >old
    mv old h.jsonl
    nst_history rerun "$(ids)" 2>log
    grep -q 'nst-history: the result will differ: nst 0.1.0 padded the image, not the input' log
    jq -c '.options.compat = "tutorial"' h.jsonl >old
    mv old h.jsonl
    nst_history rerun "$(ids | head -1)" 2>log
    grep -q 'nst-history: the result will differ: --compat tutorial no longer exists' log
}

@test "a history that is named is not created in a new directory; the default one is" {
    refused 2 'history: none/h.jsonl: No such file or directory' -s style.ppm photo.ppm \
        -o x.png --history none/h.jsonl
    NST_HISTORY=none/h.jsonl refused 2 'history: none/h.jsonl: No such file' -s style.ppm \
        photo.ppm -o x.png
    refused 2 'history: .: Is a directory' -s style.ppm photo.ppm -o x.png --history .
    refused 2 'history: photo.ppm/h' -s style.ppm photo.ppm -o x.png --history photo.ppm/h
    env -u NST_HISTORY XDG_STATE_HOME="$PWD/state/new" "$NST" -q -S 32 -n 1 -s style.ppm \
        photo.ppm -o x.png
    [ "$(wc -l <state/new/nst/history.jsonl)" = 1 ]
}

@test "a default history that cannot be written is one line for a whole run" {
    touch file # a directory cannot be made in it
    batch() {
        env -u NST_HISTORY XDG_STATE_HOME="$PWD/file" "$NST" --progress none -S 32 -n 1 \
            -s style.ppm photo.ppm style.ppm -o made/ "$@" 2>said
    }
    batch
    [ "$(grep -c 'history: ' said)" = 1 ]
    batch -q
    [ ! -s said ]
}
