# SPDX-License-Identifier: MIT
# helper.bash - functions for the tests of nst-serve: a real service with its own folder
# on a free loopback port, and requests by curl. Pictures are small, tasks are short.

load ../cli/helper

SERVE=${SERVE:-$(dirname "$NST")/nst-serve}

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    picture photo.ppm 48 36 11
    picture style.ppm 40 32 5
    "$NST" photo.ppm style.ppm -s style.ppm -o . --name '{stem}.png' -n 2 -S 48 \
        --progress none --history none
    "$NST" style.ppm -s photo.ppm -o style.jpg -n 2 -S 40 --progress none --history none
}

setup() {
    [ -x "$SERVE" ] || skip "nst-serve is not built"
    needs curl
    needs jq
    mkdir "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return 1
    cp "$BATS_FILE_TMPDIR"/*.* .
}

# Stop the service. Fails if a sanitizer has reported an error.
teardown() {
    [ -n "${service:-}" ] || return 0
    kill -TERM "$service" 2>/dev/null || true
    for _ in 1 2 3 4; do # a second signal ends the tasks that the first one waits for
        kill -0 "$service" 2>/dev/null || break
        sleep 0.05
    done
    kill -TERM "$service" 2>/dev/null || true
    wait "$service" 2>/dev/null || true
    ! grep -A 20 Sanitizer log
}

# serve OPTION...: start a service on the folder data; sets $service and $url
serve() {
    : >>log # the last "listening on" line has the port
    local before
    before=$(grep -c 'listening on' log) || true
    "$SERVE" --data data --listen 127.0.0.1:0 --min-steps 1 --rate 0 "$@" 2>>log \
        3>&- 4>&- &
    service=$!
    wait_until "[ \"\$(grep -c 'listening on' log)\" -gt $before ] ||
        ! kill -0 $service 2>/dev/null"
    url=$(sed -n 's/.*listening on \(http:[^ ]*\).*/\1/p' log | tail -n 1)
    [ -n "$url" ] || {
        cat log
        return 1
    }
}

# stop_service [SIGNAL]: stop the service, wait, and return its exit status
stop_service() {
    [ -n "${service:-}" ] || return 0
    local pid=$service
    service=
    kill "-${1:-TERM}" "$pid"
    wait "$pid" || {
        local status=$?
        [ "${1:-TERM}" = KILL ] || cat log
        return $status
    }
}

credentials=() # of each request; redis.bats and some tests set others

# as NAME: further requests have the token of NAME; as nobody: they have none
as() {
    local digits=0000
    [ "$1" != olga ] || digits=000
    credentials=(-H "Authorization: Bearer token-of-$1-$digits")
    [ "$1" != nobody ] || credentials=()
}

# ask METHOD PATH [CURL OPTION...]: make a request; sets $body and $code, and writes the
# files answer and headers
ask() {
    local method=$1 path=$2
    shift 2
    code=$(curl -sS -X "$method" -o answer -D headers -w '%{http_code}' \
        "${credentials[@]}" "$@" "$url$path")
    body=$(tr -d '\0' <answer)
    echo "$method $path: $code ${body:0:300}"
}

get() {
    ask GET "$@"
}

post() { # post PATH JSON [CURL OPTION...]
    local path=$1 json=$2
    shift 2
    ask POST "$path" -H 'Content-Type: application/json' -d "$json" "$@"
}

field() { # field NAME: print a field of the last response
    jq -r ".$1" <<<"$body"
}

header() { # header NAME: print a header of the last response
    sed -n "s/^$1: \(.*\)\r$/\1/Ip" headers
}

# refused CODE PATTERN: the last response is a JSON error with this status and message
refused() {
    [ "$code" = "$1" ]
    [[ $(header content-type) == application/json* ]]
    [ "$(jq 'keys == ["error"]' <<<"$body")" = true ]
    field error | grep -qE -- "$2"
}

upload() { # upload FILE: sets $content to its name
    ask POST /api/upload-content -F "content_image=@$1"
    [ "$code" = 200 ]
    content=$(field filename)
}

# without_metadata: replace photo.png by what the service stores of it
without_metadata() {
    serve --shared
    upload photo.png
    cp "data/uploads/$content" photo.png
    stop_service TERM
    rm -r data
}

# transfer [JSON]: queue a task for $content with these members; sets $task to its id
transfer() {
    post /api/style-transfer "$(jq -n --arg c "$content" \
        '{content_image: $c, style_image: "munch", num_steps: 3, size: 32} +'"${1:-{\}}"' |
        if .styles then del(.style_image) else . end')"
    [ "$code" = 200 ]
    task=$(field task_id)
}

# until_task FILTER: wait until the progress of $task passes this jq filter
until_task() {
    local filter=$1 # few processes: the task needs the processor
    wait_until 'code=$(curl -sS -o answer -D headers -w "%{http_code}" "$url/api/progress/$task")
        jq -e "$filter" answer >/dev/null' || {
        cat answer
        return 1
    }
    body=$(<answer)
}

# until_state STATE: wait until $task has this state
until_state() {
    until_task ".status == \"$1\""
}

# children: print the process ids of running tasks
children() {
    pgrep -P "$service" || true
}
