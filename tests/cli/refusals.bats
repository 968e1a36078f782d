#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Refusals: one clear line, the right exit status, no file written, without delay.
bats_require_minimum_version 1.5.0
load helper

# bytes HEX...: these bytes on standard output.
bytes() {
    printf '%b' "$(printf '\\x%s' "$@")"
}

@test "missing files and inputs without an image are refused" {
    mkdir folder
    refused 2 'none.ppm: No such file' -s style.ppm none.ppm -o out.png
    refused 2 'none.ppm: No such file' -s none.ppm photo.ppm -o out.png
    refused 2 'folder: contains no images' -s style.ppm folder -o out.png
    refused 1 'empty' -s style.ppm - -o out.png </dev/null
}

@test "files that are no image, or are truncated, are refused" {
    echo "this is text" >text.png
    nst -q -s style.ppm photo.ppm -o whole.jpg --size native
    head -c 700 whole.jpg >half.jpg
    refused 1 'text.png: ' -s style.ppm text.png -o out.png
    refused 1 'half.jpg: ' -s style.ppm half.jpg -o out.png
    refused 1 'half.jpg: ' -s half.jpg photo.ppm -o out.png
}

@test "an image that is too small, or too large to decode, is refused" {
    printf 'P3\n1 1\n255\n1 2 3\n' >dot.ppm
    refused 1 'dot.ppm: 1x1 pixels' -s style.ppm dot.ppm -o out.png
    # only the signature and header of an RGB PNG of 40000 x 40000 pixels
    bytes 89 50 4e 47 0d 0a 1a 0a 00 00 00 0d 49 48 44 52 00 00 9c 40 00 00 9c 40 08 02 \
        00 00 00 c4 c9 3f 25 00 00 00 00 49 44 41 54 35 af 06 1e >huge.png
    refused 1 'huge.png: 40000x40000' -s style.ppm huge.png -o out.png
    refused 1 'style.ppm: 40x32 .*1000' -s style.ppm photo.ppm --max-pixels 1000 -o out.png
}

@test "values out of range are refused with the allowed range" {
    refused 2 "style-weight: 'nan' is not a number between 0 and" -s style.ppm photo.ppm -w nan
    refused 2 "size: '7' is not a whole number between 16 and 65536" -s style.ppm photo.ppm -S 7
    refused 2 "iterations: '0'" -s style.ppm photo.ppm -n 0
    refused 2 "content-layers: 'conv_99' is not a layer" -s style.ppm photo.ppm --content-layers conv_99
    refused 2 "pooling: 'min' is not one of max|avg" -s style.ppm photo.ppm --pooling min
    refused 2 "threads: 'many'" -s style.ppm photo.ppm -t many
    refused 2 "square: cannot be combined" -s style.ppm photo.ppm --square --size native -o out.png
}

@test "an inconsistent command line is refused" {
    refused 2 'no style is given' photo.ppm
    refused 2 'need an output directory' -s style.ppm photo.ppm style.ppm
    refused 2 'both' -s - -
    refused 2 "photo.ppm: is an input file" -s style.ppm photo.ppm -o photo.ppm
    ln photo.ppm link.ppm
    refused 2 "link.ppm: is an input file" -s style.ppm photo.ppm -o link.ppm
    run "$NST" --no-such-option
    [ "$status" = 2 ]
    [[ $output == "nst: unrecognized option '--no-such-option'"* ]]
}

@test "no output overwrites an input image" {
    cp photo.ppm before.ppm
    refused 2 "photo.ppm: is an input file" -s style.ppm - -o photo.ppm <photo.ppm
    refused 2 "photo.ppm: is an input file" -s style.ppm photo.ppm -o o.png --trace photo.ppm
    refused 2 "photo.ppm: is an input file" -s photo.ppm style.ppm -o o.png --history photo.ppm
    run --separate-stderr bash -c "'$NST' -q -S 32 -n 1 -s style.ppm photo.ppm >>photo.ppm"
    [ "$status" = 2 ]
    cmp photo.ppm before.ppm
}

@test "a refused run leaves an existing trace unchanged" {
    echo "the old trace" >t.jsonl
    refused 2 'none.ppm: No such file' -s style.ppm none.ppm -o out.png --trace t.jsonl
    [ "$(cat t.jsonl)" = "the old trace" ]
}

