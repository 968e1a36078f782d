# SPDX-License-Identifier: MIT
# Tenants and fairness: what belongs to one owner is unknown to another, the queue takes
# turns between them, and quotas refuse what is too much.

bats_require_minimum_version 1.5.0
load helper

# tenants QUOTA: the tokens of two users, the first with these quotas, and an operator
tenants() {
    printf '%s\n' "ann user token-of-ann-0000 $1" "ben user token-of-ben-0000" \
        "olga operator token-of-olga-000" >tokens
    chmod 600 tokens
}

# request STEPS: POST a task for $content
request() {
    post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\":
        \"${style:-munch}\", \"num_steps\": $1, \"size\": ${size:-32}}"
}

# state_is TASK STATE: for wait_until
state_is() {
    get "/api/progress/$1"
    [ "$(field status)" = "$2" ]
}

# blocker: start a long task as olga, and wait until it runs; sets $blocker
blocker() {
    as olga
    upload photo.png
    size=512 request 1000
    blocker=$(field task_id)
    wait_until "state_is $blocker running >/dev/null"
}

# order: print the names of the variables of finished tasks by the time of their start
order() {
    local name
    for name in "$@"; do
        echo "$(jq .started "data/tasks/${!name}.json") $name"
    done | sort -n | cut -d' ' -f2 | paste -sd ' '
}

@test "a user's pictures, styles and tasks are unknown to another, not to an operator" {
    tenants
    serve --tokens tokens
    as ann
    upload photo.png
    ask POST /api/upload-style -F style_image=@style.png
    style=$(field filename)
    request 3
    [ "$code" = 200 ]
    task=$(field task_id)
    wait_until "state_is $task completed >/dev/null"
    [ "$(field owner)" = ann ]
    result=$(field output_img)
    get /api/history
    [ "$(jq '[.[] | length] | add' <<<"$body")" = 1 ]
    [ "$(header x-total-count)" = 1 ]

    as ben
    get "/api/progress/$task"
    refused 404 'not known'
    get "/api/progress/$task/events"
    refused 404 'not known'
    get "/api/tasks/$task/preview"
    refused 404 .
    get "/api/tasks/$task/quality"
    refused 404 'no task'
    ask POST "/api/tasks/$task/stop"
    refused 404 'not known'
    ask DELETE "/api/tasks/$task"
    refused 404 'not known'
    get "/api/tasks?state=completed"
    [ "$body" = '[]' ]
    get /api/history
    [ "$body" = '{}' ]
    [ "$(header x-total-count)" = 0 ]
    ask DELETE "/api/delete-history/$content"
    refused 404 'not known'
    get /api/styles
    jq -e "[.[].name] | index(\"$style\") == null and index(\"munch\") != null" <<<"$body"
    ask DELETE "/api/styles/$style"
    refused 404 'not known'
    request 3 # with ann's picture and style
    refused 400 'content_image: .* is not an uploaded picture'
    foreign=$content
    upload photo.png
    request 3
    refused 400 'style_image: .* is not a known style'
    post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": \"munch\",
        \"keep_mask\": \"$foreign\"}"
    refused 400 'keep_mask: .* is not an uploaded picture'
    post /api/compare "{\"task_id\": \"$task\"}"
    refused 404 'no task'
    post /api/compare "{\"original\": \"$foreign\", \"result\": \"${result##*/}\"}"
    refused 400 'original: '
    post /api/compare "{\"original\": \"$content\", \"result\": \"${result##*/}\"}"
    refused 400 'result: '

    as olga
    get "/api/progress/$task"
    [ "$code" = 200 ]
    get "/api/tasks?state=completed"
    [ "$(field '[0].task_id')" = "$task" ]
    get /api/styles
    jq -e "[.[].name] | index(\"$style\") != null" <<<"$body"
    get /api/history
    [ "$(header x-total-count)" = 1 ]
    ask DELETE "/api/styles/$style"
    [ "$code" = 200 ]
    as ann
    get /api/styles
    jq -e "[.[].name] | index(\"$style\") == null" <<<"$body"
    ask DELETE "/api/delete-history/$foreign"
    [ "$code" = 200 ]
    [ ! -e "data/uploads/$foreign" ]
    [ "$(ls data/owners)" = "$content" ] # ben's upload; the records of others are gone
}

