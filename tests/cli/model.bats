#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# nst-model and fetch-model: PyTorch checkpoints are converted, invalid ones refused.
# torch.save() of PyTorch 1.13 wrote tests/data/tiny-*.pth in both of its formats: four
# small convolutions, of which one is F16 and one is part of a larger storage of
# doubles. tiny.json has the values that PyTorch read.
bats_require_minimum_version 1.5.0
load helper

nst_model() {
    "$(dirname "$NST")/nst-model" "$@"
}

# refuses STATUS PATTERN ARG...: nst-model exits with STATUS, prints one line and writes
# nothing.
refuses() {
    local wanted=$1 pattern=$2
    shift 2
    run --separate-stderr nst_model "$@"
    echo "status $status: $stderr"
    [ "$status" = "$wanted" ]
    [ "$(wc -l <<<"$stderr")" = 1 ]
    grep -qE -- "$pattern" <<<"$stderr"
    [ ! -e out.safetensors ]
}

# needs_archive: skip the test in a build that does not read checkpoints.
needs_archive() {
    ! nst_model --help | grep -q libarchive || skip "nst-model is built without libarchive"
}

# header FILE: the header of a safetensors file.
header() {
    head -c $((8 + $(od -An -tu8 -N8 "$1"))) "$1" | tail -c +9
}

# numbers FILE KEY: the values of an F32 tensor.
numbers() {
    local from to
    read -r from to < <(header "$1" | jq -r --arg key "$2" '.[$key].data_offsets | @tsv')
    tail -c +$((9 + $(od -An -tu8 -N8 "$1") + from)) "$1" | head -c $((to - from)) |
        od -An -v -tf4 -w4
}

@test "checkpoints of both formats are converted with the values that PyTorch read" {
    needs_archive
    needs jq
    for kind in zip plain; do
        nst_model convert "${srcdir:?}/tests/data/tiny-$kind.pth" -o tiny.safetensors
        nst_model verify tiny.safetensors | grep -q '^sound$'
        jq -r keys[] "$srcdir/tests/data/tiny.json" | while read -r key; do
            paste <(jq -r --arg key "$key" '.[$key][]' "$srcdir/tests/data/tiny.json") \
                <(numbers tiny.safetensors "$key") |
                awk '{ d = $1 - $2; if (d > 1e-6 || d < -1e-6 || NF != 2) exit 1 }
                    END { exit NR == 0 }'
        done
    done
    nst_model info --json "$srcdir/tests/data/tiny-zip.pth" |
        jq -e '.kind == "PyTorch" and [.layers[].out] == [2, 3, 2, 2]'
}

@test "converted, shortened and F16 networks make images" {
    nst_model convert vgg19-lite -o all.safetensors
    nst_model convert vgg19-lite -o cut.safetensors --last conv_5
    nst_model convert vgg19-lite -o half.safetensors --f16
    for model in all cut half; do
        nst -p classic -m ./$model.safetensors -s style.ppm photo.ppm -o $model.ppm
    done
    cmp <(tail -c 2304 all.ppm) <(tail -c 2304 cut.ppm)
    refused 1 'has no layer conv3_2' -m ./cut.safetensors -p gatys -s style.ppm photo.ppm -o o.ppm
    refuses 2 'has 5 convolutions' convert ./cut.safetensors --last relu5_1 \
        -o out.safetensors
}

@test "convert does not overwrite its inputs" {
    cp "${srcdir:?}/models/vgg19-lite.safetensors" lite.safetensors
    ln -s lite.safetensors link
    refuses 2 'link: is an input file and will not be overwritten' convert ./lite.safetensors \
        --f16 -o link
    cp photo.ppm before
    refuses 2 'photo.ppm: is an input file' convert vgg19-lite --normalise photo.ppm \
        -o photo.ppm
    cmp photo.ppm before
    cmp lite.safetensors "$srcdir/models/vgg19-lite.safetensors"
}

