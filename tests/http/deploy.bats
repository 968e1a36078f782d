#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# scripts/deploy: the systemd units, and nginx in front of the service, with the real
# programs. $NST is nst; nst-serve is in the same folder.
bats_require_minimum_version 1.5.0
load ../cli/helper

DEPLOY=${srcdir:?}/scripts/deploy
SITE=nst.example.org
PATH=$PATH:/usr/sbin # where nginx is

setup() {
    SERVE=$(dirname "$NST")/nst-serve
    [ -x "$SERVE" ] || skip "nst-serve is not built"
    needs curl
    needs jq
    mkdir "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return 1
    running=()
}

teardown() {
    local pid

    if [ -n "${nginx:-}" ]; then # ends its workers as well
        kill "$nginx" && wait "$nginx" || :
    fi
    for pid in ${running+"${running[@]}"}; do
        kill -KILL "$pid" 2>/dev/null || :
        wait "$pid" || :
    done
}

free_port() {
    local port

    while port=$((RANDOM % 12000 + 20000)) && : 2>/dev/null <"/dev/tcp/127.0.0.1/$port"; do
        :
    done
    echo "$port"
}

# serve ARG...: start a service; sets $url and $server, its process id
serve() {
    : >log
    "$SERVE" --listen 127.0.0.1:0 --data data --min-steps 1 "$@" 2>log 3>&- &
    server=$!
    running+=("$server")
    wait_until "grep -q 'listening on' log"
    url=$(sed -n 's/.*listening on //p' log)
}

# front [SED-SCRIPT]: start nginx with the site of scripts/deploy in front of $url; sets
# $http and $https, its ports. Retries if another process takes a port first.
front() {
    for _ in 1 2 3 4 5; do
        ! begin_front "$@" || return 0
    done
    return 1
}

begin_front() {
    http=$(free_port) https=$(free_port)
    mkdir -p tls
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -keyout tls/nst.key -out tls/nst.crt -subj "/CN=$SITE" \
        -addext "subjectAltName=DNS:$SITE" 2>/dev/null
    sed "/\[::\]/d; s|127.0.0.1:5000|${url#http://}|; s|/etc/nginx/tls|$PWD/tls|
        s|listen 80|listen 127.0.0.1:$http|; s|listen 443|listen 127.0.0.1:$https|; ${1:-}" \
        "$DEPLOY/nginx.conf" >site.conf
    [ "$(grep -c "listen 127.0.0.1" site.conf)" = 2 ]
    {
        [ "$(id -u)" != 0 ] || echo "user root;" # so that workers can read this folder
        cat <<END
pid nginx.pid;
error_log error.log;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path other;
    scgi_temp_path other;
    uwsgi_temp_path other;
    gzip on;
    gzip_types *;
    gzip_proxied any;
    include site.conf;
}
END
    } >nginx.conf
    nginx -p "$PWD" -c nginx.conf -e error.log -g 'daemon off;' 3>&- &
    nginx=$!
    wait_until 'ask -o /dev/null /health || ! kill -0 $nginx 2>/dev/null' &&
        kill -0 $nginx 2>/dev/null
}

# ask CURL-OPTION... PATH: make a request to the site
ask() {
    curl -s --cacert tls/nst.crt --resolve "$SITE:$https:127.0.0.1" "${@:1:$#-1}" \
        "https://$SITE:$https${*: -1}"
}

# begin_task STEPS SIZE: queue a task at $url and print its id
begin_task() {
    local name

    name=$(curl -sf -F "content_image=@$srcdir/docs/sample.jpg" "$url/api/upload-content" |
        jq -r .filename)
    curl -sf --json "{\"content_image\": \"$name\", \"style_image\": \"munch\",
        \"num_steps\": $1, \"size\": $2}" "$url/api/style-transfer" | jq -r .task_id
}

# progress ID JQ-EXPRESSION: true if the task's progress matches
progress() {
    curl -sf "$url/api/progress/$1" | jq -e "$2" >/dev/null
}

# until_progress ID JQ-EXPRESSION: wait until it does
until_progress() {
    local id=$1 expression=$2
    wait_until 'progress "$id" "$expression"'
}

