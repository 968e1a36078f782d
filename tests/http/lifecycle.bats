#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The life of a task: full disks, restarts, stop and keep, deletion, figures,
# idempotency keys, backup.
bats_require_minimum_version 1.5.0
load helper
load network

teardown() {
    local pid
    for pid in ${service:-} ${receiver:-} ${network:-}; do
        kill -KILL "$pid" || true
        wait "$pid" || true
    done
    for folder in data/tasks data; do
        ! mountpoint -q "$folder" || umount -l "$folder"
    done
    ! grep -A 20 Sanitizer log
}

# disk FOLDER SIZE: mount a small disk
disk() {
    mkdir -p "$1"
    mount -t tmpfs -o "size=$2" none "$1" 2>/dev/null || skip "no disk can be mounted"
}

# fill FOLDER: leave no byte, also if a task removes a file meanwhile
fill() {
    local folder=$1
    rm -f "$folder/filler"
    wait_until 'cat /dev/zero >>"$folder/filler" 2>/dev/null
        [ "$(df --output=avail "$folder" | tail -n 1)" -eq 0 ]'
}

long() {
    transfer '{num_steps: 1000, size: 256}'
}

@test "a task waits for room on a full disk, and continues from its checkpoint" {
    disk data 6M
    serve --retries 0
    upload photo.png
    transfer '{num_steps: 60, size: 128}'
    until_task '.progress >= 22'
    fill data
    until_task '.status == "queued"'
    [ "$(field message)" = 'waiting for disk space' ]
    [ "$(field error)" = null ]
    (cd data/work && [ -s "$task/checkpoint" ])
    get /api/tasks
    [ "$(field '[0].message')" = 'waiting for disk space' ]
    stop_service KILL || true
    serve --retries 0
    get "/api/progress/$task"
    [ "$(field status)" = queued ]
    [ "$(field message)" = 'waiting for disk space' ]
    rm data/filler
    until_task '.progress > 0'
    [ "$(field progress)" -ge 20 ]
    until_state completed
    [ "$(field attempts)" = 1 ]
    [ "$(field message)" = null ]
    grep -q 'No space left on device; it waits for disk space' log
}

@test "a task that was told to have failed on a full disk does not run again" {
    mkdir -p data
    disk data/tasks 16K
    serve --task-seconds 2
    upload photo.png
    long
    until_task '.status == "running"'
    fill data/tasks
    until_state failed
    stop_service KILL || true
    serve
    get "/api/progress/$task"
    [ "$code" = 404 ] || [ "$(field status)" = failed ]
    get /api/tasks
    [ "$body" = '[]' ]
}

@test "a state that a full disk keeps from its file is written when there is room" {
    mkdir -p data
    disk data/tasks 16K
    serve
    upload photo.png
    long
    until_task '.progress > 0'
    fill data/tasks
    ask DELETE "/api/tasks/$task"
    [ "$code" = 200 ]
    fill data/tasks # again: the record may have made room for itself
    until_state cancelled
    rm data/tasks/filler
    wait_until '[ "$(jq -r .state "data/tasks/$task.json")" = cancelled ]'
    stop_service KILL || true
    serve
    get "/api/progress/$task"
    [ "$(field status)" = cancelled ]
}

@test "a thumbnail that a kill has prevented is made at the start" {
    serve
    upload photo.png
    transfer
    until_state completed
    stop_service KILL || true
    rm "data/thumbs/$task.png.jpg"
    serve
    wait_until '[ -s "data/thumbs/$task.png.jpg" ]'
    get /api/history
    [ "$(jq -r '.[][0].thumbnail' <<<"$body")" = "/thumbs/$task.png.jpg" ]
}

