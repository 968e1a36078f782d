# SPDX-License-Identifier: MIT
# The queue on Redis: a real redis-server with persistence, front ends, and workers on
# one folder. $NST is nst; nst-serve is in the same folder. NST_TEST_SEED repeats a run
# of the chaos test, NST_TEST_QUICK makes it short.

bats_require_minimum_version 1.5.0
load ../cli/helper
load network

setup() {
    needs redis-server
    needs redis-cli
    needs curl
    mkdir "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return 1
    SERVE=${NST%/*}/nst-serve
    [ -x "$SERVE" ] || skip "nst-serve was not built"
    pids=()
    credentials=()
    LEASE=2
    picture photo.ppm 96 72 11
    "$NST" -q -S 64 -n 1 -s photo.ppm photo.ppm -o photo.png --history none
    for _ in $(seq 20); do
        PORT=$((20000 + RANDOM % 12000))
        if start_redis; then break; fi
    done
    QUEUE=redis://127.0.0.1:$PORT/1
}

teardown() {
    for pid in "${pids[@]}" ${receiver:-} ${network:-}; do
        kill -9 "$pid" 2>/dev/null || true
    done
    wait
    ! mountpoint -q data || umount -l data
    tail -n 30 ./*.log 2>/dev/null || true # bats shows it if the test fails
}

start_redis() {
    ${inside:-} redis-server --port "$PORT" --bind 127.0.0.1 --save '' --appendonly yes \
        --appendfsync always --dir "$PWD" >>redis.out 2>&1 3>&- &
    redis=$!
    pids+=("$redis")
    for _ in $(seq 100); do
        if ! kill -0 "$redis" 2>/dev/null; then return 1; fi
        [ "$(${inside:-} redis-cli -p "$PORT" ping 2>/dev/null)" = PONG ] && return
        sleep 0.05
    done
    return 1
}

kill_redis() {
    kill -9 "$redis"
    wait "$redis" || true
}

r() {
    ${inside:-} redis-cli -p "$PORT" -n 1 "$@"
}

# front NAME ARG...: start a front end; sets $url and $pid
front() {
    local name=$1
    shift
    "$SERVE" --listen 127.0.0.1:0 --data data --min-steps 1 --rate 0 --lease $LEASE \
        --queue "$QUEUE" "$@" 2>"$name.log" 3>&- &
    pid=$!
    pids+=("$pid")
    await grep -q "listening on" "$name.log"
    url=$(sed -n 's/.*listening on //p' "$name.log")
}

# worker NAME ARG...: start a worker; sets $pid
worker() {
    local name=$1
    shift
    "$SERVE" --worker --data data --lease $LEASE --queue "$QUEUE" "$@" 2>>"$name.log" 3>&- &
    pid=$!
    pids+=("$pid")
}

# await COMMAND...: wait until the command succeeds
await() {
    wait_until "${*@Q} >/dev/null"
}

# ask METHOD PATH ARG...: make a request; sets $code and $body
ask() {
    local method=$1 path=$2
    shift 2
    body=$(curl -s -m 20 -X "$method" -w '\n%{http_code}' "${credentials[@]}" "$@" "$url$path")
    code=${body##*$'\n'}
    body=${body%$'\n'*}
}

# field NAME: print a string or number of $body
field() {
    sed -n 's/.*"'"$1"'":"\{0,1\}\([^",}]*\).*/\1/p' <<<"$body"
}

upload() {
    ask POST /api/upload-content -F content_image=@photo.png
    content=$(field filename)
    [ "$code" = 200 ]
}

# transfer STEPS SIZE: queue a task; sets $id
transfer() {
    ask POST /api/style-transfer -H 'Content-Type: application/json' -d '{"style_image":
        "munch", "content_image": "'"$content"'", "num_steps": '"$1"', "size": '"$2"'}'
    id=$(field task_id)
}

# status_is ID STATUS: true if the task has this status
status_is() {
    ask GET "/api/progress/$1"
    [ "$(field status)" = "$2" ]
}

