#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What clients rely on: the interface of the original system, forms, JSON and HTTP as the
# standards define them, and requests that are refused before they become tasks.
bats_require_minimum_version 1.5.0
load helper

@test "a client of the original system works unchanged" {
    serve
    ask POST /api/upload-content -F content_image=@photo.png
    [ "$code" = 200 ]
    content=$(field filename)
    stem=${content%.*}
    ask POST /api/upload-style -F style_image=@style.jpg
    style=$(field filename)
    get /api/styles
    jq -e --arg s "$style" 'map(.name) | index($s) != null' <<<"$body"
    post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": \"$style\",
        \"style_weight\": 8000, \"num_steps\": 5, \"content_weight\": 4, \"size\": 32}"
    [ "$code" = 200 ]
    task=$(field task_id)
    until_state completed
    [ "$(field progress)" = 5 ]
    made=$(field output_img)
    [ "$made" = "/history/$task.png" ]
    get /api/history
    jq -e --arg k "$stem" --arg s "$style" --arg made "$made" 'keys == [$k] and
        (.[$k] | length == 1 and .[0].style_img == $s and .[0].style_weight == 8000 and
        .[0].steps == 5 and .[0].output_img == $made)' <<<"$body"
    get "$made"
    [ "$code" = 200 ]
    [ "$(header content-type)" = image/png ]
    cmp answer "data/results/$task.png"
    get "/results/$task.png"
    cmp answer "data/results/$task.png"
    ask DELETE "/api/delete-history/$stem"
    [ "$code" = 200 ]
    get /api/history
    [ "$body" = '{}' ]
    get "$made"
    refused 404 picture
    [ -z "$(ls data/uploads)" ]
}

@test "a history is deleted by its key or by the name of the upload, and by nothing else" {
    serve
    for by in key name; do
        upload photo.png
        transfer
        until_state completed
        get /api/history
        key=$(jq -r 'keys[0]' <<<"$body")
        [ "$key" = "${content%.png}" ]
        for wrong in "$key.jpg" "$key." "${key:1}" "$key.png.jpg" "$key.part"; do
            ask DELETE "/api/delete-history/$wrong"
            refused 404 history
        done
        if [ $by = name ]; then key=$content; fi
        ask DELETE "/api/delete-history/$key"
        [ "$code" = 200 ]
    done
    get /api/history
    [ "$body" = '{}' ]
}

@test "without a preset and options, a task is what nst makes by default: a painting" {
    serve
    upload photo.png
    post /api/style-transfer \
        "{\"content_image\": \"$content\", \"style_image\": \"munch\", \"size\": 96}"
    task=$(field task_id)
    until_state completed
    jq -e '.total == 300 and .request.style_weight == 7000' <<<"$body"
    "$NST" photo.png -s munch -o same.png --size 96 --progress none --history none
    for f in "data/results/$task.png" same.png; do
        "$NST" "$f" -s munch -o "$(basename "$f" .png).ppm" --init content --strength 0 -n 1 \
            --size native --max-evaluations 1 --progress none --history none
    done
    cmp "$task.ppm" same.ppm
    "$NST" photo.png -s munch -S 96 -o x.png --dry-run --json --history none |
        jq -e '.scales == [64, 96]'
}

# form CONTENT-TYPE BODY: upload a form; %b escapes in BODY, and PHOTO is the picture
form() {
    /usr/bin/python3 - "$2" >body <<'END'
import sys
with open("photo.png", "rb") as f:
    picture = f.read()
text = sys.argv[1].encode().decode("unicode_escape").encode("latin-1")
sys.stdout.buffer.write(text.replace(b"PHOTO", picture))
END
    ask POST /api/upload-content -H "Content-Type: $1" --data-binary @body
}