@test "nst does not write an image to a terminal" {
    needs_terminal
    run script -qec "'$NST' -s style.ppm photo.ppm" /dev/null
    [ "$status" = 2 ]
    [[ $output == *"standard output is a terminal"* ]]
}

@test "an output that cannot be written is refused before work begins" {
    refused 2 'none/out.png: ' -s style.ppm photo.ppm -o none/out.png
    refused 2 "'.xyz' is not an image format" -s style.ppm photo.ppm -o out.xyz
    refused 2 'out: ' -s style.ppm photo.ppm -o out
    refused 2 'trace: none/t' -s style.ppm photo.ppm -o out.png --trace none/t
    run --separate-stderr bash -c "'$NST' -q -S 32 -n 1 -s style.ppm photo.ppm >/dev/full"
    [ "$status" = 3 ]
    [[ $stderr == nst:\ * ]]
}

@test "an invalid model is refused with its name" {
    model=${srcdir:?}/models/vgg19-lite.safetensors
    head -c 100000 "$model" >short.safetensors
    head -c 1000 "$model" >shorter.safetensors
    echo "hello, this is text" >text.safetensors
    : >empty.safetensors
    { printf '\377\377\377\377\377\377\377\177'; tail -c +9 "$model"; } >long.safetensors
    sed 's/\[32,16,3,3\]/[16,32,3,3]/; s/\[32, 16, 3, 3\]/[16, 32, 3, 3]/' "$model" >shape.safetensors
    run ! cmp -s "$model" shape.safetensors
    refused 2 'none.safetensors: No such file' -m none.safetensors -s style.ppm photo.ppm -o o.png
    refused 1 'short.safetensors: features.*past the end' -m short.safetensors -s style.ppm photo.ppm -o o.png
    refused 1 'shorter.safetensors: ' -m ./shorter.safetensors -s style.ppm photo.ppm -o o.png
    refused 1 'text.safetensors: .*not a safetensors file' -m text.safetensors -s style.ppm photo.ppm -o o.png
    refused 1 'empty.safetensors: is empty' -m empty.safetensors -s style.ppm photo.ppm -o o.png
    refused 1 'long.safetensors: .*header' -m long.safetensors -s style.ppm photo.ppm -o o.png
    refused 1 'shape.safetensors: features.5.weight: the shape' -m shape.safetensors -s style.ppm photo.ppm -o o.png
    refused 1 'has no layer conv5_2 .conv_14., which this run needs' --style-layers conv_16 -s style.ppm photo.ppm -o o.png
    refused 2 "model 'nobody'" -m nobody -s style.ppm photo.ppm -o o.png
}

@test "a model is found by name in the search path, in order" {
    model=${srcdir:?}/models/vgg19-lite.safetensors
    mkdir -p a data/nst
    cp "$model" a/mine.safetensors
    cp "$model" data/nst/vgg19.safetensors
    NST_MODEL_PATH=/nowhere:$PWD/a run nst -v -m mine -s style.ppm photo.ppm -o o.ppm
    [[ $output == *"model $PWD/a/mine.safetensors"* ]]
    XDG_DATA_HOME=$PWD/data run nst -v -s style.ppm photo.ppm -o o.ppm
    [[ $output == *"model $PWD/data/nst/vgg19.safetensors"* ]]
    NST_MODEL_PATH=$PWD/a/mine.safetensors run nst -v -s style.ppm photo.ppm -o o.ppm
    [[ $output == *"model $PWD/a/mine.safetensors"* ]]
    run nst -v -s style.ppm photo.ppm -o o.ppm
    [[ $output == *"/vgg19-lite.safetensors"* ]]
}

@test "an invalid preset is refused with its file and the place in it" {
    echo '{"options": {"iterations": ' >broken.json
    echo '{"options": {"output": "x.png"}}' >forbidden.json
    echo '{"options": {"iterations": -4}}' >range.json
    echo '{"options": {"iterations": [1]}}' >list.json
    echo '[]' >array.json
    echo '{"options": {}, "style-weight": 5}' >beside.json
    echo '{"description": 5, "options": {}}' >number.json
    refused 2 "preset 'nobody'" -p nobody -s style.ppm photo.ppm -o o.png
    refused 2 'broken.json: line ' -p broken.json -s style.ppm photo.ppm -o o.png
    refused 2 "forbidden.json: 'output'" -p forbidden.json -s style.ppm photo.ppm -o o.png
    refused 2 "range.json: iterations: '-4'" -p range.json -s style.ppm photo.ppm -o o.png
    refused 2 "list.json: iterations" -p list.json -s style.ppm photo.ppm -o o.png
    refused 2 "beside.json: 'style-weight' is neither" -p beside.json -s style.ppm photo.ppm -o o.png
    refused 2 "number.json: description" -p number.json -s style.ppm photo.ppm -o o.png
    refused 2 "array.json: " -p array.json -s style.ppm photo.ppm -o o.png
    mkdir folder.json
    refused 2 "none.json: No such file" -p none.json -s style.ppm photo.ppm -o o.png
    refused 2 "folder.json: Is a directory" -p folder.json -s style.ppm photo.ppm -o o.png
}