@test "a finished task is deleted with its pictures, a running one is cancelled" {
    serve
    upload photo.png
    transfer
    kept=$task
    until_state completed
    transfer
    until_state completed
    ask DELETE "/api/tasks/$task"
    [ "$code" = 200 ]
    field message | grep -q deleted
    get "/api/progress/$task"
    refused 404 .
    get "/results/$task.png"
    refused 404 .
    [ "$(find data -name "*$task*")" = "" ]
    get "/api/progress/$kept"
    [ "$(field status)" = completed ]
    get "/uploads/$content"
    [ "$code" = 200 ]
    ask DELETE "/api/tasks/$task"
    refused 404 .
    long
    until_task '.progress > 0'
    ask DELETE "/api/tasks/$task"
    [ "$code" = 200 ]
    field message | grep -q cancelled
    until_state cancelled
    ask DELETE "/api/tasks/$task"
    field message | grep -q deleted
    stop_service
    serve
    get "/api/progress/$task"
    refused 404 .
}

@test "failed tasks are listed by their state, and can be deleted" {
    serve
    upload photo.png
    transfer
    until_state completed
    printf 'P2\n2 2\n255\n0 0 0 0\n' >"data/uploads/$content" # too small
    transfer
    until_state failed
    get "/api/tasks?state=failed"
    [ "$(jq -r '[.[].task_id] | join(" ")' <<<"$body")" = "$task" ]
    get "/api/tasks?state=completed"
    [ "$(jq length <<<"$body")" = 1 ]
    get "/api/tasks?state=done"
    refused 400 "state: 'done' is not queued, running, completed, failed or cancelled"
    ask DELETE "/api/tasks/$task"
    [ "$code" = 200 ]
    get "/api/tasks?state=failed"
    [ "$body" = '[]' ]
}

@test "stop and keep makes the picture so far the result" {
    serve --max-tasks 1
    upload photo.png
    long
    first=$task
    long
    ask POST "/api/tasks/$task/stop"
    refused 409 'no picture yet: cancel it'
    ask DELETE "/api/tasks/$task"
    task=$first
    until_task '.progress >= 5'
    ask POST "/api/tasks/$task/stop"
    [ "$code" = 200 ]
    until_state completed
    step=$(field stopped_at_step)
    [ "$step" -ge 5 ]
    [ "$step" -lt 1000 ]
    [ "$(field progress)" = "$step" ]
    [ "$(field content_loss)" != null ]
    get "/results/$task.png"
    [ "$code" = 200 ]
    [ "$(head -c 4 answer | tail -c 3)" = PNG ]
    get /api/history
    [ "$(jq '.[][0].stopped_at_step' <<<"$body")" = "$step" ]
    [ -s "data/thumbs/$task.png.jpg" ]
    ask POST "/api/tasks/$task/stop"
    refused 409 'already over'
    ask POST /api/tasks/00000000000000000000000000000000/stop
    refused 404 .
}

@test "a task that was asked to stop stops after a kill of the service, too" {
    serve
    upload photo.png
    long
    until_task '.progress >= 25'
    kill -STOP "$(children)" # it does not see the signal
    ask POST "/api/tasks/$task/stop"
    [ "$code" = 200 ]
    stop_service KILL || true
    serve
    until_state completed
    [ "$(field stopped_at_step)" -ge 20 ]
    [ "$(field stopped_at_step)" -lt 1000 ]
}

# post_key KEY [JSON]: queue a task with an idempotency key
post_key() {
    post /api/style-transfer "$(jq -n --arg c "$content" \
        '{content_image: $c, style_image: "munch", num_steps: 3, size: 32} +'"${2:-{\}}")" \
        -H "Idempotency-Key: $1"
}

