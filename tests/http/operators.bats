#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What an operator sees of nst-serve: access log, log lines of changes, metrics and their
# dashboard, SIGHUP, and the messages to systemd.

bats_require_minimum_version 1.5.0
load helper
eval "stop_and_$(declare -f teardown | sed '1s/teardown/look/')"

teardown() {
    local pid
    for pid in ${extra:-}; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    [ -z "${service:-}" ] || kill -CONT "$service" 2>/dev/null || true
    stop_and_look
}

# lines FILE N: wait until FILE has N lines
lines() {
    wait_until "[ \"\$(wc -l <$1)\" -ge $2 ]"
    [ "$(wc -l <"$1")" = "$2" ]
}

# serve_to FILE OPTION...: start a service that logs to FILE
serve_to() {
    local file=$1
    shift
    "$SERVE" --data data --listen 127.0.0.1:0 --min-steps 1 --rate 0 --log "$file" "$@" \
        3>&- 4>&- &
    service=$!
    touch log
    wait_until "grep -q 'listening on' '$file'"
    url=$(sed -n 's/.*listening on \(http:[^ "]*\).*/\1/p' "$file" | tail -n 1)
}

# metrics: read /metrics into the file answer, and check it
metrics() {
    get /metrics
    [ "$code" = 200 ]
    python3 "$srcdir/tests/http/metrics.py" answer "$@"
}

# value SERIES: print a figure of the last /metrics
value() {
    grep -F "$1 " answer | grep -v '^#' | sed 's/.* //'
}

# notified: listen on a socket as systemd does, and write each message to the file told
notified() {
    python3 -uc 'import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("notify")
while True:
    print(s.recv(4096).decode().replace("\n", " "))' >told 3>&- 4>&- &
    extra="${extra:-} $!"
    wait_until '[ -S notify ]'
    export NOTIFY_SOCKET=$PWD/notify
}

pings() {
    grep -c WATCHDOG=1 told || true
}

@test "the access log has a line for each request, whatever its path is" {
    serve --access-log access --host nst.example.org
    local owner sizes=() paths=('/api/styles' '/api/history?limit=5&token=secret-of-mine'
        '/no%0AFAKE%20%22line%22%5c' '/caf%e9%1b%5b31m' '/a%00b' '/../etc/passwd')
    for path in "${paths[@]}"; do
        sizes+=("$(curl -gsS --path-as-is -o /dev/null -w '%{size_download}' "$url$path" \
            -H 'Authorization: Bearer secret-of-mine' -H 'Cookie: nst_token=secret-of-mine')")
    done
    curl -sSI "$url/api/styles" -o /dev/null
    sizes+=("$(curl -sS -o /dev/null -w '%{size_download}' -X DELETE "$url/api/tasks/none")")
    sizes+=("$(curl -sS -o /dev/null -w '%{size_download}' -H 'Host: evil' "$url/health")")
    sizes+=("$(curl -sS -o /dev/null -w '%{size_download}' -F content_image=@photo.png \
        "$url/api/upload-content")")
    sizes+=("$(curl -sS -o /dev/null -w '%{size_download}' "$url/styles/van-gogh.jpg")")
    get /styles/van-gogh.jpg -H 'Range: bytes=5-11'
    get /styles/van-gogh.jpg -H "If-None-Match: $(header etag)"
    get /api/styles -H 'Accept-Encoding: gzip'
    sizes+=("$(stat -c %s answer)")
    [ "${sizes[10]}" -lt "${sizes[0]}" ]
    get /api/me
    owner=$(field name)
    sizes+=("$(stat -c %s answer)")
    lines access 15
    cat access
    cat >expected <<END
127.0.0.1 - $owner [TIME] "GET /api/styles HTTP/1.1" 200 ${sizes[0]} SECONDS
127.0.0.1 - $owner [TIME] "GET /api/history HTTP/1.1" 200 ${sizes[1]} SECONDS
127.0.0.1 - - [TIME] "GET /no\\x0AFAKE \\x22line\\x22\\x5C HTTP/1.1" 404 ${sizes[2]} SECONDS
127.0.0.1 - - [TIME] "GET /caf\\xE9\\x1B[31m HTTP/1.1" 404 ${sizes[3]} SECONDS
127.0.0.1 - - [TIME] "GET /a%00 HTTP/1.1" 400 ${sizes[4]} SECONDS
127.0.0.1 - - [TIME] "GET /../etc/passwd HTTP/1.1" 404 ${sizes[5]} SECONDS
127.0.0.1 - $owner [TIME] "HEAD /api/styles HTTP/1.1" 200 0 SECONDS
127.0.0.1 - $owner [TIME] "DELETE /api/tasks/none HTTP/1.1" 404 ${sizes[6]} SECONDS
127.0.0.1 - - [TIME] "GET /health HTTP/1.1" 403 ${sizes[7]} SECONDS
127.0.0.1 - $owner [TIME] "POST /api/upload-content HTTP/1.1" 200 ${sizes[8]} SECONDS
127.0.0.1 - $owner [TIME] "GET /styles/van-gogh.jpg HTTP/1.1" 200 ${sizes[9]} SECONDS
127.0.0.1 - $owner [TIME] "GET /styles/van-gogh.jpg HTTP/1.1" 206 7 SECONDS
127.0.0.1 - $owner [TIME] "GET /styles/van-gogh.jpg HTTP/1.1" 304 0 SECONDS
127.0.0.1 - $owner [TIME] "GET /api/styles HTTP/1.1" 200 ${sizes[10]} SECONDS
127.0.0.1 - $owner [TIME] "GET /api/me HTTP/1.1" 200 ${sizes[11]} SECONDS
END
    sed -E 's|\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}(:[0-9]{2}){3} \+0000\]|[TIME]|
        s/ [0-9]+\.[0-9]{6}$/ SECONDS/' access | diff expected -
    run ! grep -r secret-of-mine access log
}