@test "owners survive kill -9; what has no owner is everybody's" {
    tenants
    serve --tokens tokens
    as ann
    upload photo.png
    ask POST /api/upload-style -F style_image=@style.png
    style=$(field filename)
    request 3
    task=$(field task_id)
    wait_until "state_is $task completed >/dev/null"
    stop_service KILL || true
    touch data/owners/00000000000000000000000000000000.png # of an upload that was killed
    serve --tokens tokens
    [ ! -e data/owners/00000000000000000000000000000000.png ]
    as ben
    get "/api/progress/$task"
    refused 404 .
    get /api/styles
    jq -e "[.[].name] | index(\"$style\") == null" <<<"$body"
    request 3
    refused 400 content_image
    stop_service
    # as an older version has left them
    rm data/owners/*
    jq 'del(.owner, .party, .work)' "data/tasks/$task.json" >record
    mv record "data/tasks/$task.json"
    serve --tokens tokens
    get "/api/progress/$task"
    [ "$code" = 200 ]
    request 3
    [ "$code" = 200 ]
    get /api/styles
    jq -e "[.[].name] | index(\"$style\") != null" <<<"$body"
}

@test "the queue takes turns: one task of a second user is before four of the first" {
    tenants
    serve --tokens tokens --max-tasks 1
    as ann
    upload photo.png
    for i in 1 2 3 4 5; do
        if [ $i = 1 ]; then size=256 request 300; else request 2; fi
        [ "$code" = 200 ]
        declare "a$i=$(field task_id)"
        [ $i != 1 ] || wait_until "state_is $a1 running >/dev/null"
    done
    [ "$(field position) $(field waiting)" = '4 4' ]
    as ben
    upload photo.png
    request 2
    b=$(field task_id)
    [ "$(field position) $(field waiting)" = '1 5' ]
    get "/api/progress/$b"
    [ "$(field position) $(field waiting)" = '1 5' ]
    get /api/tasks
    [ "$(jq -r '.[].task_id' <<<"$body")" = "$b" ]
    ask DELETE "/api/tasks/$a2"
    refused 404 'not known'
    as ann
    get /api/tasks
    [ "$(jq -c '[.[].position]' <<<"$body")" = '[null,2,3,4,5]' ]
    ask DELETE "/api/tasks/$a1" # it has started first
    wait_until "state_is $a5 completed >/dev/null"
    [ "$(field position)" = null ]
    [ "$(order a1 a2 a3 a4 a5 b)" = 'a1 b a2 a3 a4 a5' ]
}

@test "event streams tell when the place in the queue changes" {
    tenants
    serve --tokens tokens --max-tasks 1
    blocker
    as ann
    upload photo.png
    request 2
    first=$(field task_id)
    request 2
    task=$(field task_id)
    curl -sN -m 60 "${credentials[@]}" "$url/api/progress/$task/events" >events 3>&- &
    reader=$!
    wait_until "grep -q '\"position\":2,' events"
    ask DELETE "/api/tasks/$first"
    wait_until "grep -q '\"position\":1,' events"
    as olga
    ask DELETE "/api/tasks/$blocker"
    wait "$reader"
    grep -q '"status":"completed"' events
}

@test "quotas of waiting and running tasks" {
    tenants 'waiting=2 running=1'
    serve --tokens tokens --max-tasks 2 --max-queue 10
    as ann
    upload photo.png
    size=512 request 1000
    running=$(field task_id)
    wait_until "state_is $running running >/dev/null"
    request 2
    waiting=$(field task_id)
    request 2
    [ "$code" = 200 ]
    request 2
    refused 429 'waiting: ann has 2 tasks in the queue'
    [ "$(header retry-after)" -gt 0 ]
    get "/api/progress/$waiting" # a thread is free, but ann has a task running
    [ "$(field status)" = queued ]
    as ben
    upload photo.png
    request 2
    [ "$code" = 200 ]
    task=$(field task_id)
    wait_until "state_is $task completed >/dev/null"
    as ann
    get "/api/progress/$waiting"
    [ "$(field status)" = queued ]
    ask DELETE "/api/tasks/$running"
    wait_until "state_is $waiting completed >/dev/null"
}

@test "one user fills half of the queue, or --max-queue-per-owner" {
    tenants
    serve --tokens tokens --max-tasks 1 --max-queue 4
    blocker
    as ann
    upload photo.png
    request 2
    request 2
    [ "$code" = 200 ]
    request 2
    refused 429 'ann has 2 tasks'
    as ben
    upload photo.png
    request 2
    [ "$code" = 200 ]
    stop_service KILL || true
    serve --tokens tokens --max-tasks 1 --max-queue 4 --max-queue-per-owner 3
    as olga
    wait_until "state_is $blocker running >/dev/null"
    as ben
    request 2
    [ "$code" = 200 ]
    request 2
    refused 429 '4 tasks wait'
}

@test "without tokens, one address fills half of the queue, with any cookie" {
    serve --max-tasks 1 --max-queue 4 --behind-proxy
    credentials=(-H 'X-Forwarded-For: 192.0.2.1')
    upload photo.png
    size=512 request 1000
    wait_until "state_is $(field task_id) running >/dev/null"
    request 2
    request 2
    [ "$code" = 200 ]
    first=$content
    credentials=(-c jar -b jar -H 'X-Forwarded-For: 192.0.2.1')
    get /
    upload photo.png
    request 2
    refused 429 '192.0.2.1 has 2 tasks'
    credentials=(-H 'X-Forwarded-For: 192.0.2.2')
    content=$first
    request 2
    refused 400 content_image
    upload photo.png
    request 2
    [ "$code" = 200 ]
    [ "$(field position)" = 1 ]
}

@test "the quota of bytes is for uploads, styles and results" {
    local bytes
    without_metadata
    bytes=$(stat -c %s photo.png)
    tenants "bytes=$((2 * bytes + 1000))"
    serve --tokens tokens
    as ann
    upload photo.png
    echo 'the same picture in another file' | cat photo.png - >other.png
    upload other.png
    ask POST /api/upload-style -F style_image=@photo.png
    refused 507 "bytes: the pictures of ann have $((2 * bytes)) bytes of a quota"
    size=48 request 2
    [ "$code" = 200 ]
    task=$(field task_id)
    wait_until "state_is $task completed >/dev/null"
    [ "$(stat -c %s "data/results/$task.png")" -gt 1000 ]
    request 2
    refused 507 'bytes: .* delete some'
    ask DELETE "/api/delete-history/$content"
    request 2
    refused 400 content_image
    upload photo.png
    as ben
    upload photo.png
}

@test "the quota of work in a day counts deleted tasks, and survives kill -9" {
    tenants "work-per-day=$((32 * 32 * 10))"
    serve --tokens tokens
    as ann
    upload photo.png
    request 6
    [ "$code" = 200 ]
    task=$(field task_id)
    wait_until "state_is $task completed >/dev/null"
    request 5
    refused 429 "work: this task needs 5120 .* ann has used 6144 of 10240 today"
    [ "$(header retry-after)" -le 86400 ]
    ask DELETE "/api/delete-history/$content"
    upload photo.png
    stop_service KILL || true
    serve --tokens tokens
    request 5
    refused 429 'used 6144'
    request 4
    [ "$code" = 200 ]
    get /api/usage
    [ "$(jq -c .work <<<"$body")" = '{"used":10240,"limit":10240}' ]
    as ben
    upload photo.png
    request 100
    [ "$code" = 200 ]
    # the count of another day is forgotten
    stop_service
    jq '.day -= 1' data/spent >spent
    mv spent data/spent
    serve --tokens tokens
    as ann
    upload photo.png
    request 5
    [ "$code" = 200 ]
}

@test "one user's results and uploads do not push out those of others" {
    local i
    tenants
    serve --tokens tokens --max-history-images 3
    as ann
    upload photo.png
    unused=$content
    upload photo.png
    request 1
    anns=$(field task_id)
    wait_until "state_is $anns completed >/dev/null"
    as ben
    upload photo.png
    for i in 1 2 3; do
        request 1
        declare "b$i=$(field task_id)"
        wait_until "state_is $(field task_id) completed >/dev/null"
    done
    wait_until "[ \"\$(ls data/tasks | wc -l)\" = 3 ]"
    [ ! -e "data/tasks/$b1.json" ]
    as ann
    get "/api/progress/$anns"
    [ "$code" = 200 ]
    stop_service
    for i in {1000..1999}; do # newer uploads of ben, all that may be unused
        printf 'ben\nben\n' >"data/owners/$i.png"
        echo x >"data/uploads/$i.png"
    done
    serve --tokens tokens
    [ "$(ls data/uploads | wc -l)" = 1002 ] # two of them have results
    [ -e "data/uploads/$unused" ]
}