@test "several images whose results cannot all be written are refused" {
    mkdir d
    cp photo.ppm d/photo.ppm
    refused 2 '2 images need an output directory' -s style.ppm photo.ppm d/photo.ppm \
        -o out.png
    refused 2 'photo.ppm and d/photo.ppm would both be written to d/photo-style.ppm' \
        -s style.ppm photo.ppm d/photo.ppm -o d
    cp photo.ppm d/photo-style.ppm
    refused 2 'd/photo-style.ppm: is an input file' \
        -s style.ppm photo.ppm d/photo-style.ppm -o d
    refused 2 'trace: works for one image only' -s style.ppm photo.ppm style.ppm -o d \
        --trace t.jsonl
    refused 2 'trace: standard output cannot' -s style.ppm photo.ppm -o out.png --trace -
    refused 2 'standard input has no name' -s style.ppm - -o d <photo.ppm
    refused 2 'json: requires --dry-run' -s style.ppm photo.ppm -o out.png --json
    refused 2 'trace: works for one image' -s style.ppm photo.ppm style.ppm -o new/ --trace t
    refused 2 'preset: only one' -s style.ppm photo.ppm -o out.png -p classic -p gatys
}

@test "a file cannot be named for two outputs" {
    refused 2 'x.png: named for two outputs' -s style.ppm photo.ppm -o x.png --trace x.png
    refused 2 'x.png: named for two outputs' -s style.ppm photo.ppm -o x.png --history x.png
    refused 2 't: named for two outputs' -s style.ppm photo.ppm -o x.png --history t --trace t
    touch old.jsonl
    ln old.jsonl link.jsonl
    refused 2 'named for two outputs' -s style.ppm photo.ppm -o x.png \
        --history old.jsonl --trace link.jsonl
    refused 2 'x.png: named for two outputs' -s style.ppm photo.ppm -o x.png --trace ./x.png
    mkdir folder
    ln -s folder there
    refused 2 'named for two outputs' -s style.ppm photo.ppm -o folder/x.png \
        --preview there/../there//x.png
}

@test "the history file cannot be an input or another output" {
    export NST_HISTORY=photo.ppm
    refused 2 'photo.ppm: is an input file' -s style.ppm photo.ppm -o x.png
    NST_HISTORY=$PWD/x.png refused 2 'x.png: named for two outputs' -s style.ppm photo.ppm -o x.png
    mkdir -p state/nst
    cp photo.ppm state/nst/history.jsonl
    NST_HISTORY='' XDG_STATE_HOME=$PWD/state refused 2 'history.jsonl: is an input file' \
        -s style.ppm state/nst/history.jsonl -o x.png
    cmp photo.ppm state/nst/history.jsonl
    refused 2 'history: standard output cannot' -s style.ppm photo.ppm -o x.png --history -
}

@test "a checkpoint or preview that cannot be written is refused before the run" {
    refused 2 '^nst: no/ck: cannot be written: No such file or directory' -s style.ppm photo.ppm -o x.png \
        --checkpoint no/ck
    refused 2 '^nst: no/p.png: cannot be written: No such file or directory' -s style.ppm photo.ppm -o x.png \
        --preview no/p.png
    refused 2 "^nst: p.xyz: '.xyz' is not" -s style.ppm photo.ppm -o x.png --preview p.xyz
}

@test "no output overwrites a list of files or a model" {
    echo photo.ppm >list
    refused 2 'list: is an input file' -s style.ppm --files-from list -o out/ --history list
    cp "$srcdir/models/vgg19-lite.safetensors" m.safetensors
    refused 2 'm.safetensors: is an input file' -m m.safetensors -s style.ppm photo.ppm \
        -o x.png --checkpoint m.safetensors
}
