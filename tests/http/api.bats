#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The HTTP API of nst-serve: paths, bodies, status codes.
bats_require_minimum_version 1.5.0
load helper

@test "a client uploads a picture, runs a transfer, fetches the result and deletes it" {
    serve
    upload photo.png
    [ "$(field message)" != null ]
    ask POST /api/upload-style -F style_image=@style.jpg
    [ "$code" = 200 ]
    style=$(field filename)
    get /api/styles
    [ "$(jq -r --arg s "$style" '.[] | select(.name == $s).kind' <<<"$body")" = picture ]
    [ "$(jq -r '.[] | select(.name == "munch").kind' <<<"$body")" = pack ]
    post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": \"$style\",
        \"style_weight\": 8000, \"num_steps\": 5, \"size\": 32}"
    [ "$code" = 200 ]
    task=$(field task_id)
    until_state completed
    [ "$(field progress)" = 5 ]
    [ "$(field total)" = 5 ]
    [ "$(field percent)" = 100 ]
    [ "$(field error)" = null ]
    jq -e '.content_loss > 0 and .style_loss > 0' <<<"$body"
    result=$(field output_img)
    get "$(field output_url)"
    [ "$code" = 200 ]
    [ "$(header content-type)" = image/png ]
    "$NST" answer -s answer -o /dev/null --format png --dry-run --history none
    get /api/history
    jq -e --arg c "$content" --arg s "$style" --arg r "$result" \
        --arg key "${content%.*}" '.[$key] | length == 1 and
        (.[0] | .content_img == $c and .style_img == $s and .style_weight == 8000 and
        .steps == 5 and .output_img == $r)' <<<"$body"
    get "$(jq -r '.[][0].thumbnail' <<<"$body")"
    [ "$code" = 200 ]
    [ "$(header content-type)" = image/jpeg ]
    ask DELETE "/api/delete-history/$content"
    [ "$code" = 200 ]
    get /api/history
    [ "$body" = '{}' ]
    get "$result"
    refused 404 picture
    get "/results/$task.png"
    refused 404 picture
    get "/api/progress/$task"
    refused 404 "$task"
    ask DELETE "/api/delete-history/$content"
    refused 404 "$content"
    [ -z "$(ls data/results data/work data/uploads data/tasks | grep -v ':$' | grep .)" ]
}

@test "a task gives the same result as nst with the same pictures and options" {
    serve
    upload photo.png
    transfer '{seed: 3, strength: 0.7, tv_weight: 0.1, colour: "content"}'
    until_state completed
    get "$(field output_url)"
    "$NST" photo.png -s munch -o same.png -n 3 -S 32 --seed 3 --strength 0.7 \
        --tv-weight 0.1 --colour content --progress none --history none
    "$NST" answer -s munch -o a.ppm -n 1 --size native --max-evaluations 1 --init content \
        --strength 0 --progress none --history none
    "$NST" same.png -s munch -o b.ppm -n 1 --size native --max-evaluations 1 \
        --strength 0 --progress none --history none
    cmp a.ppm b.ppm
}