@test "a form may have every form that RFC 2046 and RFC 7578 allow" {
    needs python3
    without_metadata
    serve
    local part='Content-Disposition: form-data; name="content_image"; filename="a.png"\r\n\r\nPHOTO\r\n'
    local -A good=(
        ['multipart/form-data; boundary=abc; charset=utf-8']="--abc\r\n$part--abc--\r\n"
        ['multipart/form-data; charset=utf-8; BOUNDARY=abc']="--abc\r\n$part--abc--\r\n"
        ['multipart/form-data; boundary=X']="--X\r\n$part--X--"
        ['multipart/form-data; boundary="a b;c"']="--a b;c\r\n$part--a b;c--\r\n"
        ['MULTIPART/Form-Data;boundary=abc']="hello\r\n--abc \t \r\n$part--abc--\r\nbye\r\n--abc\r\n"
    )
    for type in "${!good[@]}"; do
        form "$type" "${good[$type]}"
        [ "$code" = 200 ]
        get "$(field url)"
        cmp answer photo.png
    done
    form 'multipart/form-data; boundary=abc' \
        "--abc\r\nContent-Disposition: form-data;\r\n name=content_image\r\n\r\nPHOTO\r\n--abc--"
    [ "$code" = 200 ]
    local type='multipart/form-data; boundary=abc'
    form "$type" '--abc\r\nContent-Disposition: form-data; name="x"; filename="; name=content_image"\r\n\r\nPHOTO\r\n--abc--'
    refused 400 'no picture'
    form "$type" "--abc\r\n$part--abc-"
    refused 400 'cut short'
    form "$type" "--abcd\r\n$part--abcd--"
    refused 400 'the boundary'
    form "$type" '--abc\r\nContent-Disposition: form-data; name="content_image"\r\n\r\n\r\n--abc--'
    refused 400 'the file is empty: choose another'
    for type in 'multipart/form-data' 'multipart/form-data; boundary=' \
        "multipart/form-data; boundary=$(printf 'b%.0s' $(seq 71))" 'multipart/mixed; boundary=abc'; do
        form "$type" "--abc\r\n$part--abc--"
        refused 415 'boundary of 1 to 70'
    done
    [ -z "$(ls data/uploads | grep part)" ]
}

@test "a form with 50000 parts, false boundaries or long headers takes no time" {
    needs python3
    without_metadata
    serve
    local begin=$SECONDS
    for kind in parts false headers; do
        /usr/bin/python3 - $kind >body <<'END'
import sys
with open("photo.png", "rb") as f:
    picture = f.read()
part = b'--abc\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
hostile = {"parts": part % (b"p", b"x") * 50000,
           "false": part % (b"p", b"\r\n--ab" * 2000000),
           "headers": (b"--abc\r\n" + b"\n" * 16000 + b"\r\n\r\n\r\n") * 800}[sys.argv[1]]
sys.stdout.buffer.write(hostile + part % (b"content_image", picture) + b"--abc--\r\n")
END
        ask POST /api/upload-content -H 'Content-Type: multipart/form-data; boundary=abc' \
            --data-binary @body -m 20
        [ "$code" = 200 ]
        get "$(field url)"
        cmp answer photo.png
    done
    [ $((SECONDS - begin)) -lt 30 ]
}