@test "a normalised network has mean activation 1 in all layers and makes the same image" {
    needs jq
    nst_model convert vgg19-lite -o norm.safetensors --normalise photo.ppm --normalise style.ppm
    nst_model verify --json norm.safetensors photo.ppm style.ppm |
        jq -e 'all(.layers[].activation; . > 0.9999 and . < 1.0001)'
    # with one layer, the losses of the two networks differ only by a factor
    nst -m vgg19-lite -w 0 --content-layers conv_3 --style-layers conv_3 -s style.ppm \
        photo.ppm --init style.ppm --square -n 30 -o a.ppm
    nst -m ./norm.safetensors -w 0 --content-layers conv_3 --style-layers conv_3 -s style.ppm \
        photo.ppm --init style.ppm --square -n 30 -o b.ppm
    paste <(tail -c 3072 a.ppm | od -An -v -tu1 -w1) <(tail -c 3072 b.ppm | od -An -v -tu1 -w1) |
        awk '{ d = $1 - $2; sum += d < 0 ? -d : d } END { print sum / NR; exit sum / NR > 2 }'
}

@test "a pickle that names anything but tensors is refused and not executed" {
    needs_archive
    # a legacy checkpoint whose first pickle is: import os; os.system("touch ran")
    printf '\200\002cos\nsystem\nX\011\000\000\000touch ran\205R.' >evil.pth
    refuses 1 'refers to something that is not a tensor: os.system' verify evil.pth
    printf '\200\002c__builtin__\neval\nX\001\000\000\0001\205R.' >evil.pth
    refuses 1 'refers to something that is not a tensor: __builtin__.eval' convert evil.pth -o out.safetensors
    printf '\200\002}\201.' >evil.pth
    refuses 1 'an opcode that tensors do not need: 0x81' verify evil.pth
    [ ! -e ran ]
}

@test "a build without libarchive refuses checkpoints and says what to do" {
    nst_model --help | grep -q libarchive || skip "nst-model is built with libarchive"
    for kind in zip plain; do
        refuses 1 "tiny-$kind.pth: .*built without it; rebuild it" convert \
            "${srcdir:?}/tests/data/tiny-$kind.pth" -o out.safetensors
    done
    run ! nst_model info "$srcdir/tests/data/tiny-zip.pth"
    run ! fetch --url http://127.0.0.1:1/none.pth
    [[ $output == *"built without libarchive"* ]]
    [ ! -e data ]
}

# network FILE PLACE...: a network of one channel whose layers have these places, all with
# the same weights: 1, 2 and 4 of 1024 for the channels of the picture, and a bias of 1.
network() {
    local file=$1 in=3 text place
    shift
    text=
    for place; do
        text+=",\"$place.weight\":{\"dtype\":\"F32\",\"shape\":[1,$in,3,3],\"data_offsets\":[0,$((36 * in))]}"
        text+=",\"$place.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[108,112]}"
        in=1
    done
    text="{${text#,}}"
    {
        printf "\\x$(printf %x $((${#text} & 255)))\\x$(printf %x $((${#text} >> 8)))\0\0\0\0\0\0"
        printf %s "$text"
        for value in '\200\072' '\000\073' '\200\073'; do
            printf "\0\0$value%.0s" 1 2 3 4 5 6 7 8 9
        done
        printf '\0\0\200\077'
    } >"$file"
}

@test "another network than VGG19 is refused by name, converted or run" {
    features() { printf 'features.%s ' "$@"; }
    # shellcheck disable=SC2046 # a list of words
    network vgg16.safetensors $(features 0 2 5 7 10 12 14 17)
    # shellcheck disable=SC2046
    network bn.safetensors $(features 0 1 3 4)
    for name in vgg16:'a VGG16;' bn:'with batch normalisation;'; do
        refuses 1 "${name%:*}.safetensors: is .*${name#*:}" convert ./"${name%:*}".safetensors \
            -o out.safetensors
        refused 1 "${name%:*}.safetensors: is .*${name#*:}.*fetch-model" \
            -m ./"${name%:*}".safetensors -s style.ppm photo.ppm -o o.ppm
    done
    needs_archive
    refuses 1 'is not a VGG19.*features.0.weight' info "$srcdir/styles/van-gogh.nststyle"
}