# past ID STEPS: true if the task runs and has done so many steps
past() {
    ask GET "/api/progress/$1"
    [ "$(field status)" = running ] && [ "$(field progress)" -ge "$2" ]
}

is_at_frame() {
    ask GET "/api/progress/$id"
    [ "$(field frame)" = "$1" ]
}

code_is() {
    ask "$1" "$2"
    [ "$code" = "$3" ]
}

is_tidy() {
    [ -z "$(ls -A data/work)" ] && [ "$(r zcard nst:untidy)" = 0 ]
}

@test "a task has progress, events and a history entry, and leaves no work files" {
    front front
    worker worker
    upload
    transfer 40 64
    [ "$code" = 200 ]
    curl -sN -m 60 "$url/api/progress/$id/events" >events
    grep -q '"status":"completed"' events
    status_is "$id" completed
    [ "$(field progress)" = 40 ]
    [ "$(field attempts)" = 1 ]
    ask GET /api/history
    [ "$(field task_id)" = "$id" ]
    [[ $body == *"\"${content%.*}\":["* ]]
    curl -s "$url/results/$id.png" >result.png
    [ "$(dimensions result.png)" = 64x48 ]
    ask GET /metrics
    grep -q 'nst_tasks{state="completed"} 1' <<<"$body"
    ask DELETE "/api/delete-history/${content%.*}"
    [ "$code" = 200 ]
    code_is GET "/api/progress/$id" 404
    code_is DELETE "/api/delete-history/$content" 404
    await is_tidy
    [ -z "$(ls -A data/results data/uploads data/thumbs | grep -v :)" ]
    [ "$(r --raw keys 'nst:task:*')" = "" ]
}

@test "events report the steps of a task while it runs" {
    front front
    worker worker
    upload
    transfer 1000 384
    timeout 20 curl -sN "$url/api/progress/$id/events" >events || true
    [ "$(grep -c '"status":"running"' events)" -ge 3 ]
    grep -q '"preview_step":[1-9]' events
    ask DELETE "/api/tasks/$id"
}

@test "a cancelled task stops within 2 s, or never starts if it is queued" {
    front front
    worker worker --max-tasks 1
    upload
    transfer 1000 512
    first=$id
    transfer 10 64
    await past "$first" 5
    nst=$(pgrep -P "$pid" nst)
    ask DELETE "/api/tasks/$id"
    [ "$code" = 200 ]
    status_is "$id" cancelled
    ask DELETE "/api/tasks/$first"
    wait_until '! kill -0 "$nst" 2>/dev/null'
    status_is "$first" cancelled
    ask GET "/api/tasks?state=cancelled"
    [[ $body == *"$first"* ]]
    code_is DELETE "/api/tasks/$first" 200 # it is deleted
    code_is GET "/api/progress/$first" 404
    code_is DELETE /api/tasks/00000000000000000000000000000000 404
    await is_tidy
    transfer 5 64
    await status_is "$id" completed # the worker continues
}

@test "a worker paints a film, which another begins again after a kill" {
    needs vipsheader
    needs jq
    gif 4 >film.gif
    front front
    ask POST /api/upload-content -F content_image=@film.gif
    content=$(field filename)
    worker one --max-tasks 1
    ask POST /api/style-transfer -H 'Content-Type: application/json' -d '{"style_image": "munch",
        "content_image": "'"$content"'", "frames": "all", "num_steps": 200, "size": 128}'
    id=$(field task_id)
    await is_at_frame 2
    kill -9 "$pid"
    worker two --max-tasks 1
    await is_at_frame 1
    await status_is "$id" completed
    jq -e '.frames == 4' <<<"$body"
    [ "$(vipsheader -f n-pages "data/results/$id.webp")" = 4 ]
}