@test "a whole number may be 100.0, and a string is never a number, in every field" {
    serve
    upload photo.png
    local known="\"content_image\": \"$content\", \"style_image\": \"munch\""
    post /api/style-transfer "{$known, \"num_steps\": 3.0, \"size\": 32.0, \"seed\": 7.0,
        \"scales\": [16.0, 32], \"style_weight\": 7000, \"strength\": null}"
    [ "$code" = 200 ]
    task=$(field task_id)
    get "/api/progress/$task"
    jq -e '.total == 3 and .request.scales == [16, 32] and .request.seed == 7' <<<"$body"
    while IFS='|' read -r json pattern; do
        post /api/style-transfer "{$known, $json}"
        refused 400 "^$pattern"
    done <<'END'
"num_steps": "3"|num_steps: "3" is not a whole number
"num_steps": 3.5|num_steps: 3.5 is not a whole number
"size": "32"|size: "32" is not a whole number from 16 to 2048
"size": "native"|size: "native" is not a whole number from 16 to 2048
"size": 32.5|size: 32.5 is not a whole number
"style_weight": "7000"|style_weight: "7000" is not a number
"strength": "0.5"|strength: "0.5" is not a number
"seed": true|seed: true is not a whole number
"square": "true"|square: "true" is not true or false
"square": 1|square: 1 is not true or false
"scales": "16,32"|scales: "16,32" is not a list of whole numbers, or a word
"scales": ["16", "32"]|scales: \["16","32"\] is not a list of whole numbers
"scales": []|scales: \[\] is not a list of whole numbers
"colour": 1|colour: 1 is not a string
"style_layers": [1]|style_layers: \[1\] is not a string, or a list of strings
"tv_weight": -1|tv_weight: -1 is not a number from 0 to 1000000000000
"content_weight": 1e13|content_weight: 1.*0 is not a number from 0 to 1000000000000
"tv-weight": 1|tv-weight: is not known
"color": "content"|color: is not known
"keep_mask": "a\u0000b"|the body is not JSON
"preset": "a\u0001"|preset: "a\\u0001" is not a known preset
END
}

@test "an unknown key in styles, and style_image beside styles, are refused" {
    serve
    upload photo.png
    while IFS='|' read -r json pattern; do
        post /api/style-transfer "{\"content_image\": \"$content\", $json}"
        refused 400 "$pattern"
    done <<'END'
"styles": [{"name": "munch", "wieght": 2}]|styles.wieght: is not known: a style has name, weight and mask
"styles": [{"name": "munch", "weight": "2"}]|weight: "2" is not a number
"styles": [{"name": "munch"}], "style_image": "munch"|style_image: cannot be given beside styles
"styles": "munch"|styles: must be a list
END
    post /api/style-transfer "{\"content_image\": \"$content\", \"styles\": [$(
        printf '{"name": "munch"},%.0s' $(seq 16)){\"name\": \"munch\"}]}"
    refused 400 'styles: must be a list of 1 to 16 objects'
    post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": null,
        \"styles\": [{\"name\": \"munch\", \"weight\": null, \"mask\": null}], \"size\": 32,
        \"num_steps\": 1}"
    [ "$code" = 200 ]
}