@test "a network is converted from other names, and convert says what it leaves out" {
    needs jq
    network gatys.safetensors conv1_1 conv1_2 conv2_1
    network list.safetensors 0 2 5
    for names in gatys list; do
        run --separate-stderr nst_model convert --input=rgb ./$names.safetensors -o made.safetensors
        [ "$status" = 0 ]
        [ -z "$output$stderr" ]
        header made.safetensors |
            jq -e '[keys[] | select(endswith("weight"))] == ["features.\(0, 2, 5).weight"]'
        numbers made.safetensors features.0.weight >values
        [ "$(sort -u values | wc -l)" = 3 ]
    done
    network more.safetensors features.0 classifier.0
    run --separate-stderr nst_model convert --input=rgb ./more.safetensors -o made.safetensors
    [ "$status" = 0 ]
    [ "$stderr" = "nst-model: ./more.safetensors: left out 2 tensors: classifier.0.weight, classifier.0.bias" ]
    nst_model info ./more.safetensors | grep -qx 'unused   2 tensors: .*'
}

@test "a network of Caffe's is rewritten for RGB, and is not run as it is" {
    network caffe.safetensors features.0
    refused 1 'caffe.safetensors: expects pictures in BGR from 0 to 255.*nst-model convert' \
        -m ./caffe.safetensors --content-layers conv_1 --style-layers conv_1 -s style.ppm photo.ppm -o o.ppm
    run --separate-stderr nst_model convert ./caffe.safetensors -o made.safetensors
    [ "$status" = 0 ]
    [[ $stderr == *"caffe.safetensors: expects pictures in BGR from 0 to 255"*"--input=rgb"* ]]
    # red is the last channel: w 255 d; and the bias is less by w (255 m - m')
    numbers made.safetensors features.0.weight | awk '
        BEGIN { split("0.229 0.224 0.225", d); w[1] = 4; w[2] = 2; w[3] = 1 }
        { c = int((NR - 1) / 9) + 1; e = $1 / (w[c] / 1024 * 255 * d[c]) - 1
          if (e > 1e-6 || e < -1e-6) exit 1 }
        END { exit NR != 27 }'
    numbers made.safetensors features.0.bias | awk '
        { e = $1 - 1 - 9 / 1024 * (4 * (255 * 0.485 - 123.68) + 2 * (255 * 0.456 - 116.779) + (255 * 0.406 - 103.939)); exit e > 1e-6 || e < -1e-6 }'
    # what is converted once is not converted again
    run --separate-stderr nst_model convert ./made.safetensors -o again.safetensors
    [ -z "$stderr" ]
    cmp <(numbers made.safetensors features.0.weight) <(numbers again.safetensors features.0.weight)
    nst -m ./made.safetensors --content-layers conv_1 --style-layers conv_1 -s style.ppm \
        photo.ppm -o o.ppm
    run nst_model convert --input=cmyk ./caffe.safetensors -o made.safetensors
    [ "$status" = 2 ]
}

@test "a number that is not finite names its tensor" {
    needs_archive
    LC_ALL=C sed 's/\xba\x46\xc3\xbf/\x00\x00\xc0\x7f/' "${srcdir:?}/tests/data/tiny-plain.pth" >nan.pth
    refuses 1 'nan.pth: module.features.0.weight: holds a value that is not finite' \
        convert nan.pth -o out.safetensors
}

@test "a PyTorch checkpoint is no network to run, and nst names nst-model convert" {
    for kind in zip plain; do
        refused 1 'is a PyTorch checkpoint.*nst-model convert' \
            -m "${srcdir:?}/tests/data/tiny-$kind.pth" -s style.ppm photo.ppm -o o.ppm
    done
}

@test "an invalid or truncated checkpoint is refused in one line" {
    needs_archive
    head -c 900 "${srcdir:?}/tests/data/tiny-plain.pth" >cut.pth
    refuses 1 'cut.pth: ' verify cut.pth
    head -c 2000 "$srcdir/tests/data/tiny-zip.pth" >cut.pth
    refuses 1 'cut.pth: ' verify cut.pth
}

@test "wrong usage and files that are no network are refused" {
    refuses 2 'No such file' info no.pth
    refuses 1 'photo.ppm: ' verify ./photo.ppm
    run nst_model frobnicate x
    [ "$status" = 2 ]
    run nst_model convert vgg19-lite
    [ "$status" = 2 ]
    run nst_model convert vgg19-lite -o x --last conv_99
    [ "$status" = 2 ]
}