@test "a task that is stopped keeps its picture, also if its worker is killed first" {
    front front
    upload
    transfer 1000 256
    code_is POST "/api/tasks/$id/stop" 409 # it waits
    worker one --max-tasks 1
    await past "$id" 25
    code_is POST "/api/tasks/$id/stop" 200
    await status_is "$id" completed
    [ "$(field progress)" -lt 1000 ]
    [ "$(field stopped_at_step)" = "$(field progress)" ]
    [ -s "data/results/$id.png" ]
    code_is POST "/api/tasks/$id/stop" 409
    transfer 1000 256
    await past "$id" 25
    kill -STOP "$pid"
    code_is POST "/api/tasks/$id/stop" 200
    kill -9 "$pid"
    worker two --max-tasks 1
    await status_is "$id" completed
    [ "$(field progress)" -lt 1000 ]
    await is_tidy
}

@test "a worker waits for room on a full disk, without using up the attempts" {
    mkdir data
    mount -t tmpfs -o size=8M none data 2>/dev/null || skip "no disk can be mounted"
    front front
    worker worker --max-tasks 1 --retries 0
    upload
    transfer 60 128
    await past "$id" 22
    cat /dev/zero >data/filler 2>/dev/null || true
    await status_is "$id" queued
    [ "$(field message)" = 'waiting for disk space' ]
    rm data/filler
    await status_is "$id" completed
    [ "$(field attempts)" = 1 ]
}

@test "another worker continues the task of a killed worker from its checkpoint" {
    front front
    worker one --max-tasks 1
    upload
    transfer 1000 384
    await past "$id" 100
    before=$(field progress)
    kill -9 "$pid"
    worker two --max-tasks 1
    await grep -q "its worker is gone" two.log
    await past "$id" 1
    echo "before $before, after $(field progress)"
    [ "$(field progress)" -ge $((before - 40)) ]
    [ "$(field attempts)" = 1 ]
    ask DELETE "/api/tasks/$id"
    await is_tidy
}

@test "a worker that gets SIGTERM returns its task to the queue at once" {
    LEASE=600
    front front
    worker one --max-tasks 1 --grace 0
    upload
    transfer 1000 384
    await past "$id" 60
    before=$(field progress)
    kill -TERM "$pid"
    wait "$pid"
    status_is "$id" queued
    worker two --max-tasks 1
    await past "$id" "$((before - 40))"
    ask DELETE "/api/tasks/$id"
    await is_tidy
}

@test "a worker that was suspended longer than the lease cannot change its task" {
    front front
    worker one --max-tasks 1
    first=$pid
    upload
    transfer 150 256
    await past "$id" 5
    kill -STOP "$first"
    worker two --max-tasks 1
    await grep -q "its worker is gone" two.log
    await status_is "$id" completed
    kill -CONT "$first"
    await grep -q "$id: no longer belongs to this worker" one.log
    [ "$(r hget "nst:task:$id" ends)" = 1 ]
    [ "$(r hget nst:counts ended:completed)" = 1 ]
    [ -e "data/results/$id.png" ]
    await is_tidy
}

@test "a task that crashes is retried --retries times" {
    front front
    worker one --max-tasks 1 --retries 1
    upload
    transfer 1000 512
    for _ in 1 2; do
        await past "$id" 1
        kill -9 "$(pgrep -P "$pid" nst)"
        sleep 0.5
    done
    await status_is "$id" failed
    [[ $(field error) == *"signal 9"* ]]
    [ "$(field attempts)" = 2 ]
    [ "$(r hget nst:counts retries)" = 1 ]
    await is_tidy
}

@test "--max-queue limits the queue of all front ends together" {
    front a --max-queue 3 --max-queue-per-owner 3
    first=$url
    front b --max-queue 3 --max-queue-per-owner 3
    upload
    transfer 10 64
    transfer 10 64
    url=$first
    transfer 10 64
    [ "$code" = 200 ]
    last=$id
    transfer 10 64
    [ "$code" = 429 ]
    [ "$(curl -s "$url/api/tasks" | grep -o task_id | wc -l)" = 3 ]
    worker worker
    await status_is "$last" completed
}

