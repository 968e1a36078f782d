# SPDX-License-Identifier: MIT
# helper.bash - what the tests of nst-serve share: a real service on a free port of the
# loopback, a folder of its own, and requests by curl. Pictures are small, and tasks short.

load ../cli/helper # pictures, and what a test needs

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

# What still runs is of no use any more; a leak is a failure in a build that sees it.
teardown() {
    [ -n "${service:-}" ] || return 0
    kill -TERM "$service" 2>/dev/null && sleep 0.2 && kill -TERM "$service" 2>/dev/null
    wait "$service" 2>/dev/null || true
    ! grep -A 20 Sanitizer log
}

# serve OPTION...: begin a service of the folder data; $url is where it is.
serve() {
    : >>log # the port is on the last line that has one
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

# stop_service [SIGNAL]: and wait for its end; its status
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

# ask METHOD PATH [CURL OPTION...]: the answer's body in $body, its status in $code, its
# headers in the file headers
ask() {
    local method=$1 path=$2
    shift 2
    code=$(curl -sS -X "$method" -o answer -D headers -w '%{http_code}' "$@" "$url$path")
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

field() { # field NAME: of the answer
    jq -r ".$1" <<<"$body"
}

header() { # header NAME: of the answer
    sed -n "s/^$1: \(.*\)\r$/\1/Ip" headers
}

# refused CODE PATTERN: the last answer is this one, in JSON, in one line that matches
refused() {
    [ "$code" = "$1" ]
    [[ $(header content-type) == application/json* ]]
    [ "$(jq 'keys == ["error"]' <<<"$body")" = true ]
    field error | grep -qE -- "$2"
}

upload() { # upload FILE: $content is its name
    ask POST /api/upload-content -F "content_image=@$1"
    [ "$code" = 200 ]
    content=$(field filename)
}

# transfer [JSON]: queue a task of $content with these members; $task is its name
transfer() {
    post /api/style-transfer "$(jq -n --arg c "$content" \
        '{content_image: $c, style_image: "munch", num_steps: 3, size: 32} +'"${1:-{\}}")"
    [ "$code" = 200 ]
    task=$(field task_id)
}

# until_task FILTER: wait until the progress of $task passes this filter of jq
until_task() {
    local filter=$1
    wait_until 'get "/api/progress/$task" >/dev/null
        jq -e "$filter" <<<"$body" >/dev/null' || {
        echo "$body"
        return 1
    }
}

# until_state STATE: the task gets there
until_state() {
    until_task ".status == \"$1\""
}

# children: the processes of the tasks
children() {
    pgrep -P "$service" || true
}