@test "the units are valid, and their systemd-analyze exposure is at most 1.0" {
    needs systemd-analyze
    sed "s|/usr/bin/nst-serve|$SERVE|" "$DEPLOY/nst-serve.service" >nst-serve.service
    cp "$DEPLOY/nst-serve.socket" .
    systemd-analyze verify --man=no ./nst-serve.service ./nst-serve.socket
    run systemd-analyze security --offline=true --threshold=10 --no-pager ./nst-serve.service
    echo "$output"
    [ "$status" = 0 ]
}

@test "nginx redirects to HTTPS, serves HTTP/2 and forwards the Host header" {
    needs nginx
    serve --behind-proxy --host "$SITE"
    front
    run curl -sI "http://127.0.0.1:$http/api/styles?a=b" -H "Host: $SITE"
    grep -q '^HTTP/1.1 301' <<<"$output"
    grep -q "^Location: https://$SITE/api/styles?a=b" <<<"$output"
    [ "$(curl -so /dev/null -w '%{http_code}' "http://127.0.0.1:$https/health")" = 400 ]
    [ "$(ask -o list -w '%{http_code} %{http_version}' /api/styles)" = "200 2" ]
    jq -e 'length >= 4' list
    [ "$(ask --tls-max 1.1 -o /dev/null /health; echo $?)" = 35 ]
    ask -I /api/styles | grep -qi '^strict-transport-security: max-age=31536000'
    # the page's cookie is sent over TLS only
    ask -o /dev/null -D - / | grep -qi '^set-cookie: nst_visitor=.*; Secure'
    # a page of the site may send requests, a page of another site may not
    [ "$(ask -o said -w '%{http_code}' -X DELETE -H "Origin: https://$SITE:$https" /api/tasks/none)" = 404 ]
    [ "$(ask -o said -w '%{http_code}' -X DELETE -H "Origin: https://example.com" /api/tasks/none)" = 403 ]
}

@test "nginx has the upload limit of the service, and answers 413 in JSON above it" {
    needs nginx
    serve --behind-proxy --host "$SITE"
    front
    # decoders ignore data after the end of a JPEG
    { cat "$srcdir/docs/sample.jpg" && head -c 16M /dev/zero; } >long
    head -c $((16 * 1024 * 1024 - 1000)) long >fits.jpg
    [ "$(ask -o said -w '%{http_code}' -F content_image=@fits.jpg /api/upload-content)" = 200 ]
    jq -e .filename said
    before=$(ls data/uploads)
    [ "$(ask -o said -D head -w '%{http_code}' -F content_image=@long /api/upload-content)" = 413 ]
    jq -e .error said
    grep -qi '^content-type: application/json' head
    [ "$(ls data/uploads)" = "$before" ]
    curl -s "$url/metrics" | grep -q 'requests_total{code="4xx"} 0' # not passed on
}

# raw BYTES: send them to nginx over TLS; writes the files head and said (the body)
raw() {
    printf '%b' "$1" | timeout 10 openssl s_client -quiet -CAfile tls/nst.crt -servername "$SITE" \
        -connect "127.0.0.1:$https" 2>/dev/null | tr -d '\r' >said || :
    sed '/^$/,$d' said >'head'
    sed -i '1,/^$/d' said
}

@test "nginx answers its own errors in JSON" {
    needs nginx
    serve --behind-proxy --host "$SITE"
    front
    long=$(printf 'a%.0s' {1..40000})
    while read -r status request; do
        raw "${request//LONG/$long}"
        cat head said
        [ "$(head -n 1 head | cut -d' ' -f2)" = "$status" ]
        jq -e 'keys == ["error"]' said
        grep -qi '^content-type: application/json' head
        [ "$status" != 400 ] || grep -qi '^strict-transport-security' head
    done <<END
400 GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n
400 GET /health HTTP/1.1\r\n\r\n
400 GET /health HTTP/1.1\r\nHost: $SITE\r\nX: LONG\r\n\r\n
414 GET /LONG HTTP/1.1\r\nHost: $SITE\r\n\r\n
413 POST /api/compare HTTP/1.1\r\nHost: $SITE\r\nContent-Length: 99999999\r\n\r\n
405 TRACE /health HTTP/1.1\r\nHost: $SITE\r\nConnection: close\r\n\r\n
501 POST /api/compare HTTP/1.1\r\nHost: $SITE\r\nTransfer-Encoding: gzip\r\n\r\n
END
    # errors of the service stay unchanged
    [ "$(ask -o said -w '%{http_code}' /nowhere)" = 404 ]
    [ "$(jq -r .error said)" = 'not found' ]
    [ "$(ask -o said -w '%{http_code}' /.refused)" = 404 ]
}

@test "nginx passes events on at once and uncompressed" {
    needs nginx
    serve --behind-proxy --host "$SITE"
    front
    id=$(begin_task 150 300)
    ask -N --compressed -D head "/api/progress/$id/events" |
        while read -r line; do echo "$(date +%s%3N) $line"; done >events
    cat events
    run ! grep -qi '^content-encoding' head
    grep -qi '^content-type: text/event-stream' head
    [ "$(grep -c ' data: ' events)" -ge 10 ]
    tail -n 2 events | grep -q '"status":"completed"'
    # not buffered: the events span at least half of the task's duration
    first=$(grep -m 1 '"status":"running"' events | cut -d' ' -f1)
    last=$(grep '"status":"completed"' events | cut -d' ' -f1)
    took=$(curl -s "$url/api/history" | jq '[.[][]][0].seconds * 1000 | floor')
    echo "first $first last $last task $took ms"
    [ $((last - first)) -ge $((took / 2)) ]
}

@test "the rate limit uses the address that nginx sees, not a forged X-Forwarded-For" {
    needs nginx
    serve --behind-proxy --host "$SITE" --rate 1
    front
    asks_from() { # ADDRESS CURL-OPTION...
        ask -o /dev/null -w '%{http_code}\n' -X DELETE --interface "$@" /api/tasks/none
    }
    for _ in {1..8}; do asks_from 127.0.0.2; done >codes
    cat codes
    [ "$(head -n 4 codes | sort -u)" = 404 ]
    grep -q 429 codes
    # a slow machine may have a new token; a forged address would have one each time
    wait_until '[ "$(asks_from 127.0.0.2 -H "X-Forwarded-For: 127.$((RANDOM % 250)).$((RANDOM % 250)).9")" = 429 ]'
    [ "$(asks_from 127.0.0.3)" = 404 ]
}

@test "behind nginx with a path prefix, every URL has the prefix" {
    needs nginx
    serve --behind-proxy --host "$SITE" --prefix /nst
    front 's|location / {|location /nst/ {|; s|/health|/nst/health|'
    [ "$(ask -o said -w '%{http_code}' /nst/api/styles)" = 200 ]
    [ "$(ask -o said -w '%{http_code}' /api/styles)" = 404 ]
    id=$(begin_task 2 100)
    ask "/nst/api/progress/$id/events" | grep -q '"status":"completed"'
    made=$(ask "/nst/api/progress/$id" | jq -r .output_url)
    [[ $made == /nst/results/* ]]
    ask "$made" | head -c 8 | grep -q PNG
}

@test "nginx answers 503 in JSON while the service is down" {
    needs nginx
    serve --behind-proxy --host "$SITE"
    front
    kill "$server"
    wait "$server"
    [ "$(ask -o said -D head -w '%{http_code}' /api/styles)" = 503 ]
    jq -e .error said
    grep -qi '^retry-after: 10' head
    grep -qi '^strict-transport-security' head
}

@test "the service takes a socket from systemd, and notifies it at start and end" {
    needs systemd-socket-activate
    needs socat
    socat -u UNIX-RECV:notify CREATE:told 3>&- &
    running+=($!)
    wait_until "[ -S notify ]"
    port=$(free_port)
    systemd-socket-activate -l "127.0.0.1:$port" -E NOTIFY_SOCKET="$PWD/notify" \
        -E LD_LIBRARY_PATH -E XDG_DATA_HOME \
        "$SERVE" --listen 127.0.0.1:1 --data data 2>log 3>&- & # ignores --listen
    server=$!
    running+=("$server")
    wait_until "grep -q '^Listening on' log"
    [ ! -e data ]
    # the first connection starts the service
    [ "$(curl -so said -w '%{http_code}' "http://127.0.0.1:$port/health")" = 200 ]
    grep -q "listening on http://127.0.0.1:$port" log
    wait_until 'grep -aq READY=1 told'
    run ! grep -aq STOPPING=1 told
    kill "$server"
    wait "$server"
    wait_until 'grep -aq STOPPING=1 told'
}

@test "SIGTERM exits with status 0, and a running task resumes from its checkpoint" {
    serve --grace 0
    id=$(begin_task 1000 300)
    until_progress "$id" '.progress >= 40'
    waiting=$(begin_task 2 100)
    kill "$server"
    wait "$server"
    grep -q 'nst-serve: ended' log
    (cd data/work && [ -s "$id/checkpoint" ])
    [ "$(jq -r .state "data/tasks/$id.json")" = queued ]
    [ ! -e "data/results/$id.png" ]
    serve
    until_progress "$id" '.status == "running" and .progress > 0'
    progress "$id" '.progress >= 40 and .attempts == 1'
    until_progress "$id" '.status == "completed"'
    until_progress "$waiting" '.status == "completed"'
    [ "$(curl -s "$url/api/history" | jq '[.[][]] | length')" = 2 ]
}

@test "SIGTERM waits --grace seconds for a task, a second SIGTERM stops it" {
    serve --grace 60
    id=$(begin_task 60 128)
    until_progress "$id" '.status == "running"'
    kill "$server"
    wait "$server"
    [ "$(jq -r .state "data/tasks/$id.json")" = completed ]
    [ -s "data/results/$id.png" ]

    serve --grace 60
    id=$(begin_task 1000 256)
    until_progress "$id" '.progress >= 2'
    begin=$SECONDS
    kill "$server"
    wait_until "grep -q 'ending: 1 tasks' log"
    kill "$server"
    wait "$server"
    [ $((SECONDS - begin)) -lt 30 ]
    [ "$(jq -r .state "data/tasks/$id.json")" = queued ]
}

@test "two services behind nginx on one Redis serve one site" {
    needs nginx
    needs redis-server
    needs redis-cli
    port=$(free_port)
    redis-server --port "$port" --bind 127.0.0.1 --save '' --dir "$PWD" >redis.log 2>&1 3>&- &
    running+=($!)
    wait_until '[ "$(redis-cli -p "$port" ping 2>/dev/null)" = PONG ]'
    queue=(--queue "redis://127.0.0.1:$port/1" --behind-proxy --host "$SITE")
    serve "${queue[@]}"
    first=$url first_server=$server
    serve "${queue[@]}"
    second=$url
    "$SERVE" --worker --data data "${queue[@]:0:2}" 2>worker.log 3>&- &
    running+=($!)
    front "s|server ${url#http://};|& server ${first#http://};|"

    # the upload through one, the task through the other, the result through both
    url=$first
    name=$(curl -sf -F "content_image=@$srcdir/docs/sample.jpg" "$url/api/upload-content" |
        jq -r .filename)
    url=$second
    id=$(curl -sf --json "{\"content_image\": \"$name\", \"style_image\": \"munch\",
        \"num_steps\": 3, \"size\": 100}" "$url/api/style-transfer" | jq -r .task_id)
    url=$first
    until_progress "$id" '.status == "completed"'
    curl -sf -D first.head -o first.png "$first/results/$id.png"
    curl -sf -D second.head -o second.png "$second/results/$id.png"
    cmp first.png second.png
    tag=$(sed -n 's/^etag: \(.*\)\r$/\1/Ip' first.head)
    [ "$tag" = "$(sed -n 's/^etag: \(.*\)\r$/\1/Ip' second.head)" ]

    # through the site, which takes turns
    answered() { curl -s "$1/metrics" | sed -n 's/^nst_[a-z_]*requests_total{code="3xx"} //p'; }
    for _ in {1..8}; do
        [ "$(ask -o /dev/null -w '%{http_code}' -H "If-None-Match: $tag" "/results/$id.png")" = 304 ]
    done
    echo "answered: $(answered "$first") and $(answered "$second")"
    [ "$(answered "$first")" -ge 2 ]
    [ "$(answered "$second")" -ge 2 ]
    head -c 1000 first.png >part
    ask -C - -o part "/results/$id.png"
    cmp first.png part
    name=$(ask -F "content_image=@$srcdir/docs/sample.jpg" /api/upload-content | jq -r .filename)
    id=$(ask --json "{\"content_image\": \"$name\", \"style_image\": \"munch\", \"num_steps\": 3,
        \"size\": 100}" /api/style-transfer | jq -r .task_id)
    ask -N "/api/progress/$id/events" | grep -q '"status":"completed"'
    for url in "$first" "$second"; do
        [ "$(curl -sf "$url/api/history" | jq '[.[][]] | length')" = 2 ]
    done

    # one ends, the site stays
    kill "$first_server"
    wait "$first_server"
    for _ in {1..6}; do
        [ "$(ask -o /dev/null -w '%{http_code}' /api/history)" = 200 ]
    done
}