@test "the oldest results above --max-history-images are removed" {
    front front
    worker worker --max-history-images 2 --max-tasks 1
    upload
    for _ in 1 2 3 4; do
        transfer 2 64
        await status_is "$id" completed
    done
    await is_tidy
    [ "$(ls data/results | wc -l)" = 2 ]
    [ "$(r zcard nst:completed)" = 2 ]
    [ "$(curl -s "$url/api/history" | grep -o '"task_id"' | wc -l)" = 2 ]
}

@test "one user's results do not push out those of others" {
    local i
    tenants
    front front --tokens tokens
    worker worker --max-history-images 2 --max-tasks 1
    for i in ann ben ben ben; do
        as "token-of-$i-0000"
        upload
        transfer 1 48
        [ $i = ben ] || ann=$id
        await status_is "$id" completed
    done
    await is_tidy
    [ "$(r --raw zrange nst:over 0 -1 | paste -sd ' ')" = "$ann $id" ]
    as token-of-ann-0000
    status_is "$ann" completed
}

@test "while Redis is down, requests are 503 and workers continue" {
    LEASE=5
    front front
    worker worker --max-tasks 1
    upload
    transfer 1000 384
    await past "$id" 5
    worker idle --max-tasks 1
    code_is GET /health 200
    kill_redis
    await code_is GET /health 503
    [ "$(field status)" = error ]
    code_is GET "/api/progress/$id" 503
    code_is GET /api/history 503
    code_is GET /api/tasks 503
    code_is DELETE "/api/tasks/$id" 503
    ask POST /api/compare -H 'Content-Type: application/json' -d "{\"task_id\": \"$id\"}"
    [ "$code" = 503 ]
    curl -s -i "$url/api/progress/$id" | grep -qi '^Retry-After: [0-9]'
    transfer 10 64
    [ "$code" = 503 ]
    code_is GET /api/styles 200
    sleep 6 # longer than the lease
    start_redis
    await code_is GET /health 200
    sleep 6 # the worker sends a heartbeat in time
    run ! grep "is gone" idle.log worker.log
    id=$(r zrange nst:open 0 0)
    [ -z "$id" ] || ask DELETE "/api/tasks/$id"
    await is_tidy
}

@test "a Redis that hangs delays only requests to the queue, for less than 6 s" {
    front front
    kill -STOP "$redis"
    for path in /api/tasks /api/history /metrics "/api/progress/$(printf '0%.0s' $(seq 32))"; do
        curl -s -m 20 -o /dev/null -w '%{http_code} %{time_total}\n' "$url$path" >>asked 3>&- &
    done
    sleep 0.2
    # in one process: starting ten may take as long as the 2 s that the others wait
    curl -s -m 20 -o /dev/null -w '%{http_code} %{time_total}\n' "$url/api/styles?[1-10]" >others
    [ ! -s asked ]
    [ "$(grep -c '^200 0\.' others)" = 10 ]
    all_said() { [ "$(wc -l <asked)" = 4 ]; }
    await all_said
    cat asked
    kill -CONT "$redis"
    [ "$(grep -c '^503' asked)" -ge 3 ] # /metrics works without Redis
    [ "$(cut -d' ' -f2 asked | sort -n | tail -n 1 | cut -d. -f1)" -lt 6 ]
}

@test "a result made while Redis is down is recorded after its restart" {
    LEASE=600
    front front
    worker worker --max-tasks 1
    upload
    transfer 40 64
    await past "$id" 0
    kill_redis
    await test -e "data/results/$id.png"
    sleep 1
    start_redis
    await status_is "$id" completed
    [ "$(r hget "nst:task:$id" ends)" = 1 ]
    await is_tidy
}

@test "an event stream survives a restart of Redis" {
    front front
    worker worker --max-tasks 1
    upload
    transfer 150 256
    curl -sN -m 100 "$url/api/progress/$id/events" >events 3>&- &
    reader=$!
    await past "$id" 5
    kill_redis
    sleep 0.5
    start_redis
    wait "$reader"
    grep -q '"status":"completed"' events
    run ! grep gone events
}

