#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Tasks: the queue, its limits, and recovery from crashes.
bats_require_minimum_version 1.5.0
load helper

# long: queue a task that takes long
long() {
    transfer '{num_steps: 1000, size: 256}'
}

# until_running: wait until the task has made a step
until_running() {
    until_task '.progress > 0 and .status == "running"'
}

@test "a running task is cancelled within two seconds, a queued task at once" {
    serve --max-tasks 1
    upload photo.png
    long
    first=$task
    long
    task=$first until_running
    [ -n "$(children)" ]
    get /api/tasks
    [ "$(jq -r '[.[].status] | join(" ")' <<<"$body")" = 'running queued' ]
    ask DELETE "/api/tasks/$task"
    [ "$code" = 200 ]
    get "/api/progress/$task"
    [ "$(field status)" = cancelled ]
    ask DELETE "/api/tasks/$task"
    [ "$code" = 200 ]
    field message | grep -q deleted
    begin=$(date +%s%N)
    ask DELETE "/api/tasks/$first"
    [ "$code" = 200 ]
    task=$first until_state cancelled
    [ $((($(date +%s%N) - begin) / 1000000)) -lt 2000 ]
    [ -z "$(children)" ]
    [ -z "$(ls data/work data/results | grep -v ':$' | grep .)" ]
    ask DELETE /api/tasks/00000000000000000000000000000000
    refused 404 .
}

@test "--max-tasks run, --max-queue wait, and further tasks are 429" {
    serve --max-tasks 2 --max-queue 3 --max-queue-per-owner 3
    upload photo.png
    for _ in 1 2 3 4 5; do
        long
        sleep 0.3
    done
    [ "$(children | wc -l)" = 2 ]
    post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": \"munch\"}"
    refused 429 '3 tasks wait'
    [ "$(header retry-after)" -gt 0 ]
    get /metrics
    grep -qx 'nst_queue_depth 3' <<<"$body"
    get /api/tasks
    for task in $(jq -r '.[].task_id' <<<"$body"); do
        ask DELETE "/api/tasks/$task"
    done
}

@test "a killed task is retried three times, each time from its checkpoint" {
    serve --retries 3
    upload photo.png
    long
    for i in 1 2 3 4; do
        until_task ".attempts == $i and .progress >= $((25 * i))"
        last=$(field progress)
        pkill -KILL -P "$service"
        [ $i = 4 ] || until_attempt $((i + 1))
    done
    until_state failed
    field error | grep -qi 'signal 9'
    [ "$last" -ge 100 ] # it resumed from checkpoints
    [ "$(grep -c 'tried again' log)" = 3 ]
    [ -z "$(ls data/work)" ]
    get /metrics
    grep -qx 'nst_task_retries_total 3' <<<"$body"
}

# until_attempt N: wait until attempt N runs
until_attempt() {
    until_task ".attempts == $1 and .status == \"running\""
}

@test "a task that was killed and resumed gives the same result" {
    serve
    upload photo.png
    transfer '{num_steps: 120, size: 192}'
    until_state completed
    cp "data/results/$task.png" whole.png
    transfer '{num_steps: 120, size: 192}'
    until_task '.progress >= 25'
    pkill -KILL -P "$service"
    until_state completed
    [ "$(field attempts)" = 2 ]
    cmp whole.png "data/results/$task.png"
}

@test "a task that gets SIGTERM from outside is retried" {
    serve
    upload photo.png
    long
    until_running
    kill -TERM "$(children)"
    until_attempt 2
    ask DELETE "/api/tasks/$task"
}

@test "a task with invalid input is not retried" {
    serve
    upload photo.png
    printf 'P2\n2 2\n255\n0 0 0 0\n' >"data/uploads/$content" # too small
    transfer
    until_state failed
    [ "$(field attempts)" = 1 ]
    [ "$(field error)" != null ]
    [[ $(field error) != *$PWD* ]]
}