@test "a picture too small for its size, or a pack without a layer, is 400 with what to change" {
    needs python3
    picture wide.ppm 512 40 3
    "$NST" wide.ppm -s style.ppm -o wide.png -n 1 -S 512 --scales none --max-evaluations 1 \
        --progress none --history none
    serve --max-size 600
    upload photo.png
    local photo=$content
    upload wide.png
    local wide=$content
    ask POST /api/upload-style -F style_image=@wide.png
    local style
    style=$(field filename)
    while IFS='|' read -r json pattern; do
        for name in photo wide style; do
            json=${json//${name^^}/${!name}}
        done
        post /api/style-transfer "{\"num_steps\": 1, $json}"
        refused 400 "$pattern"
    done <<'END'
"content_image": "PHOTO", "style_image": "munch", "size": 16|size: 16 makes content_image 16x12 pixels, but each side needs at least 16: ask for a size of 21 or more
"content_image": "WIDE", "style_image": "munch", "preset": "draft", "size": 128|size: 128 makes content_image 128x10 .* 199 or more
"content_image": "PHOTO", "style_image": "STYLE", "size": 96|size: 96 makes the style .* 96x8 .* 199 or more
"content_image": "PHOTO", "style_image": "STYLE", "size": 512, "style_scale": 0.1|the style .*: 512x40 pixels is too narrow: even at size 600 it has 60x5 .* raise style_scale
"content_image": "PHOTO", "style_image": "munch", "size": 64, "keep_mask": "WIDE"|size: 64 makes keep_mask 64x5
"content_image": "PHOTO", "styles": [{"name": "munch", "mask": "WIDE"}], "size": 64|size: 64 makes styles.mask 64x5
END
    post /api/style-transfer "{\"content_image\": \"$photo\", \"style_image\": \"munch\",
        \"style_layers\": [\"relu1_1\", \"relu3_3:2\"]}"
    refused 400 'style_layers: relu3_3 with max pooling is not in the style munch, which is a pack'
    get /api/tasks
    [ "$body" = '[]' ]
    content=$wide # the least size that is asked for is enough
    transfer '{size: 199, num_steps: 1}'
    until_state completed
    transfer '{size: 64, square: true, num_steps: 1}'
    until_state completed
}

@test "a layer that the network lacks is refused at once, with its name" {
    "$(dirname "$NST")/nst-model" convert vgg19-lite -o short.safetensors --last conv3_1
    serve
    upload photo.png
    post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": \"munch\",
        \"content_layers\": [\"relu4_2\", \"conv5_4:2\"]}"
    refused 400 'content_layers: conv5_4 is not in the network vgg19-lite, whose last layer is relu5_1: name layers up to that'
    ask POST /api/upload-style -F style_image=@style.jpg
    style=$(field filename)
    post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": \"$style\",
        \"style_layers\": \"relu1_1,relu5_2\"}"
    refused 400 'style_layers: relu5_2 is not in the network vgg19-lite'
    stop_service
    for model in short.safetensors short.safetensors:64,short.safetensors; do
        serve --model $model
        post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": \"$style\"}"
        refused 400 'content_layers: relu4_2 is not in the network short, whose last layer is relu3_1'
        transfer "{style_image: \"$style\", content_layers: \"relu3_1\", style_layers: \"relu1_1\"}"
        until_state completed
        stop_service
    done
    # the network of the largest scale has it, that of the scale before does not
    serve --model short.safetensors:24,vgg19-lite
    transfer "{style_image: \"$style\", scales: \"none\"}"
    until_state completed
    post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": \"$style\",
        \"size\": 48, \"scales\": [24, 48]}"
    refused 400 'content_layers: relu4_2 is not in the network short'
    stop_service
    # the one that a preset names
    mkdir -p config/nst/presets
    echo '{"description": "x", "options": {"model": "short.safetensors", "size": 48, "iterations": 1}}' \
        >config/nst/presets/short.json
    XDG_CONFIG_HOME=$PWD/config serve
    post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": \"$style\",
        \"preset\": \"short\"}"
    refused 400 'content_layers: relu4_2 is not in the network short'
}

@test "a panorama is taken, and a tiny picture refused in words for people" {
    needs vips
    vips black panorama.png 4000 30 --bands 3
    vips black tiny.png 15 40 --bands 3
    serve --max-size 2048
    upload panorama.png
    get "$(field thumbnail)"
    [ "$code" = 200 ]
    post /api/style-transfer \
        "{\"content_image\": \"$content\", \"style_image\": \"munch\"}"
    refused 400 'content_image: 4000x30 pixels is too narrow: even at size 2048 .*: crop it'
    ask POST /api/upload-content -F content_image=@tiny.png
    refused 415 'content_image: 15x40 pixels is too small: each side needs at least 16'
}

@test "the request of a task can be posted again as it is" {
    serve
    upload photo.png
    local mask=$content
    upload photo.png
    for json in '{}' '{style_image: "hokusai", style_weight: 5000.5, size: 32}' \
        "{styles: [{name: \"munch\", weight: 0.25, mask: \"$mask\"}, {name: \"hokusai\"}],
            keep_mask: \"$mask\", preset: \"classic\", num_steps: 2}" \
        '{preset: "draft", colour: "content", tv_weight: 0.1, scales: [16, 32],
            scale_iterations: [2, 1], style_layers: ["relu1_1", "relu2_1:2"], square: false}' \
        '{scales: "16..", scale_iterations: "auto", content_layers: "relu2_1:0.5", seed: 4294967295}'; do
        transfer "$json"
        first=$task
        until_state completed
        request=$(jq -cS .request <<<"$body")
        post /api/style-transfer "$request"
        [ "$code" = 200 ]
        task=$(field task_id)
        [ "$task" != "$first" ]
        until_state completed
        [ "$(jq -cS .request <<<"$body")" = "$request" ]
        get /api/history
        jq -e --arg t "$task" --argjson r "$request" \
            '.[][] | select(.task_id == $t).request == $r' <<<"$body"
        cmp "data/results/$first.png" "data/results/$task.png" ||
            same_pixels "data/results/$first.png" "data/results/$task.png"
    done
    get /api/history
    jq -e --arg m "$mask" '[.[][].request] | any(.preset == "classic" and .keep_mask == $m and
        .styles == [{name: "munch", weight: 0.25, mask: $m}, {name: "hokusai", weight: 1}] and
        .num_steps == 2)' <<<"$body"
    jq -e '[.[][].request] | any(.style_image == "hokusai" and .style_weight == 5000.5 and
        has("styles") == false)' <<<"$body"
}