@test "the access log has clients that go away, as 499, and answers that were cut short" {
    serve --access-log access --access-log-format json
    upload photo.png
    transfer '{num_steps: 1000, size: 64}'
    timeout 0.7 curl -sN -o /dev/null "$url/api/progress/$task/events" || true
    wait_until 'grep -q /events access'
    exec 5<>"/dev/tcp/127.0.0.1/${url##*:}"
    printf 'POST /api/style-transfer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nContent-Type: application/json\r\n\r\n{' >&5
    wait_until 'curl -s "$url/metrics" | grep -qx "nst_http_connections 2"'
    exec 5>&-
    wait_until 'grep -q 499 access'
    cat access
    jq -es 'any(.status == 499 and .path == "/api/style-transfer" and .bytes == 0 and
        (.complete | not) and .address == "127.0.0.1")' access
    jq -es 'any((.path | endswith("/events")) and .status == 200 and .bytes == null and
        (.complete | not) and .seconds > 0.2)' access
    # an aborted upload is counted, but is no request with a response
    timeout 1 curl -s --limit-rate 1k -F content_image=@photo.png -F "x=@$SERVE" \
        "$url/api/upload-content" || true
    wait_until 'metrics; [ "$(value "nst_uploads_total{field=\"content_image\",result=\"aborted\"}")" = 1 ]'
}