@test "randomly changed bytes in a checkpoint cause no crash" {
    needs_archive
    local seed=${NST_TEST_SEED:-$RANDOM} i kind size count=15
    echo "NST_TEST_SEED=$seed"
    RANDOM=$seed
    [ "${NST_TEST_QUICK:-0}" = 1 ] || count=60
    for kind in plain zip; do
        size=$(stat -c %s "${srcdir:?}/tests/data/tiny-$kind.pth")
        for ((i = 0; i < count; i++)); do
            cp "$srcdir/tests/data/tiny-$kind.pth" changed.pth
            for _ in 1 2; do
                printf "\\x$(printf %x $((RANDOM % 256)))" |
                    dd of=changed.pth bs=1 seek=$((RANDOM % size)) conv=notrunc status=none
            done
            status=0
            nst_model verify changed.pth >out 2>&1 || status=$?
            [ "$status" = 0 ] || { [ "$status" = 1 ] && [ "$(wc -l <out)" = 1 ]; }
        done
    done
}

fetch() {
    XDG_DATA_HOME=$PWD/data NST_MODEL=$(dirname "$NST")/nst-model \
        "${srcdir:?}/scripts/fetch-model" "$@"
}

serve() {
    needs busybox
    needs curl
    port=$((20000 + RANDOM % 20000))
    busybox httpd -f -p 127.0.0.1:$port -h served &
    server=$!
    wait_until 'curl -s -o /dev/null "http://127.0.0.1:$port/" || ! kill -0 $server'
    kill -0 $server
}

teardown() {
    [ -z "${server:-}" ] || kill "$server"
}

@test "fetch-model resumes a download, verifies it and installs the network" {
    needs_archive
    mkdir -p served data/nst
    cp "${srcdir:?}/tests/data/tiny-zip.pth" served/vgg.pth
    echo nonsense >served/other.pth
    hash=$(sha256sum <served/vgg.pth | cut -d' ' -f1)
    serve
    # half of the file is there; the first mirror does not have it
    head -c 1500 served/vgg.pth >"data/nst/vgg19-${hash:0:8}.pth.part"
    fetch --url "http://127.0.0.1:$port/none.pth" --url "http://127.0.0.1:$port/vgg.pth" \
        --sha256 "$hash"
    nst_model verify ./data/nst/vgg19.safetensors | grep -q '^sound$'
    [ "$(ls data/nst)" = vgg19.safetensors ]
    XDG_DATA_HOME=$PWD/data nst -p classic --style-layers conv_1,conv_3 -s style.ppm photo.ppm -o out.ppm \
        --verbose 2>log
    grep -q 'data/nst/vgg19.safetensors' log
    rm -r data
    # a file with a wrong checksum is discarded, and the next mirror is tried
    fetch --url "http://127.0.0.1:$port/other.pth" --url "http://127.0.0.1:$port/vgg.pth" \
        --sha256 "$hash"
    [ -s data/nst/vgg19.safetensors ]
    rm -r data
    run fetch --url "http://127.0.0.1:$port/other.pth" --sha256 "$hash"
    [ "$status" = 1 ]
    [ ! -e data/nst/vgg19.safetensors ]
}

@test "fetch-model --from installs a local file" {
    needs_archive
    file=${srcdir:?}/tests/data/tiny-plain.pth
    run fetch --from "$file"
    [ "$status" = 1 ]
    [[ $output == *checksum* ]]
    fetch --from "$file" --sha256 "$(sha256sum <"$file" | cut -d' ' -f1)" --normalise photo.ppm
    nst_model verify --json ./data/nst/vgg19.safetensors photo.ppm |
        jq -e 'all(.layers[].activation; . > 0.99 and . < 1.01)'
    [ -s "$file" ]
    run fetch --frobnicate
    [ "$status" = 2 ]
    [[ $output == *"--frobnicate: unknown option"* ]]
    run fetch --from
    [ "$status" = 2 ]
    [[ $output == *"--from: a value is missing"* ]]
}

@test "fetch-model installs a network only up to conv5_1, on a new account too" {
    needs_archive
    # shellcheck disable=SC2046 # a list of words
    network whole.safetensors $(printf 'features.%s ' 0 2 5 7 10 12 14 16 19 21 23 25 28 30 32 34)
    [ ! -e data ]
    fetch --from "$PWD/whole.safetensors" --sha256 "$(sha256sum <whole.safetensors | cut -d' ' -f1)"
    [ "$(nst_model info ./data/nst/vgg19.safetensors | grep -c ^layer)" = 13 ]
}