@test "nst receives styles with weights and masks, presets, lists and flags" {
    serve --keep-metadata # for the names in the record
    upload photo.png
    mask=$content
    upload photo.png
    post /api/style-transfer "{\"content_image\": \"$content\", \"preset\": \"gatys\",
        \"styles\": [{\"name\": \"munch\", \"weight\": 0.25, \"mask\": \"$mask\"},
        {\"name\": \"hokusai\"}], \"keep_mask\": \"$mask\", \"square\": true,
        \"scales\": [16, 32], \"num_steps\": 2, \"size\": 32}"
    [ "$code" = 200 ]
    task=$(field task_id)
    until_state completed
    get /api/history
    jq -e '.[][0] | .preset == "gatys" and (.styles | length == 2) and
        .styles[0].weight == 0.25 and .request.scales == [16, 32]' <<<"$body"
    exiftool -b -nst "data/results/$task.png" >made || skip "exiftool is not installed"
    jq -e '.nst | .options.pooling == "avg" and .options.square == true and
        .options["keep-mask"] != null and (.style | length == 2)' made
}

@test "an invalid request is 400 with the field, the value and the range" {
    serve
    upload photo.png
    while IFS='|' read -r json pattern; do
        post /api/style-transfer "${json//CONTENT/$content}"
        refused 400 "$pattern"
    done <<'END'
{}|content_image: missing
{"content_image": 3, "style_image": "munch"}|content_image: 3
{"content_image": "../../etc/passwd", "style_image": "munch"}|content_image: ".*passwd"
{"content_image": "CONTENT"}|style_image: missing
{"content_image": "CONTENT", "style_image": "nobody"}|style_image: "nobody"
{"content_image": "CONTENT", "style_image": "/etc/passwd"}|style_image: "/etc/passwd"
{"content_image": "CONTENT", "style_image": "munch", "style_weight": 4999}|style_weight: 4999 .* 5000 to 10000
{"content_image": "CONTENT", "style_image": "munch", "style_weight": 10001}|style_weight: 10001 .* 5000 to 10000
{"content_image": "CONTENT", "style_image": "munch", "style_weight": "7000"}|style_weight: "7000"
{"content_image": "CONTENT", "style_image": "munch", "num_steps": 0}|num_steps: 0 .* 1 to 1000
{"content_image": "CONTENT", "style_image": "munch", "num_steps": 1001}|num_steps: 1001 .* 1 to 1000
{"content_image": "CONTENT", "style_image": "munch", "num_steps": 10.5}|num_steps: 10.5 .*whole
{"content_image": "CONTENT", "style_image": "munch", "size": 100000}|size: .*100000
{"content_image": "CONTENT", "style_image": "munch", "size": "native"}|size: "native" .* 16 to 2048
{"content_image": "CONTENT", "style_image": "munch", "strength": 2}|strength: .*2.*0.*1
{"content_image": "CONTENT", "style_image": "munch", "colour": "red"}|colour: .*red
{"content_image": "CONTENT", "style_image": "munch", "preset": "none"}|preset: "none" is not a known preset$
{"content_image": "CONTENT", "style_image": "munch", "preset": "../x"}|preset: .*x
{"content_image": "CONTENT", "style_image": "munch", "output": "x.png"}|output
{"content_image": "CONTENT", "style_image": "munch", "model": "/etc/passwd"}|model
{"content_image": "CONTENT", "style_image": "munch", "init": "/etc/passwd"}|init
{"content_image": "CONTENT", "style_image": "munch", "colour": "match"}|colour: match .*munch
{"content_image": "CONTENT", "styles": []}|styles
{"content_image": "CONTENT", "styles": [{"name": "munch", "weight": 0}]}|weight: 0
{"content_image": "CONTENT", "styles": [{"name": "munch", "mask": "x.png"}]}|mask: "x.png"
{"content_image": "CONTENT", "styles": ["munch"]}|styles
[1]|not a JSON object
{"content_image"|not JSON
{"a": 1, "a": 2}|not JSON
END
    get /api/tasks
    [ "$body" = '[]' ]
}

@test "--min-steps 100 allows 100 to 1000 steps" {
    serve --min-steps 100
    upload photo.png
    post /api/style-transfer \
        "{\"content_image\": \"$content\", \"style_image\": \"munch\", \"num_steps\": 99}"
    refused 400 '99 .* 100 to 1000'
    for n in 100 1000; do
        post /api/style-transfer "{\"content_image\": \"$content\", \"num_steps\": $n,
            \"style_image\": \"munch\", \"style_weight\": 5000}"
        [ "$code" = 200 ]
        ask DELETE "/api/tasks/$(field task_id)"
        [ "$code" = 200 ]
    done
}

@test "an unknown path is 404, a wrong method is 405 with an Allow header" {
    serve
    for path in /nothing /api /api/ /api/progress /api/progress/ /api/progress/x/y \
        /results/ /results/x /uploads/%2e%2e/lock /uploads/..%2flock /thumbs/x.jpg //; do
        get "$path" --path-as-is
        refused 404 .
    done
    get /results/../lock --path-as-is
    refused 404 .
    ask PUT /api/styles
    refused 405 GET
    [ "$(header allow)" = 'GET, HEAD' ]
    ask POST /api/styles -d x
    refused 405 GET
    ask DELETE /api/style-transfer
    refused 405 POST
    [ "$(header allow)" = POST ]
    ask OPTIONS /api/style-transfer
    [ "$code" = 204 ]
    [ "$(header allow)" = POST ]
    get /api/upload-content
    refused 405 POST
    get /api/progress/00000000000000000000000000000000
    refused 404 task
    get "/api/history?limit=0"
    refused 400 "limit: '0'"
    get "/api/history?offset=x"
    refused 400 "offset: 'x'"
    curl -sS -I "$url/api/styles" | grep -q '^HTTP/1.1 200'
}

@test "the format of an upload is detected from its contents, not from its name" {
    serve
    cp photo.png photo.txt
    ask POST /api/upload-content -F 'content_image=@photo.txt;type=text/plain;filename=a.exe'
    [ "$code" = 200 ]
    [[ $(field filename) =~ ^[0-9a-f]{32}\.png$ ]]
    for name in ../../../etc/cron.d/x '/etc/passwd' "$(printf 'a%.0s' $(seq 2000))" \
        'a;rm -rf b' 'x.php' '..' '' $'caf\xe9' 'CON' 'a%00.png'; do
        curl -sS -o answer -w '%{http_code}\n' "$url/api/upload-content" \
            -H 'Content-Type: multipart/form-data; boundary=xx' --data-binary @<(
            printf -- '--xx\r\nContent-Disposition: form-data; name="content_image"; '
            printf 'filename="%s"\r\n\r\n' "$name"
            cat photo.png
            printf '\r\n--xx--\r\n'
        ) >code
        echo "$name: $(cat code answer)"
        [ "$(cat code)" = 200 ] || [ "$(cat code)" = 400 ]
    done
    [ -z "$(ls data/uploads | grep -vE '^[0-9a-f]{32}\.png$')" ]
    [ "$(find . /etc/cron.d -name x -o -name 'a.exe' | wc -l)" = 0 ]
    ask POST /api/upload-content -F content_image=@log
    refused 415 'content_image: .*not a picture'
    ask POST /api/upload-content -F other=@photo.png
    refused 400 'content_image: .*no picture'
    ask POST /api/upload-content -F content_image=@photo.png -F content_image=@style.jpg
    refused 400 'one picture'
    : >empty
    ask POST /api/upload-content -F content_image=@empty
    refused 400 'the file is empty: choose another'
    ask POST /api/upload-content -d content_image=x
    refused 415 multipart
    post /api/upload-content '{}'
    refused 415 multipart
    ask POST /api/style-transfer -d '{}' -H 'Content-Type: text/plain'
    refused 415 application/json
    [ -z "$(ls data/uploads | grep part)" ]
}

@test "a body larger than --max-upload is 413, with or without Content-Length" {
    serve --max-upload 100K
    head -c 300000 /dev/zero >large
    ask POST /api/upload-content -F content_image=@large
    refused 413 '102400'
    ask POST /api/upload-content -F content_image=@large -H 'Transfer-Encoding: chunked'
    refused 413 '102400'
    ask POST /api/upload-content -F content_image=@large -H 'Expect: 100-continue'
    refused 413 '102400'
    head -c 100000 /dev/zero | tr '\0' ' ' >space
    ask POST /api/style-transfer -H 'Content-Type: application/json' --data-binary @space
    refused 413 65536
    [ -z "$(ls data/uploads)" ]
    upload photo.png
}

@test "an uploaded style can be deleted, an installed style cannot" {
    serve --keep-metadata
    ask POST /api/upload-style -F style_image=@style.jpg
    style=$(field filename)
    get "$(field url)"
    cmp answer style.jpg
    ask DELETE "/api/styles/$style"
    [ "$code" = 200 ]
    get "/styles/$style"
    refused 404 .
    get /api/styles
    installed=("$srcdir"/styles/*.nststyle "$srcdir"/nets/fast-*.nstnet)
    [ "$(jq length <<<"$body")" = ${#installed[@]} ]
    ask DELETE /api/styles/munch
    refused 404 munch
    [ -z "$(ls data/styles data/thumbs | grep jpg)" ]
}

@test "the list of styles has the metadata and the preview of a pack" {
    mkdir mine
    style_pack=$(dirname "$NST")/nst-style
    "$style_pack" pack style.jpg --scales 32 --style-layers relu1_1 --artist Ada --title Squares \
        --year 1830 --preview photo.png -o mine/full.nststyle
    "$style_pack" pack style.jpg --scales 32 --style-layers relu1_1 -o mine/bare.nststyle
    echo no >mine/broken.nststyle
    serve --styles mine
    get /api/styles
    [ "$(jq -c '.[] | select(.name == "full") | [.artist, .title, .year, .preview, .kind]' <<<"$body")" \
        = '["Ada","Squares","1830","/styles/full.jpg","pack"]' ]
    [ "$(jq -c '.[] | select(.name == "bare") | [.artist, .title, .year, .preview]' <<<"$body")" \
        = '[null,null,null,null]' ]
    [ "$(jq -c '.[] | select(.name == "broken") | .preview' <<<"$body")" = null ]
    grep -q 'warning.*broken.nststyle' log
    get /styles/full.jpg
    [ "$code" = 200 ]
    [ "$(head -c 3 answer | xxd -p)" = ffd8ff ]
    XDG_DATA_HOME=$PWD/none "$style_pack" info --json mine/full.nststyle >info
    [ "$(wc -c <answer)" = "$(jq .preview info)" ]
    for none in bare.jpg full full.nststyle broken.jpg .jpg; do
        get "/styles/$none"
        refused 404 .
    done
}

@test "--styles adds a folder of styles" {
    mkdir mine
    cp style.jpg mine/waves.jpg
    cp photo.ppm mine/Upper.ppm
    echo no >mine/broken.png
    serve --styles mine
    get /api/styles
    local names
    names=$(basename -s .nststyle -- "$srcdir"/styles/*.nststyle
        basename -s .nstnet -- "$srcdir"/nets/fast-*.nstnet)
    [ "$(jq -r '.[].name' <<<"$body")" = "$(printf '%s\nwaves.jpg\n' "$names" | LC_ALL=C sort)" ]
    grep -q 'warning.*broken.png' log
    upload photo.png
    transfer '{style_image: "waves.jpg"}'
    until_state completed
    post /api/compare "{\"task_id\": \"$task\"}"
    [ "$code" = 200 ]
    jq -e '.ssim <= 1 and .style_distance > 0' <<<"$body"
}

@test "/api/compare returns the output of nst-compare" {
    serve
    upload photo.png
    transfer
    until_state completed
    post /api/compare "{\"task_id\": \"$task\"}"
    [ "$code" = 200 ]
    "$(dirname "$NST")/nst-compare" --json photo.png "data/results/$task.png" >figures
    [ "$(jq -S . figures)" = "$(jq -S . <<<"$body")" ]
    post /api/compare "{\"original\": \"$content\", \"result\": \"$task.png\"}"
    [ "$(jq -S . figures)" = "$(jq -S . <<<"$body")" ]
    post /api/compare '{"task_id": 5}'
    refused 400 'task_id: is not a string'
    post /api/compare '{"task_id": "00000000000000000000000000000000"}'
    refused 404 task_id
    post /api/compare "{\"original\": \"$content\"}"
    refused 400 result
    post /api/compare "{\"original\": \"$content\", \"result\": \"$content\", \"style\": \"munch\"}"
    refused 400 munch
    post /api/compare "{\"original\": \"$content\", \"result\": \"$content\", \"x\": 1}"
    refused 400 x
}

@test "/api/presets omits presets larger than --max-size" {
    serve --max-size 1024
    get /api/presets
    jq -e 'map(.name) | index("classic") != null and index("poster") == null' <<<"$body"
    jq -e 'map(.description | length > 5) | all' <<<"$body"
    upload photo.png
    transfer '{strength: 0.8, num_steps: 1}'
    until_state completed
    get /api/history
    [ "$(jq -r '.[][0].request.strength' <<<"$body")" = 0.8 ]
}

@test "the service reports health, device and metrics" {
    serve
    get /health
    [ "$code" = 200 ]
    jq -e '(.status | IN("healthy", "warning")) and .memory_usage > 0 and .memory_usage < 100
        and .disk_usage >= 0 and has("gpu_memory_usage")' <<<"$body"
    date -d "$(field timestamp)" >/dev/null
    get /api/device-info
    jq -e --arg n "$(nproc)" '(.device == "cpu") == (.gpu == null) and
        .cores == ($n | tonumber) and .memory > 1e8 and .network == "vgg19-lite"' <<<"$body"
    upload photo.png
    transfer
    until_state completed
    get /metrics
    [[ $(header content-type) == text/plain* ]]
    grep -qx 'nst_tasks{state="completed"} 1' <<<"$body"
    grep -qx 'nst_tasks_ended_total{state="completed"} 1' <<<"$body"
    grep -qx 'nst_queue_depth 0' <<<"$body"
    grep -qE '^nst_task_seconds_total 0?\.?[0-9]' <<<"$body"
    grep -qE '^nst_http_requests_total\{code="2xx"\} [1-9]' <<<"$body"
    get /nothing
    get /metrics
    grep -qx 'nst_http_failures_total 1' <<<"$body"
}

@test "server-sent events report the progress from the first step to the end" {
    serve
    upload photo.png
    transfer '{num_steps: 40, size: 128}'
    timeout 60 curl -sSN -D headers "$url/api/progress/$task/events" >events
    [ "$(header content-type)" = text/event-stream ]
    sed -n 's/^data: //p' events | jq -s -e '(.[-1].status == "completed") and
        ([.[].progress] | . == sort) and (length > 5) and
        ([.[] | select(.status == "running")] | length > 3)'
    grep -q '^id: [0-9]' events
    # a finished task has one event
    timeout 10 curl -sSN "$url/api/progress/$task/events" | grep -c '^data' | grep -qx 1
    get /api/progress/00000000000000000000000000000000/events
    refused 404 task
}

@test "a preview is available while a task runs" {
    serve
    upload photo.png
    transfer '{num_steps: 1000, size: 256}'
    wait_until 'get "/api/tasks/$task/preview" >/dev/null; [ "$code" = 200 ]'
    [ "$code" = 200 ]
    [ "$(header content-type)" = image/jpeg ]
    [ "$(header cache-control)" = 'private, no-cache' ]
    "$NST" answer -s munch -o /dev/null --format png --dry-run --history none
    ask DELETE "/api/tasks/$task"
    [ "$code" = 200 ]
    get "/api/tasks/$task/preview" || true
    until_state cancelled
    get "/api/tasks/$task/preview"
    refused 404 .
}

@test "with --token-file, requests without the token are 401" {
    head -c 32 /dev/urandom | base64 >token
    printf '\xef\xbb\xbf%s\r\n' "$(cat token)" >from-windows
    serve --token-file from-windows
    get /health
    [ "$code" = 200 ]
    get /api/styles
    refused 401 Bearer
    [ "$(header www-authenticate)" = Bearer ]
    get /api/styles -H 'Authorization: Bearer wrong'
    refused 401 .
    get /api/styles -H "Authorization: Bearer $(head -c 20 token)"
    refused 401 .
    get /api/styles -H "Authorization: Bearer $(cat token)x"
    refused 401 .
    get /api/styles -H "Authorization: Bearer $(cat token)"
    [ "$code" = 200 ]
    get /api/me -H "Authorization: bearer $(cat token)"
    [ "$(field role)" = operator ]
    ask POST /api/upload-content -F content_image=@photo.png
    refused 401 .
    get /metrics
    refused 401 .
    echo short >token
    run "$SERVE" --data other --listen 127.0.0.1:0 --token-file token
    [ "$status" = 2 ]
    [[ $output == *token*16* ]]
    head -c 600 /dev/zero | tr '\0' x >token
    run timeout 5 "$SERVE" --data other --listen 127.0.0.1:0 --token-file token
    [ "$status" = 2 ]
    [[ $output == *token*511* ]]
}

@test "a public address requires tokens or --insecure" {
    run timeout 5 "$SERVE" --data data --listen 0.0.0.0:0
    [ "$status" = 2 ]
    [[ $output == *token-file*insecure* ]]
    run timeout 5 "$SERVE" --data data --listen '[::]:0'
    [ "$status" = 2 ]
    serve --listen 0.0.0.0:0 --insecure
    url=${url/0.0.0.0/127.0.0.1}
    get /health
    [ "$code" = 200 ]
}

@test "requests with a foreign Origin or Host are 403, except the allowed ones" {
    serve --allow-origin https://example.org
    get /api/styles -H 'Origin: https://evil.example'
    refused 403 evil
    get /api/styles -H 'Origin: null'
    refused 403 null
    get /api/styles -H "Origin: $url"
    [ "$code" = 200 ]
    get /api/styles -H 'Origin: https://example.org'
    [ "$code" = 200 ]
    [ "$(header access-control-allow-origin)" = https://example.org ]
    [ "$(header access-control-expose-headers)" = \
        'Accept-Ranges, Content-Range, ETag, Retry-After, X-Total-Count' ]
    get /api/styles -H 'Host: evil.example'
    refused 403 evil
    get /api/styles -H 'Host: localhost:5000'
    [ "$code" = 200 ]
    stop_service
    serve --host art.example
    get /api/styles -H 'Host: art.example'
    [ "$code" = 200 ]
    [ -z "$(header access-control-allow-origin)" ]
}

@test "every response has the security headers" {
    serve
    upload photo.png
    for path in / /api/styles /health /nothing "/uploads/$content" /openapi.json; do
        get "$path"
        [ "$(header x-content-type-options)" = nosniff ]
        [ "$(header x-frame-options)" = DENY ]
        [ "$(header referrer-policy)" = no-referrer ]
        [[ $(header content-security-policy) == *"default-src 'none'"* ]]
        [[ $(header content-security-policy) != *unsafe* ]]
        [[ $(header content-security-policy) != *media-src* ]] ||
            [[ $(header content-security-policy) == *"; media-src blob:; "* ]]
        [[ $(header content-security-policy) == *"frame-ancestors 'none'"* ]]
    done
}

@test "requests above --rate are 429 with a Retry-After header" {
    serve --rate 2
    # one connection exceeds the rate even on a slow machine
    curl -sS -X DELETE -o /dev/null "$url/api/tasks/x?[1-40]"
    ask DELETE /api/tasks/x
    refused 429 '2 requests a second'
    [ "$(header retry-after)" = 1 ]
    get /api/styles # reads are not limited
    [ "$code" = 200 ]
    sleep 1.5
    ask DELETE /api/tasks/x
    [ "$code" = 404 ]
}

@test "--behind-proxy limits the rate per client, and --prefix is put before URLs" {
    serve --rate 1 --behind-proxy --prefix /art --keep-metadata
    curl -sS -X DELETE -o /dev/null -w '%{http_code}\n' -H 'X-Forwarded-For: 1.2.3.4' \
        "$url/api/tasks/x?[1-40]" >codes
    grep -qx 429 codes
    ask DELETE /api/tasks/x -H 'X-Forwarded-For: 1.2.3.4, 5.6.7.8'
    [ "$code" = 404 ]
    get /art/health
    [ "$code" = 200 ]
    get /art
    [ "$code" = 308 ]
    [ "$(header location)" = /art/ ]
    ask POST /art/api/upload-content -F content_image=@photo.png \
        -H 'X-Forwarded-For: 9.9.9.9'
    [[ $(field url) == /art/uploads/* ]]
    get "$(field url)"
    cmp answer photo.png
    get /openapi.json
    [ "$(jq -r '.servers[0].url' <<<"$body")" = /art ]
}

@test "a client in plain Python completes a transfer" {
    needs python3
    serve
    python3 "$srcdir/tests/http/client.py" "$url" photo.png style.jpg
}

@test "a wrong command line prints one line and exits with status 2, a failure with 1" {
    while IFS='|' read -r wanted arguments pattern; do
        # shellcheck disable=SC2086 # split into words
        run timeout 5 "$SERVE" $arguments
        echo "$arguments: $status $output"
        [ "$status" = "$wanted" ]
        grep -qE -- "$pattern" <<<"$output"
    done <<'END'
2|--max-tasks 0|max-tasks: '0' .* 1 to 64
2|--max-tasks x|max-tasks: 'x'
2|--max-queue 0|max-queue: '0' .* 1 to 100000
2|--data=|data: a directory is required
2|--max-upload 5T|max-upload: '5T'
2|--log-format xml|log-format: 'xml'
2|--prefix art|prefix: 'art'
2|--listen 5000 --data d|listen: '5000'
2|--listen 127.0.0.1:99999 --data d|listen: .*65535
1|--listen 1.2.3.4:5000 --insecure --data d|1.2.3.4
2|--listen 127.0.0.1:0 --data /proc/none|/proc/none
2|--listen 127.0.0.1:0 --token-file none --data d|none
2|x|x
END
}

@test "a second service cannot use the same data folder" {
    serve
    run timeout 5 "$SERVE" --data data --listen 127.0.0.1:0
    [ "$status" = 1 ]
    [[ $output == *another* ]]
}