@test "the access log in other formats has agent and referer, without the referer's query" {
    serve --access-log access --access-log-format json --behind-proxy
    local agent=$'caf\xe9 "x"\\'
    curl -sS -o /dev/null "$url/api/styles" -A "$agent" -e 'https://a.example/b?token=secret-of-mine' \
        -H 'X-Forwarded-For: 9.9.9.9, 203.0.113.7'
    curl -sS -o /dev/null "$url/thumbs/%22%0a" -A ''
    lines access 2
    cat access
    get /api/me -H 'X-Forwarded-For: 203.0.113.7'
    jq -es --arg owner "$(field name)" \
        '.[0] == (.[0] + {address: "203.0.113.7", owner: $owner, method: "GET",
        path: "/api/styles", status: 200, complete: true, referer: "https://a.example/b",
        user_agent: "caf\ufffd \"x\"\\"}) and .[0].bytes > 0 and .[0].seconds >= 0 and
        .[1].path == "/thumbs/\"\n" and .[1].user_agent == "-" and .[1].status == 404' access
    date -d "$(jq -r .time access | head -n 1)"
    stop_service
    serve --access-log combined --access-log-format combined
    curl -sS -o /dev/null "$url/api/styles" -A "$agent" -e 'https://a.example/b?token=secret-of-mine'
    lines combined 1
    grep -q '" 200 [0-9]* "https://a.example/b" "caf\\xE9 \\x22x\\x22\\x5C" [0-9.]*$' combined
    run ! grep -r secret-of-mine access combined log
}

@test "the access log is rotated, loses no line, and never holds up a request" {
    serve --access-log access --access-log-format combined
    local agent
    agent=$(printf '\xe9%.0s' $(seq 7000))
    for _ in $(seq 400); do echo "url = $url/api/styles"; done >urls
    # each line has 28 kB
    curl -sS -Z --parallel-max 20 -K urls -A "$agent" >/dev/null
    stop_service
    cat access access.1 | grep -c '"GET /api/styles HTTP/1.1" 200 ' | grep -qx 400
    [ "$(stat -c %s access.1)" -le 10000000 ]
    [ "$(stat -c %s access.1)" -gt 9000000 ]
    [ ! -e access.2 ]
    # lines that cannot be written are counted
    serve --access-log /dev/full
    get /health
    get /health
    wait_until 'metrics; [ "$(value nst_access_log_dropped_lines_total)" -ge 3 ]'
    stop_service
    run "$SERVE" --data data --access-log no/such/file
    [ "$status" = 2 ]
    [[ $output == *no/such/file*"No such file"* ]]
    run "$SERVE" --data data --access-log-format apache
    [ "$status" = 2 ]
    [[ $output == *"'apache' is neither common, combined nor json"* ]]
}

# Make one change of each kind, and write what the log must say to the file expected.
change_all() {
    local style finished other=(-H 'X-Forwarded-For: 203.0.113.7') first second
    get /api/me
    first="owner=$(field name) address=127.0.0.1"
    get /api/me "${other[@]}"
    second="owner=$(field name) address=203.0.113.7"
    upload photo.png
    ask POST /api/upload-style -F style_image=@style.jpg "${other[@]}"
    style=$(field filename)
    transfer '{num_steps: 1}'
    until_state completed
    finished=$task
    transfer '{num_steps: 1000, size: 128}'
    ask DELETE "/api/tasks/$task"
    until_state cancelled
    ask POST "/api/tasks/$task/stop" # 409: no change
    ask DELETE "/api/tasks/$task" # it is over: the second time deletes it
    ask DELETE "/api/tasks/$task" # 404: no change
    [ "$code" = 404 ]
    ask DELETE "/api/styles/$style" # 404: of another owner
    ask DELETE "/api/styles/$style" "${other[@]}"
    ask DELETE "/api/delete-history/$content"
    [ "$code" = 200 ]
    cat >expected <<END
picture uploaded: $content $first
style added: $style $second
task created: $finished $first
task created: $task $first
task cancelled: $task $first
result deleted: $task $first
style deleted: $style $second
history deleted: $content $first
END
}

@test "the log has a line for each change, with its ID, owner and address" {
    serve_to json --log-format json --behind-proxy
    change_all
    jq -r 'select(.change) | "\(.change): \(.id) owner=\(.owner) address=\(.address)"' json |
        diff expected -
    jq -es '[.[] | select(.change)] | all(.level == "info" and .message ==
        "change: \(.change): \(.id) owner=\(.owner) address=\(.address)")' json
    stop_service
    serve_to text --behind-proxy
    change_all
    sed -n 's/^[-0-9T:]*Z info: change: //p' text | diff expected -
}

