#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Pictures that a task begins with, and the settings that results contain.
bats_require_minimum_version 1.5.0
load helper

# result: complete a task; sets $result to the name of its picture
result() {
    transfer "$@"
    until_state completed
    result=$task.png
}

# settings NAME: print the text of a result that has its settings
settings() {
    python3 - "data/results/$1" <<'END'
import struct, sys, zlib
data = open(sys.argv[1], "rb").read()
assert data[:8] == b"\x89PNG\r\n\x1a\n"
at, texts = 8, []
while at < len(data):
    n, = struct.unpack(">I", data[at:at + 4])
    kind, body = data[at + 4:at + 8], data[at + 8:at + 8 + n]
    crc, = struct.unpack(">I", data[at + 8 + n:at + 12 + n])
    assert crc == zlib.crc32(kind + body), kind
    if kind == b"tEXt" and body.startswith(b"nst-request\0"):
        texts.append(body.partition(b"\0")[2].decode("ascii"))
    at += 12 + n
assert kind == b"IEND" and len(texts) == 1, (kind, texts)
print(texts[0])
END
}

same_pixels() { # same_pixels PICTURE PICTURE
    vips rawsave "$1" 1.raw
    vips rawsave "$2" 2.raw
    cmp 1.raw 2.raw
}

@test "a result is continued at a larger size, with the same composition" {
    serve
    upload photo.png
    result '{size: 48, num_steps: 8}'
    transfer "{size: 96, scales: \"none\", num_steps: 1, init_image: \"$result\"}"
    until_state completed
    [ "$(vipsheader -f width "data/results/$task.png")" = 96 ]
    vips resize "data/results/$result" small.png 2
    vips resize data/uploads/"$content" photo2.png 2
    # one step leaves it near the result, and far from the photograph
    distance() {
        vips subtract "data/results/$task.png" "$1" difference.v
        vips abs difference.v absolute.v
        vips avg absolute.v
    }
    near=$(distance small.png) far=$(distance photo2.png)
    echo "$near $far"
    awk "BEGIN { exit !($near < $far / 2) }"
}

@test "noise makes another picture for each seed, the photograph does not" {
    serve
    upload photo.png
    result '{init_image: "noise", seed: 1}'
    cp "data/results/$result" 1.png
    result '{init_image: "noise", seed: 2}'
    run ! same_pixels 1.png "data/results/$result"
    result '{init_image: "content", seed: 1}'
    cp "data/results/$result" 1.png
    result '{seed: 2}'
    same_pixels 1.png "data/results/$result"
}

@test "a result may be deleted while a task that continues it waits, also after a kill" {
    serve --max-tasks 1
    upload photo.png
    result '{size: 48}'
    transfer '{num_steps: 1000, size: 256}'
    long=$task
    transfer "{size: 64, scales: \"none\", num_steps: 1, init_image: \"$result\"}"
    waiting=$task
    until_state queued
    copy=$(field request.init_image)
    [ "$copy" != "$result" ]
    [ -f "data/uploads/$copy" ]
    ask DELETE "/api/tasks/${result%.png}"
    [ "$code" = 200 ]
    [ ! -e "data/results/$result" ]
    stop_service KILL || true
    serve --max-tasks 1
    ask DELETE "/api/tasks/$long"
    task=$waiting
    until_state completed
    # the request of the task can be posted again, and the copy stays with the task
    field request >request.json
    [ "$(jq -r .init_image request.json)" = "$copy" ]
    ask POST /api/style-transfer -H 'Content-Type: application/json' -d @request.json
    [ "$code" = 200 ]
    task=$(field task_id)
    until_state completed
    [ "$(field request.init_image)" = "$copy" ]
}

@test "a beginning that does not exist, or is another's, is refused in one line" {
    local a=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    echo "ann user sha256:$(printf %s $a | sha256sum | cut -c-64)" >tokens
    echo "ben user sha256:$(printf %s $b | sha256sum | cut -c-64)" >>tokens
    ann="Authorization: Bearer $a" ben="Authorization: Bearer $b"
    serve --tokens tokens
    ask POST /api/upload-content -F content_image=@photo.png -H "$ann"
    content=$(field filename)
    request() { # request INIT HEADER
        post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": \"munch\",
            \"num_steps\": 1, \"size\": 32, \"init_image\": $1}" -H "$2"
    }
    request null "$ann"
    [ "$code" = 200 ]
    task=$(field task_id)
    wait_until 'curl -s -H "$ann" "$url/api/progress/$task" | jq -e ".status == \"completed\""'
    ask POST /api/upload-content -F content_image=@photo.png -H "$ben"
    content=$(field filename)
    request "\"$task.png\"" "$ben"
    refused 400 '^init_image: .* is not content, noise, an uploaded picture or an existing result$'
    for wrong in '"none.png"' '""' 7 '"../../etc/passwd"' '["noise"]' \
        "\"$(printf '0%.0s' {1..32}).png\""; do
        request "$wrong" "$ben"
        refused 400 '^init_image: .* is not content, noise'
    done
    ask DELETE "/api/tasks/$task" -H "$ann"
    [ "$code" = 200 ]
    ask POST /api/upload-content -F content_image=@photo.png -H "$ann"
    content=$(field filename)
    request "\"$task.png\"" "$ann"
    refused 400 '^init_image: '
    [ "$(find data/uploads -type f | wc -l)" = 2 ] # one of each owner: no copy is left
}

@test "a result that is continued leaves no copy if the task is not taken" {
    serve --max-tasks 1 --max-queue 1
    upload photo.png
    result
    transfer '{num_steps: 1000, size: 256}'
    until_state running
    long=$task
    transfer '{num_steps: 1000, size: 256}'
    post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": \"munch\",
        \"init_image\": \"$result\"}"
    refused 429 'wait already'
    [ "$(ls data/uploads)" = "$content" ]
    ask DELETE "/api/tasks/$task"
    ask DELETE "/api/tasks/$long"
}

@test "a result contains its settings, and no names of pictures or files" {
    serve
    upload photo.png
    ask POST /api/upload-style -F style_image=@style.png
    own=$(field filename)
    upload style.png
    mask=$content
    upload photo.png
    result "{styles: [{name: \"munch\", weight: 3, mask: \"$mask\"}, {name: \"$own\"}],
        keep_mask: \"$mask\", preset: \"photo-colours\", strength: 0.5, style_scale: 1.5,
        init_image: \"$mask\", scales: [16, 32]}"
    text=$(settings "$result")
    echo "$text"
    jq -e '. == {styles: [{name: "munch", weight: 3}, {name: null, weight: 1}],
        preset: "photo-colours", strength: 0.5, style_scale: 1.5, num_steps: 3, size: 32,
        scales: [16, 32]}' <<<"$text"
    for secret in "$content" "$mask" "$own" "$PWD" data/ uploads; do
        run ! grep -aF -- "${secret%.*}" "data/results/$result"
    done
    vips copy "data/results/$result" same.png # a decoder takes it
    # a stopped task has them as well
    transfer '{num_steps: 1000, size: 256}'
    until_task '.progress >= 2'
    ask POST "/api/tasks/$task/stop"
    until_state completed
    settings "$task.png" | jq -e '.num_steps == 1000'
}