@test "a data folder cannot be used both with and without --queue" {
    front front
    run -1 timeout 20 "$SERVE" --listen 127.0.0.1:0 --data data
    [[ $output == *"another nst-serve uses this folder"* ]]
    kill "$pid"
    wait "$pid"
    run -2 timeout 20 "$SERVE" --listen 127.0.0.1:0 --data data
    [[ $output == *"its tasks are in a queue on Redis"* ]]
    "$SERVE" --listen 127.0.0.1:0 --data alone 2>alone.log 3>&- &
    pids+=($!)
    await grep -q "listening on" alone.log
    run -1 timeout 20 "$SERVE" --worker --queue "$QUEUE" --data alone
    [[ $output == *"another nst-serve without --queue uses this folder"* ]]
}

@test "an invalid --queue URL is rejected" {
    run -2 "$SERVE" --worker
    [[ $output == *"worker: needs --queue"* ]]
    for bad in http://localhost redis:// redis://h:99999 redis://h/x localhost; do
        run -2 timeout 20 "$SERVE" --worker --data data --queue "$bad"
        [[ $output == *"queue: is not redis://"* ]]
    done
}

@test "the Redis password is used, and hidden in the process list" {
    r config set requirepass 'the:pass word' >/dev/null
    QUEUE=redis://127.0.0.1:$PORT front without
    code_is GET /health 503
    grep -q NOAUTH without.log
    QUEUE="redis://:the%3apass%20word@127.0.0.1:$PORT/1" front with
    code_is GET /health 200
    run ! grep -qa 'pass' "/proc/$pid/cmdline"
}

@test "a style uploaded to one front end is known to other front ends and workers" {
    front a
    first=$url
    worker worker
    front b
    upload
    ask POST /api/upload-style -F style_image=@photo.png
    style=$(field filename)
    url=$first
    ask POST /api/style-transfer -H 'Content-Type: application/json' -d '{"style_image":
        "'"$style"'", "content_image": "'"$content"'", "num_steps": 2, "size": 64}'
    [ "$code" = 200 ]
    await status_is "$(field task_id)" completed
    code_is DELETE "/api/styles/$style" 200
}

# tenants QUOTA: the file tokens, of two users, the first with these quotas, and an operator
tenants() {
    printf '%s\n' "ann user token-of-ann-0000 $1" "ben user token-of-ben-0000" \
        "olga operator token-of-olga-000" >tokens
    chmod 600 tokens
}

# as TOKEN: further requests have this token
as() {
    credentials=(-H "Authorization: Bearer $1")
}

# ended LOG: print the names of the variables ann1, ann2 ... and ben, in the order in which
# their tasks ended
ended() {
    local line name
    grep -o 'task [0-9a-f]*: completed' "$1" | while read -r _ line _; do
        for name in ann1 ann2 ann3 ann4 ben; do
            [ "${!name}" != "${line%:}" ] || printf '%s ' "$name"
        done
    done
}

@test "a result that a waiting task continues may be deleted, and its worker killed" {
    front front
    worker one
    upload
    transfer 2 48
    first=$id
    await status_is "$first" completed
    kill -9 "$pid"
    ask POST /api/style-transfer -H 'Content-Type: application/json' -d '{"style_image":
        "munch", "content_image": "'"$content"'", "num_steps": 2, "size": 96,
        "scales": "none", "init_image": "'"$first.png"'"}'
    [ "$code" = 200 ]
    id=$(field task_id)
    code_is DELETE "/api/tasks/$first" 200
    code_is GET "/results/$first.png" 404
    worker two
    await status_is "$id" completed
    ask GET "/api/progress/$id"
    [ -f "data/uploads/$(field init_image)" ]
    grep -aq nst-request "data/results/$id.png"
}