@test "/metrics follows the conventions, its figures agree, and the dashboard shows what is there" {
    serve --max-queue 1 --max-tasks 1
    upload photo.png
    transfer '{num_steps: 1}'
    until_state completed
    transfer '{num_steps: 1000, size: 256}'
    until_state running
    transfer '{num_steps: 1}'
    post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": \"munch\", \"num_steps\": 1}"
    [ "$code" = 429 ]
    get /api/styles -H 'Host: evil.example'
    [ "$code" = 403 ]
    get /api/styles -H 'Origin: https://evil.example'
    [ "$code" = 403 ]
    get /nowhere
    ask POST /api/upload-content -F content_image=@style.ppm
    [ "$code" = 415 ]
    ask PUT /health
    get "/api/history?limit=x"
    metrics "$srcdir/scripts/deploy/grafana-dashboard.json"
    ! command -v promtool || promtool check metrics <answer
    grep -qx "nst_build_info{version=\"$("$SERVE" --version | sed 's/.* //')\"} 1" answer
    [ "$(value nst_queue_depth)" = 1 ]
    [ "$(value nst_task_wait_seconds_count)" = 2 ]
    [ "$(value nst_task_run_seconds_count)" = 1 ]
    for reason in queue_full host origin not_found media_type method invalid; do
        [ "$(value "nst_http_rejected_total{reason=\"$reason\"}")" = 1 ]
    done
    [ "$(value nst_http_failures_total)" = 7 ]
    [ "$(value 'nst_uploads_total{field="content_image",result="stored"}')" = 1 ]
    [ "$(value 'nst_uploads_total{field="content_image",result="refused"}')" = 1 ]
    [ "$(value nst_upload_stored_bytes_total)" -gt "$(stat -c %s photo.png)" ]
    [ "$(value 'nst_http_request_duration_seconds_count{method="GET",route="/api/styles"}')" = 2 ]
    [ "$(value 'nst_http_request_duration_seconds_count{method="POST",route="/api/style-transfer"}')" = 4 ]
    [ "$(value 'nst_http_request_duration_seconds_count{method="other",route="other"}')" = 2 ]
    started=$(value process_start_time_seconds)
    [ $(($(date +%s) - started)) -lt 120 ]
    # bytes of the answers, without that to /metrics itself
    sent=$(value nst_http_sent_bytes_total)
    size=$(stat -c %s answer)
    get /api/presets
    size=$((size + $(stat -c %s answer)))
    metrics
    [ $(($(value nst_http_sent_bytes_total) - sent)) = $size ]
    # the end of a task is in the histogram, with the time that it took
    ask DELETE "/api/tasks/$task"
    get /api/tasks
    ask DELETE "/api/tasks/$(field '[0].task_id')" || true
    wait_until 'metrics; [ "$(value nst_task_run_seconds_count)" = 2 ]'
}

@test "the disk usage is that of df" {
    serve
    get /health
    want=$(df --output=pcent data | tail -n 1 | tr -dc 0-9) # rounded up
    awk -v is="$(field disk_usage)" -v want="$want" 'BEGIN { exit !(is > want - 2 && is < want + 1) }'
}

@test "SIGHUP opens the logs again and finds styles and presets, and the service goes on" {
    mkdir -p mine config/nst/presets
    export XDG_CONFIG_HOME=$PWD/config
    cp style.jpg mine/old.jpg
    serve_to own --access-log access --styles mine
    upload photo.png
    transfer '{num_steps: 1000, size: 128}'
    until_state running
    lines access "$(wc -l <access)"
    mv own own.old
    mv access access.old
    mv mine/old.jpg mine/new.jpg
    get /api/presets
    jq -e '[.[].name] | index("draft") and (index("later") | not)' <<<"$body"
    echo '{"description": "x", "options": {"size": 64, "iterations": 3}}' \
        >config/nst/presets/later.json
    kill -HUP "$service"
    wait_until 'grep -q reloaded own'
    get /api/styles
    jq -e '[.[].name] | index("new.jpg") and (index("old.jpg") | not)' <<<"$body"
    get /api/presets
    jq -e '.[] | select(.name == "later") | .size == 64 and .num_steps == 3' <<<"$body"
    lines access 2
    grep -q 'GET /api/styles ' access
    run ! grep -q 'GET /api/styles ' access.old
    for _ in $(seq 20); do kill -HUP "$service"; done
    get "/api/progress/$task"
    [ "$(field status)" = running ]
    [ "$(field attempts)" = 1 ]
    # a log that cannot be opened again goes on where it was
    mv access access.2
    mkdir access
    kill -HUP "$service"
    wait_until 'grep -q "cannot open the access log again" own'
    get /health
    wait_until 'grep -q "GET /health" access.2'
    ask DELETE "/api/tasks/$task"
    stop_service
}

@test "systemd hears of start, tasks, reload and end, and of the watchdog while requests are answered" {
    notified
    WATCHDOG_USEC=800000 serve --access-log access --min-steps 1
    wait_until 'grep -q READY=1 told && [ "$(pings)" -ge 3 ]'
    grep -q 'STATUS=0 tasks run, 0 wait' told
    # the watchdog's own requests are not counted
    [ ! -s access ]
    metrics
    [ "$(value 'nst_http_requests_total{code="2xx"}')" = 0 ]
    upload photo.png
    transfer '{num_steps: 1000, size: 128}'
    wait_until 'grep -q "STATUS=1 tasks run, 0 wait" told'
    ask DELETE "/api/tasks/$task"
    kill -HUP "$service"
    wait_until 'grep -q "RELOADING=1 MONOTONIC_USEC=[0-9]" told'
    wait_until '[ "$(grep -c READY=1 told)" = 2 ]'
    # a stopped service is silent
    kill -STOP "$service"
    wait_until '[ "$(cut -d" " -f3 "/proc/$service/stat")" = T ]'
    sleep 0.1
    before=$(pings)
    sleep 1
    [ "$(pings)" = "$before" ]
    kill -CONT "$service"
    wait_until "[ \"\$(pings)\" -gt $((before + 1)) ]"
    # so is one whose event loop hangs, while its other threads run
    python3 "$srcdir/tests/http/hang.py" "$service" MHD >hung 3>&- 4>&- &
    extra="$extra $!"
    wait_until 'grep -qE "hung|cannot" hung'
    if grep -q hung hung; then
        wait_until 'grep -q "does not answer its own request" log'
        before=$(pings)
        sleep 1
        [ "$(pings)" = "$before" ]
        kill "${extra##* }"
        wait_until "[ \"\$(pings)\" -gt $((before + 1)) ]"
    fi
    stop_service
    tail -n 1 told | grep -q STOPPING=1
}

@test "a worker reloads as well, and reports waits and runs to the front ends" {
    needs redis-server
    port=$((20000 + RANDOM % 12000))
    redis-server --port "$port" --bind 127.0.0.1 --save '' >redis 2>&1 3>&- 4>&- &
    extra=$!
    wait_until 'grep -q "Ready to accept" redis'
    serve --queue "redis://127.0.0.1:$port"
    notified
    WATCHDOG_USEC=400000 "$SERVE" --worker --data data --log worker \
        --queue "redis://127.0.0.1:$port" 3>&- 4>&- &
    worker=$!
    extra="$extra $worker"
    unset NOTIFY_SOCKET
    wait_until 'grep -q "processing tasks" worker'
    mv worker old
    kill -HUP "$worker"
    wait_until 'grep -q reloaded worker'
    upload photo.png
    transfer '{num_steps: 1}'
    until_state completed
    metrics
    [ "$(value nst_task_wait_seconds_count)" = 1 ]
    wait_until 'metrics; [ "$(value nst_task_run_seconds_count)" = 1 ]'
    awk -v s="$(value nst_task_run_seconds_sum)" 'BEGIN { exit !(s > 0) }'
    [ "$(pings)" -ge 1 ]
    kill "$worker"
    wait "$worker"
}