# same_pixels A B: the pixels are the same; the records inside differ in times
same_pixels() {
    for f in "$@"; do
        "$NST" "$f" -s munch -o "$f.ppm" --init content --strength 0 -n 1 --size native \
            --max-evaluations 1 --progress none --history none
    done
    cmp "$1.ppm" "$2.ppm"
}

@test "the record of an earlier version has a request, too" {
    serve
    upload photo.png
    transfer '{size: 32, strength: 0.5}'
    until_state completed
    stop_service
    jq -e 'has("request") | not' "data/tasks/$task.json"
    serve
    get /api/history
    jq -e '.[][0].request | .strength == 0.5 and .size == 32' <<<"$body"
}

# raw REQUEST: send bytes (printf %b); sets $code and $body
raw() {
    printf '%b' "$1" >request
    timeout 10 busybox nc 127.0.0.1 "${url##*:}" <request >answer || true
    code=$(sed -n '1s/^HTTP\/1.1 \([0-9]*\).*/\1/p' answer)
    sed '/^\r$/,$d' answer >headers
    body=$(sed '1,/^\r$/d' answer | tr -d '\0')
    echo "$code ${body:0:200}"
}

@test "a request with a whole URL is answered like one with its path" {
    serve
    local close='Connection: close\r\n\r\n'
    for target in http://localhost/health HTTP://LOCALHOST/health; do
        raw "GET $target HTTP/1.1\r\nHost: localhost\r\n$close"
        [ "$code" = 200 ]
        [ "$(field status)" != null ]
    done
    raw "GET http://localhost:5000/api/history?limit=0 HTTP/1.1\r\nHost: localhost:5000\r\n$close"
    refused 400 limit
    raw "GET http://localhost HTTP/1.1\r\nHost: localhost\r\n$close"
    [[ $body == *html* ]]
    raw "GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n$close"
    refused 400 'host: .*that of the URL'
    raw "GET http://evil.example/api/styles HTTP/1.0\r\n\r\n"
    refused 400 'host: '
}

@test "a NUL byte in a header, and a Host that is none, are 400" {
    serve
    local get='GET /health HTTP/1.1\r\n' host='Host: localhost\r\n' end='Connection: close\r\n\r\n'
    for head in "X: a\0b\r\n$host" "${host}X: a\0\0\0b\r\n" "${host}X: a\r\n b\r\n"; do
        raw "$get$head$end"
        refused 400 'a header contains a NUL byte, or goes on'
    done
    raw "$get${host}X: a  \r\nCookie: a=b; c\r\n$end"
    [ "$code" = 200 ]
    for name in '[evil.com]' 'localhost:80@evil.com' '[::1' '[::1]x' localhost:x 'a b'; do
        raw "${get}Host: $name\r\n$end"
        refused 400 'host: must be a name or an address'
    done
    for name in '[::1]' '[::1]:80' 127.0.0.1:5000 localhost:; do
        raw "${get}Host: $name\r\n$end"
        [ "$code" = 200 ]
    done
}