@test "the queue takes turns between owners, to whom the tasks of others are unknown" {
    local i
    tenants
    front front --tokens tokens
    as token-of-ann-0000
    upload
    for i in 1 2 3 4; do
        transfer 2 48
        declare "ann$i=$id"
    done
    [ "$(field position) $(field waiting)" = '4 4' ]
    ask POST /api/upload-style -F style_image=@photo.png
    style=$(field filename)
    foreign=$content
    as token-of-ben-0000
    transfer 2 48
    [ "$code" = 400 ] # with ann's picture
    upload
    transfer 2 48
    ben=$id
    [ "$(field position) $(field waiting)" = '2 5' ]
    ask GET /api/tasks
    [ "$(grep -o '"task_id":"[^"]*"' <<<"$body")" = "\"task_id\":\"$ben\"" ]
    [[ $body == *'"position":2,"waiting":5'* ]]
    for path in /api/progress/ /api/progress/%s/events /api/tasks/%s/preview; do
        case $path in *%s*) ;; *) path+=%s ;; esac
        # shellcheck disable=SC2059 # the path is a format
        code_is GET "$(printf "$path" "$ann1")" 404
    done
    ask GET "/api/tasks?state=queued"
    [ "$(grep -o '"task_id":"[^"]*"' <<<"$body")" = "\"task_id\":\"$ben\"" ]
    code_is GET "/api/tasks/$ann1/quality" 404
    code_is POST "/api/tasks/$ann1/stop" 404
    code_is DELETE "/api/tasks/$ann2" 404
    code_is DELETE "/api/styles/$style" 404
    curl -sN -m 60 "${credentials[@]}" "$url/api/progress/$ben/events" >events 3>&- &
    await grep -q '"position":2,' events
    worker worker --max-tasks 1
    await grep -q "$ann4: completed" worker.log
    grep -q '"position":1,' events
    grep -q '"status":"completed"' events
    [ "$(ended worker.log)" = 'ann1 ben ann2 ann3 ann4 ' ]
    code_is DELETE "/api/tasks/$ann1" 404
    await code_is DELETE "/api/delete-history/$foreign" 404
    ask GET /api/history
    [ "$(grep -o '"task_id"' <<<"$body" | wc -l)" = 1 ]
    as token-of-olga-000
    ask GET /api/history
    [ "$(grep -o '"task_id"' <<<"$body" | wc -l)" = 5 ]
    as token-of-ann-0000
    ask GET "/api/history?offset=1&limit=2"
    [ "$(grep -o '"task_id":"[^"]*"' <<<"$body" | cut -d'"' -f4 | paste -sd ' ')" = "$ann3 $ann2" ]
    code_is DELETE "/api/delete-history/$foreign" 200
    await is_tidy
    [ "$(ls data/results)" = "$ben.png" ]
    [ "$(r --raw zrange nst:kept 0 -1 withscores | paste -sd ' ')" = 'ben 1' ]
    [ "$(find data/owners -name "$foreign" -o -name "$ann1*")" = "" ]
    [ "$(r --raw keys 'nst:wait:*')$(r --raw keys 'nst:party:*')$(r zcard nst:parties)" = 0 ]
}

@test "quotas hold for all front ends and workers together" {
    tenants "waiting=2 running=1 work-per-day=$((512 * 512 * 1000 + 48 * 48 * 10))"
    front a --tokens tokens
    first=$url
    front b --tokens tokens
    worker worker --max-tasks 2
    as token-of-ann-0000
    upload
    transfer 1000 512
    long=$id
    await past "$long" 0
    transfer 4 48
    waiting=$id
    [ "$code" = 200 ]
    url=$first
    transfer 5 48
    [ "$code" = 200 ]
    last=$id
    transfer 1 48
    [ "$code" = 429 ]
    [[ $body == *'waiting: ann has 2 tasks in the queue'* ]]
    as token-of-ben-0000
    upload
    transfer 2 48
    await status_is "$id" completed # there is a worker for it
    as token-of-ann-0000
    status_is "$waiting" queued # ann has one running
    ask GET /api/usage
    [[ $body == *'"running":{"used":1,"limit":1}'* ]]
    ask DELETE "/api/tasks/$long"
    await status_is "$last" completed
    upload
    transfer 2 48
    [ "$code" = 429 ]
    [[ $body == *'work: this task needs 4608'* ]]
    transfer 1 48
    [ "$code" = 200 ]
}

@test "the tasks of an older version run first, and are everybody's" {
    local id record old=11111111111111111111111111111111 done=22222222222222222222222222222222
    tenants
    front front --tokens tokens
    as token-of-ann-0000
    upload
    record='{"content_img": "'$content'", "style_img": "munch", "styles": [{"name": "munch",
        "weight": 1.0}], "style_weight": 7000, "steps": 2, "options": {"size": "48",
        "iterations": "2"}, "created": 1.0'
    transfer 2 48
    r incrby nst:next 10 >/dev/null
    r hset nst:task:$old record "$record}" content "$content" number 8 attempts 0 version 1 \
        state queued entry "$(r --raw xadd nst:queue '*' id $old)" >/dev/null
    r zadd nst:open 8 $old >/dev/null
    r hincrby nst:counts queued 1 >/dev/null
    r hset nst:task:$done record "$record, \"output_img\": \"$done.png\"}" \
        content "$content" number 7 attempts 1 version 3 state completed >/dev/null
    r zadd nst:over 7 $done >/dev/null
    r zadd nst:completed 7 $done >/dev/null
    r hincrby nst:counts completed 1 >/dev/null
    r sadd "nst:content:$content" $old $done >/dev/null
    status_is $old queued
    worker worker --max-tasks 1
    await status_is "$id" completed
    [[ $(grep -o 'task [0-9a-f]*: completed' worker.log | head -n 1) == *$old* ]]
    as token-of-ben-0000
    status_is $old completed
    code_is GET "/api/progress/$id" 404
    ask GET /api/history
    [ "$(grep -o '"task_id":"[^"]*"' <<<"$body" | cut -d'"' -f4 | paste -sd ' ')" = "$old $done" ]
    code_is DELETE "/api/delete-history/$content" 200
    as token-of-ann-0000
    status_is "$id" completed # it keeps the picture
    [ -e "data/uploads/$content" ]
    [ "$(r hget nst:counts queued)$(r hget nst:counts running)" = 00 ]
    await is_tidy
}

# with_webhooks: Redis, and what is started after it, are in a network with a receiver
with_webhooks() {
    kill_redis
    webhooks
    start_redis
    receive
}

# notify PATH: queue a task whose end the receiver hears of; sets $id
notify() {
    ask POST /api/style-transfer -H 'Content-Type: application/json' -d '{"style_image":
        "munch", "content_image": "'"$content"'", "num_steps": 120, "size": 128,
        "webhook": "http://203.0.113.9:8080/'"$1"'"}'
    id=$(field task_id)
    [ "$code" = 200 ]
}

# told PATH: print the tasks whose end the receiver has heard of, a line for each message
told() {
    grep "^/$1" received | grep -o '"task_id":"[^"]*"' | cut -d'"' -f4 | sort
}

@test "one of two front ends sends each webhook, once, also if a worker was killed" {
    with_webhooks
    front a --webhook-secret-file secret
    first=$url
    front b --webhook-secret-file secret
    second=$url
    upload
    worker one --max-tasks 2
    ids=()
    for url in "$first" "$second" "$first" "$second" "$first" "$second"; do
        notify late
        ids+=("$id")
    done
    await past "${ids[0]}" 5
    kill -9 "$pid"
    worker two --max-tasks 2
    for id in "${ids[@]}"; do
        await status_is "$id" completed
    done
    grep -q "its worker is gone" two.log
    await eval '[ -z "$(ls data/hooks)" ]'
    sleep 2 # the front ends look for webhooks each second
    [ "$(told late)" = "$(printf '%s\n' "${ids[@]}" | sort)" ]
    [ "$(grep -c '"status":"completed"' received)" = 6 ]
    [ "$(cat a.log b.log | grep -c 'the webhook is delivered')" = 6 ]
}

@test "another front end sends the webhook of one that was killed while it sent" {
    with_webhooks
    front a --webhook-secret-file secret
    a=$pid
    upload
    worker worker
    notify slow
    await grep -q /slow received
    front b --webhook-secret-file secret
    sleep 2 # it leaves the webhook to the other
    [ "$(told slow)" = "$id" ]
    kill -9 "$a"
    await eval '[ "$(told slow)" = "$id"$'"'\\n'"'"$id" ]'
    await eval '[ -z "$(ls data/hooks)" ]'
    [ "$(grep -c 'the webhook is delivered' b.log)" = 1 ]
}

all_completed() {
    [ "$(r hget nst:counts ended:completed)" = "$tasks" ]
}

# chaos: kill and restart workers at random, $tasks / 4 times at most, and Redis three times
chaos() {
    local restarts=3 i
    until all_completed || [ "$kills" -ge $((tasks / 4)) ]; do
        sleep "$((RANDOM % 2)).$((RANDOM % 9 + 1))"
        i=$((RANDOM % 3))
        kill -9 "${workers[i]}"
        wait "${workers[i]}" || true
        kills=$((kills + 1))
        if [ $((RANDOM % 3)) = 0 ] && [ "$restarts" -gt 0 ]; then
            restarts=$((restarts - 1))
            kill_redis
            sleep "0.$((RANDOM % 9 + 1))"
            start_redis
        fi
        worker "worker$i" --max-tasks 2 --grace 1
        workers[i]=$pid
    done
    WAIT_SECONDS=600 await all_completed # a busy machine needs more than the usual two minutes
    while [ "$restarts" -gt 0 ]; do # the rest, after a quick run
        restarts=$((restarts - 1))
        kill_redis
        start_redis
    done
}

@test "every task completes exactly once while workers and Redis are killed at random" {
    tasks=24
    if [ "${NST_TEST_QUICK:-0}" = 1 ] || [ "${SANITIZERS:-no}" != no ]; then tasks=12; fi
    if [ "${NST_TEST_ALL:-0}" = 1 ]; then tasks=60; fi
    seed=${NST_TEST_SEED:-$RANDOM}
    echo "# seed $seed" >&3
    RANDOM=$seed
    front front --max-queue "$tasks" --max-queue-per-owner "$tasks"
    upload
    ids=()
    for _ in $(seq "$tasks"); do
        transfer $((RANDOM % 60 + 20)) 48
        [ "$code" = 200 ]
        ids+=("$id")
    done
    kills=0 began=$SECONDS workers=()
    for i in 0 1 2; do
        worker "worker$i" --max-tasks 2 --grace 1
        workers+=("$pid")
    done
    chaos
    echo "# $tasks tasks in $((SECONDS - began)) s, $kills kills," \
        "$(cat worker?.log | grep -c 'its worker is gone') tasks taken over" >&3
    await is_tidy
    for id in "${ids[@]}"; do
        [ "$(r hget "nst:task:$id" state)" = completed ]
        [ "$(r hget "nst:task:$id" ends)" = 1 ]
        [ "$(dimensions "data/results/$id.png")" = 48x36 ]
        [ "$(cat worker?.log | grep -c "$id: completed")" -le 1 ]
    done
    [ "$(r hget nst:counts ended:completed)" = "$tasks" ]
    [ "$(r hget nst:counts running)$(r hget nst:counts queued)" = 00 ]
    [ "$(r xlen nst:queue)" = 0 ]
    [ "$(r xpending nst:queue workers | head -n 1)" = 0 ]
    [ "$(ls data/results | wc -l)" = "$tasks" ]
    curl -s -D headers "$url/api/history" >/dev/null
    grep -qi "^X-Total-Count: $tasks" headers
}