@test "a request that is repeated with its idempotency key gets the same task" {
    serve
    upload photo.png
    post_key first
    [ "$code" = 200 ]
    task=$(field task_id)
    post_key first
    [ "$code" = 200 ]
    [ "$(field task_id)" = "$task" ]
    post_key first '{num_steps: 4}'
    refused 422 'Idempotency-Key: .* another request'
    post_key second
    [ "$(field task_id)" != "$task" ]
    post_key wrong '{num_steps: 0}'
    refused 400 num_steps
    post_key wrong # a refused request does not use its key up
    [ "$code" = 200 ]
    post_key 'a b'
    refused 400 'Idempotency-Key'
    post_key "$(printf 'x%.0s' $(seq 256))"
    refused 400 '1 to 255'
    until_state completed
    stop_service KILL || true
    serve
    post_key first
    [ "$(field task_id)" = "$task" ]
    find data/keys -type f -exec touch -d '25 hours ago' {} +
    post_key first
    [ "$code" = 200 ]
    [ "$(field task_id)" != "$task" ]
    stop_service
    serve # it removes the others
    [ "$(ls data/keys | wc -l)" = 1 ]
}

@test "an upload that is repeated gets the same name, whatever its idempotency key" {
    serve
    ask POST /api/upload-content -F content_image=@photo.png -H 'Idempotency-Key: first'
    [ "$code" = 200 ]
    name=$(field filename)
    for key in first second 'not valid'; do
        ask POST /api/upload-content -F content_image=@photo.png -H "Idempotency-Key: $key"
        [ "$code" = 200 ]
        [ "$(field filename)" = "$name" ]
    done
    ask POST /api/upload-content -F content_image=@style.jpg -H 'Idempotency-Key: first'
    [ "$code" = 200 ]
    [ "$(field filename)" != "$name" ]
    [ "$(ls data/uploads | wc -l)" = 2 ]
    [ -z "$(ls data/keys)" ]
}

@test "of many equal requests at once, with one key, one makes a task" {
    serve
    upload photo.png
    body="{\"content_image\": \"$content\", \"style_image\": \"munch\", \"num_steps\": 1, \"size\": 32}"
    for i in $(seq 20); do
        curl -sS -H 'Content-Type: application/json' -H 'Idempotency-Key: k' -d "$body" \
            -o "id$i" "$url/api/style-transfer" &
        clients+=($!)
    done
    wait "${clients[@]}"
    [ "$(jq -r .task_id id* | sort -u | wc -l)" = 1 ]
    [ "$(ls data/tasks | wc -l)" = 1 ]
}

@test "many viewers of a result cause one computation of its figures, which are kept" {
    serve
    upload photo.png
    transfer
    until_state completed
    for i in $(seq 12); do
        curl -sS -o "first$i" -w '%{http_code}\n' "$url/api/tasks/$task/quality" \
            >>codes &
        clients+=($!)
    done
    wait "${clients[@]}"
    [ "$(sort -u codes)" = 202 ] || [ "$(sort -u codes)" = $'200\n202' ]
    wait_until 'curl -sS -o figures -w "%{http_code}" "$url/api/tasks/$task/quality" | grep -qx 200'
    jq -e '.ssim != null and has("style_distance")' figures
    [ -s "data/quality/$task.json" ]
    first=$(stat -c %i "data/quality/$task.json")
    post /api/compare "{\"task_id\": \"$task\"}"
    [ "$code" = 200 ]
    [ "$(jq -S . <<<"$body")" = "$(jq -S . figures)" ]
    # nst-compare is not called again
    jq '.figures.psnr = 12.5' "data/quality/$task.json" >x
    cp x "data/quality/$task.json"
    post /api/compare "{\"original\": \"$content\", \"result\": \"$task.png\"}"
    [ "$(field psnr)" = 12.5 ]
    get "/api/tasks/$task/quality"
    [ "$(field psnr)" = 12.5 ]
    [ "$(stat -c %i "data/quality/$task.json")" = "$first" ]
    stop_service
    serve
    get "/api/tasks/$task/quality"
    [ "$(field psnr)" = 12.5 ]
    get /api/tasks/00000000000000000000000000000000/quality
    refused 404 .
    ask DELETE "/api/tasks/$task"
    [ -z "$(ls data/quality)" ]
}