@test "kill -9 of the service loses no task and runs none twice" {
    serve --max-tasks 2
    upload photo.png
    for _ in 1 2 3 4; do
        transfer '{num_steps: 60, size: 128}'
        tasks="$tasks $task"
    done
    for _ in 1 2 3; do
        wait_until '[ -n "$(children)" ]'
        sleep 0.3 # at any moment of a task
        stop_service KILL || true
        wait_until '[ -z "$(pgrep -f "$PWD/data/work")" ]' # its children die with it
        serve --max-tasks 2
    done
    for task in $tasks; do
        until_state completed
        [ -s "data/results/$task.png" ]
    done
    get /api/history
    [ "$(jq '[.[][]] | length' <<<"$body")" = 4 ]
    [ "$(ls data/results | wc -l)" = 4 ]
    [ "$(sort <(sed -n 's/.*task \([0-9a-f]*\): completed.*/\1/p' log) | uniq -d)" = "" ]
    sha256sum data/results/* | awk '{print $1}' | uniq | wc -l | grep -qx 1
    [ -z "$(ls data/work)" ]
}

@test "a result that exists when the service is killed is kept" {
    serve --max-tasks 1
    upload photo.png
    transfer
    until_state completed
    stop_service KILL || true
    jq '.state = "running" | del(.output_img)' "data/tasks/$task.json" >x
    mv x "data/tasks/$task.json"
    serve --max-tasks 1
    get "/api/progress/$task"
    [ "$(field status)" = completed ]
    [ "$(field output_img)" = "/history/$task.png" ]
}

@test "damaged records and foreign files in the data folder are ignored" {
    serve
    upload photo.png
    transfer
    until_state completed
    stop_service
    echo '{"state": "queued"' >data/tasks/00000000000000000000000000000001.json
    echo '{"state": "queued"}' >data/tasks/00000000000000000000000000000002.json
    echo '[]' >data/tasks/00000000000000000000000000000003.json
    echo '{"state": "completed"}' >data/tasks/00000000000000000000000000000004.json
    echo '{"state": "running", "content_img": 3, "styles": 4}' \
        >data/tasks/00000000000000000000000000000005.json
    echo x >data/tasks/x
    mkdir data/tasks/dir
    (cd data/work && mkdir 00000000000000000000000000000009)
    ln -s /etc/passwd data/uploads/link.png
    echo part >data/uploads/00000000000000000000000000000001.part
    serve
    get /api/history
    [ "$code" = 200 ]
    jq -e --arg key "${content%.*}" '.[$key] | length == 1' <<<"$body"
    get /uploads/link.png
    refused 404 .
    get /api/tasks
    [ "$code" = 200 ]
    transfer
    until_state completed
    [ ! -e data/uploads/00000000000000000000000000000001.part ]
    [ -z "$(ls data/work | grep 0009)" ]
}

@test "SIGTERM waits --grace seconds, then writes a checkpoint and exits with 0" {
    serve --grace 20 --max-tasks 1
    upload photo.png
    transfer '{num_steps: 30, size: 128}'
    first=$task
    long
    task=$first until_running
    stop_service TERM
    [ "$(jq -r .state "data/tasks/$first.json")" = completed ]
    [ "$(jq -r .state "data/tasks/$task.json")" = queued ]
    serve --grace 0
    until_running
    until_task '.progress >= 25'
    stop_service TERM
    [ "$(jq -r .state "data/tasks/$task.json")" = queued ]
    (cd data/work && [ -s "$task/checkpoint" ])
    grep -q 'ended' log
    serve
    until_running
    [ "$(field progress)" -ge 25 ]
    [ "$(field attempts)" = 1 ]
    ask DELETE "/api/tasks/$task"
}

@test "during the shutdown, open connections are served and new tasks are 503" {
    serve --grace 30 --max-tasks 1
    upload photo.png
    long
    until_running
    mkfifo requests
    # one connection with a request before and one during the shutdown
    { printf 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'
      sleep 0.5
      kill -TERM $service
      sleep 0.7
      printf 'POST /api/style-transfer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'
      sleep 0.5
    } | timeout 10 busybox nc 127.0.0.1 "${url##*:}" >answers
    cat answers
    grep -q '^HTTP/1.1 200' answers
    grep -q 'HTTP/1.1 503' answers
    grep -qi '^Retry-After:' answers
    run ! curl -sS -m 2 "$url/health"
    kill -TERM $service # the second SIGTERM ends it at once
    wait $service
    service=
}

@test "the oldest results above --max-history-images are removed" {
    serve --max-history-images 3
    upload photo.png
    for _ in 1 2 3 4 5; do
        transfer
        until_state completed
        tasks="$tasks $task"
    done
    set -- $tasks
    get /api/history
    [ "$(jq '[.[][]] | length' <<<"$body")" = 3 ]
    [ "$(ls data/results data/tasks | grep -c "$1\|$2")" = 0 ]
    [ "$(ls data/results | wc -l)" = 3 ]
    [ "$(ls data/thumbs | grep -vc "$content")" = 3 ]
    get "/api/history?limit=1"
    [ "$(jq -r '.[][0].task_id' <<<"$body")" = "$5" ]
    [ "$(header x-total-count)" = 3 ]
    get "/api/history?offset=2"
    [ "$(jq -r '[.[][].task_id] | join(" ")' <<<"$body")" = "$3" ]
    get "/api/history?offset=3"
    [ "$body" = '{}' ]
    stop_service
    serve --max-history-images 3 # loads the tasks in any order
    get /api/history
    [ "$(jq -r '[.[][].task_id] | join(" ")' <<<"$body")" = "$5 $4 $3" ]
    stop_service
    serve --max-history-images 2
    get /api/history
    [ "$(jq -r '[.[][].task_id] | join(" ")' <<<"$body")" = "$5 $4" ]
}

@test "a file in tasks/ without a valid name is not loaded" {
    serve
    upload photo.png
    transfer
    until_state completed
    stop_service
    for name in "z${task:1}.json" "${task:1}.json" "$task.jsom" "$task.json.json" "x.json"; do
        cp "data/tasks/$task.json" "data/tasks/$name"
    done
    serve
    [ "$(grep -c 'is not a task' log)" = 5 ]
    get /api/history
    [ "$(jq '[.[][]] | length' <<<"$body")" = 1 ]
}

@test "the history of a picture cannot be deleted while a task uses it" {
    serve
    upload photo.png
    long
    ask DELETE "/api/delete-history/$content"
    refused 409 cancel
    ask DELETE "/api/tasks/$task"
}

@test "--task-seconds and --task-memory limit a task" {
    needs_plain_build
    serve --task-seconds 1 --max-size 4096
    upload photo.png
    transfer '{num_steps: 1000, size: 512}'
    until_state failed
    field error | grep -q '1 s'
    [ "$(field attempts)" = 1 ]
    stop_service
    serve --task-memory 64M --max-size 65536
    transfer '{num_steps: 10, size: 6144}'
    until_state failed
    echo "$body"
    field error | grep -qi 'memory'
}

@test "a task runs in the sandbox, without new privileges and sockets" {
    serve
    upload photo.png
    long
    until_running
    child=$(children)
    grep -qx 'NoNewPrivs:.1' "/proc/$child/status"
    grep -qx 'Seccomp:.2' "/proc/$child/status"
    tr '\0' '\n' <"/proc/$child/environ" | grep -qx VIPS_BLOCK_UNTRUSTED=1
    grep -q 'Max core file size  *0 ' "/proc/$child/limits"
    get /api/device-info # CUDA needs unlimited address space
    [ "${SANITIZERS:-no}" != no ] || [ "$(field gpu)" != null ] ||
        grep 'Max address space' "/proc/$child/limits" | grep -qv unlimited
    [ "$(ls "/proc/$child/fd" | wc -l)" -lt 20 ]
    [ -z "$(find "/proc/$child/fd" -lname 'socket:*')" ]
    ask DELETE "/api/tasks/$task"
}

@test "the log is rotated at 10 MB into five files of JSON lines" {
    head -c 9999990 /dev/zero >serve.log
    for i in 1 2 3 4; do
        echo "older $i" >serve.log.$i
    done
    "$SERVE" --data data --listen 127.0.0.1:0 --log serve.log --log-format json --monitor 1 &
    service=$!
    wait_until 'grep -q processors serve.log 2>/dev/null'
    stop_service
    touch log
    jq -s -e 'map(.level) | index("info") != null' serve.log
    jq -s -e 'map(.message) | map(select(test("processors [0-9]+ %, memory [0-9]+ %, disk [0-9]+ %"))) |
        length > 0' serve.log
    [ "$(stat -c %s serve.log.1)" -ge 9999000 ]
    [ "$(cat serve.log.2 serve.log.3 serve.log.4)" = "$(printf 'older 1\nolder 2\nolder 3')" ]
    [ "$(ls serve.log* | wc -l)" = 5 ]
}