@test "a backup that was made while tasks run goes on from its checkpoints" {
    serve
    upload photo.png
    transfer
    done=$task
    until_state completed
    long
    until_task '.progress >= 25'
    # the commands of docs/SERVE.md
    DIR=data
    sed -n '/^mkdir backup/,/^```/p' "$srcdir/docs/SERVE.md" | grep -v '^```' >commands
    [ -s commands ]
    DIR=$DIR bash -e commands
    ask DELETE "/api/tasks/$task"
    stop_service
    rm -r data
    serve --data backup
    [ -s "backup/owners/$done.png" ]
    until_task '.progress > 0'
    [ "$(field progress)" -ge 20 ]
    get /api/history
    [ "$(jq -r '.[][0].task_id' <<<"$body")" = "$done" ]
    get "/results/$done.png"
    [ "$code" = 200 ]
    ask DELETE "/api/tasks/$task"
}

@test "a webhook tells a public address of the end of a task, signed, until it is taken" {
    webhooks
    receive
    serve --webhook-secret-file secret
    upload photo.png
    transfer '{webhook: "http://203.0.113.9:8080/hook"}'
    wait_until '[ "$(grep -c /hook received)" = 2 ]' # the first one got a 500
    IFS=$'\t' read -r _ timestamp signature sent <<<"$(tail -n 1 received)"
    [ "$(jq -r .task_id <<<"$sent")" = "$task" ]
    [ "$(jq -r .status <<<"$sent")" = completed ]
    [ $(($(date +%s) - timestamp)) -lt 60 ]
    [ "$signature" = "sha256=$(printf '%s.%s' "$timestamp" "$sent" |
        openssl dgst -sha256 -hmac 'a secret of the test' | sed 's/.* //')" ]
    wait_until '[ -z "$(ls data/hooks)" ]'
    # what the service must not reach, it does not
    transfer '{webhook: "http://127.0.0.1:8080/private"}'
    wait_until 'grep -q "not delivered: its address is not public" log'
    ! grep -q private received
}

@test "a webhook is sent although its task was deleted before" {
    webhooks
    receive
    serve --webhook-secret-file secret
    upload photo.png
    transfer '{num_steps: 500, webhook: "http://203.0.113.9:8080/ended"}'
    local ended=$task
    until_task '.progress > 0'
    transfer '{webhook: "http://203.0.113.9:8080/cancelled"}'
    local cancelled=$task
    stop_service
    serve # sends none
    task=$ended
    post "/api/tasks/$ended/stop" ''
    until_state completed
    ask DELETE "/api/tasks/$cancelled" # cancels or deletes it
    ask DELETE "/api/tasks/$cancelled"
    ask DELETE "/api/tasks/$ended"
    get "/api/progress/$ended"
    refused 404 'is not known'
    get "/api/progress/$cancelled"
    refused 404 'is not known'
    stop_service KILL || true
    serve --webhook-secret-file secret
    wait_until '[ -z "$(ls data/hooks)" ]'
    [ "$(wc -l <received)" = 2 ]
    [ "$(grep /ended received | cut -f 4 | jq -r '.task_id + " " + .status')" = "$ended completed" ]
    grep /cancelled received | cut -f 4 | jq -e --arg id "$cancelled" \
        '.task_id == $id and (.status == "cancelled" or .status == "completed")'
}

@test "a webhook is an http URL, and needs --webhook-secret-file" {
    webhooks
    serve
    upload photo.png
    post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": \"munch\", \"webhook\": \"http://example.org\"}"
    refused 400 'webhook: this service sends none'
    stop_service
    serve --webhook-secret-file secret
    for hook in '"file:///etc/passwd"' '"http://"' '"http://u:p@example.org"' 5 '"example.org"'; do
        post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": \"munch\", \"webhook\": $hook}"
        refused 400 'webhook: must be an http or https URL'
    done
    transfer '{webhook: null}'
    stop_service
    printf short >secret
    run "$SERVE" --data other --webhook-secret-file secret
    [ "$status" = 2 ]
    grep -q 'at least 16' <<<"$output"
}
