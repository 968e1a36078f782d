#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Edge cases of nst-serve: limits that must not be bypassed, and concurrency.
bats_require_minimum_version 1.5.0
load helper

@test "the limits of steps and style weight apply to every option that sets them" {
    serve
    upload photo.png
    while IFS='|' read -r json pattern; do
        post /api/style-transfer \
            "{\"content_image\": \"$content\", \"style_image\": \"munch\", $json}"
        refused 400 "$pattern"
    done <<'END'
"iterations": 5000|iterations
"style-weight": 1e12|style-weight: is not known
"scale_iterations": [1001]|scale_iterations: 1001 .* 1 to 1000
"scales": [16, 32], "scale_iterations": [3, 100000]|scale_iterations: 100000 .* 1 to 1000
END
    transfer '{scales: [16, 32], scale_iterations: [3, 2]}'
    until_state completed
}

# large FILE WIDTH HEIGHT: write a PNG of noise, which is slow to compare
large() {
    python3 - "$@" <<'END'
import random, struct, sys, zlib
name, w, h = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rows = b"".join(b"\0" + random.Random(y).randbytes(3 * w) for y in range(h))
with open(name, "wb") as f:
    f.write(b"\x89PNG\r\n\x1a\n")
    for kind, data in (b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)), \
            (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""):
        f.write(struct.pack(">I", len(data)) + kind + data)
        f.write(struct.pack(">I", zlib.crc32(kind + data)))
END
}

# compare: compare the picture with itself
compare() {
    post /api/compare "{\"original\": \"$content\", \"result\": \"$content\"}" "$@"
}

# compare_aside: the same in the background; appends the status to the file compared
compare_aside() {
    curl -sS -o /dev/null -w '%{http_code}\n' "$url/api/compare" \
        -H 'Content-Type: application/json' \
        -d "{\"original\": \"$content\", \"result\": \"$content\"}" >>compared 3>&- &
}

@test "a comparison of large pictures delays neither a cancellation nor the shutdown" {
    needs python3
    large large.png 2000 1500
    serve --grace 0
    upload photo.png
    transfer '{num_steps: 1000, size: 256}'
    upload large.png
    for _ in 1 2 3 4 5; do
        compare_aside
    done
    wait_until '[ "$(pgrep -cP "$service" nst-compare)" = 1 ]'
    ask DELETE "/api/tasks/$task" -m 2
    [ "$code" = 200 ]
    begin=$(date +%s%N)
    stop_service
    [ $((($(date +%s%N) - begin) / 1000000)) -lt 10000 ]
    wait_until '[ "$(wc -l <compared)" = 5 ]'
    [ "$(grep -vcE '503|000' compared)" = 0 ] # 000: the connection closed first
}

@test "one comparison runs, eight wait, the next is 503, and uploads are not delayed" {
    needs python3
    large large.png 500 400
    serve
    upload large.png
    compare
    [ "$code" = 200 ]
    compare_aside
    until first=$(pgrep -P "$service" nst-compare) && kill -STOP "$first" &&
        [[ $(ps -o stat= -p "$first") == T* ]]; do
        [ ! -s compared ] || { # it ended too early: start another one
            rm compared
            compare_aside
        }
        sleep 0.02
    done
    for _ in 2 3 4 5 6 7 8 9 10; do
        compare_aside
    done
    wait_until '[ -s compared ]'
    [ "$(cat compared)" = 503 ]
    [ "$(pgrep -cP "$service" nst-compare)" = 1 ]
    compare -m 5
    refused 503 'try again'
    [ "$(header retry-after)" -gt 0 ]
    ask POST /api/upload-content -F content_image=@photo.png -m 20
    [ "$code" = 200 ]
    kill -CONT "$first"
    wait_until '[ "$(wc -l <compared)" = 10 ]'
    [ "$(grep -c 200 compared)" = 9 ]
}

@test "a comparison that needs more than --task-memory is 413" {
    needs python3
    needs_plain_build # a sanitizer build has no limit on address space
    large large.png 2400 2000
    serve --task-memory 64M --max-upload 32M
    upload large.png
    compare
    refused 413 'too large to be compared: out of memory'
}

@test "requests during the shutdown do not crash the service" {
    needs python3
    export MALLOC_PERTURB_=165 # overwrite freed memory
    serve
    upload photo.png
    transfer
    until_state completed
    for _ in 1 2 3 4; do
        python3 - "${url##*:}" "$task" 3>&- <<'END' &
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
try:
    while True:
        for path in ("/api/progress/" + sys.argv[2], "/api/history", "/api/tasks"):
            c.request("GET", path)
            assert c.getresponse().read()
except (OSError, http.client.HTTPException):
    pass
END
    done
    sleep 0.5
    stop_service
    [ "$(tail -n 1 log)" = 'nst-serve: ended' ]
}

@test "cancelled queued tasks count towards --max-history-images" {
    serve --max-tasks 1 --max-history-images 3
    upload photo.png
    transfer '{num_steps: 1000, size: 256}'
    first=$task
    for _ in 1 2 3 4 5 6; do
        transfer
        ask DELETE "/api/tasks/$task"
        [ "$code" = 200 ]
    done
    [ "$(ls data/tasks | wc -l)" = 4 ]
    get "/api/progress/$task"
    [ "$(field status)" = cancelled ]
    ask DELETE "/api/tasks/$first"
}

@test "a cancelled task stays cancelled if the service is killed at once" {
    serve
    upload photo.png
    transfer '{num_steps: 1000, size: 256}'
    until_task '.progress > 0'
    kill -STOP "$(children)" # it must not end before
    ask DELETE "/api/tasks/$task"
    [ "$code" = 200 ]
    stop_service KILL || true
    serve
    get "/api/progress/$task"
    [ "$(field status)" = cancelled ]
    [ -z "$(ls data/work data/results | grep -v ':$' | grep .)" ]
}

@test "a task that is cancelled just as it ends leaves no result" {
    serve
    upload photo.png
    for _ in 1 2 3 4 5; do
        transfer
        until [ -e "data/results/$task.png" ]; do sleep 0.002; done
        ask DELETE "/api/tasks/$task"
        [ "$code" = 200 ] || continue
        until_state cancelled
        [ ! -e "data/results/$task.png" ]
        [ ! -e "data/thumbs/$task.png.jpg" ]
        cancelled=1
    done
    [ -n "${cancelled:-}" ] || skip "none was cancelled in time"
}

@test "behind a proxy only the last X-Forwarded-For header counts" {
    serve --rate 1 --behind-proxy
    for i in $(seq 10); do
        ask DELETE /api/tasks/x -H "X-Forwarded-For: 1.2.3.$i" -H 'X-Forwarded-For: 5.6.7.8'
    done
    refused 429 'a second'
}

@test "an error message is valid UTF-8 even if it is cut within a character" {
    serve
    upload photo.png
    for word in "$(printf 'é%.0s' $(seq 150))" "x$(printf 'é%.0s' $(seq 150))"; do
        post /api/style-transfer \
            "{\"content_image\": \"$content\", \"style_image\": \"munch\", \"$word\": 1}"
        refused 400 'ééé.*not known'
    done
    get "/api/progress/x$(printf '%%c3%%a9%.0s' $(seq 50))"
    refused 404 'task: .xééé.*not known'
    get /api/progress/%ff%fe
    refused 404 'task: .*not known'
}

@test "a picture cannot be deleted while a queued task uses it as a mask" {
    serve --max-tasks 1
    upload photo.png
    mask=$content
    transfer
    until_state completed
    upload photo.png
    transfer '{num_steps: 1000, size: 256}'
    first=$task
    transfer "{keep_mask: \"$mask\"}"
    ask DELETE "/api/delete-history/$mask"
    refused 409 cancel
    ask DELETE "/api/tasks/$first"
    until_state completed
    ask DELETE "/api/delete-history/$mask"
    [ "$code" = 200 ]
    [ ! -e "data/uploads/$mask" ]
}

@test "an upload without disk space for its thumbnail is 507 and leaves no files" {
    [ "$(id -u)" = 0 ] || skip "only root can mount a small disk"
    mkdir -p data/thumbs
    mount -t tmpfs -o size=64k none data/thumbs 2>/dev/null || skip "no disk can be mounted"
    serve
    head -c 65536 /dev/zero >data/thumbs/filler
    ask POST /api/upload-content -F content_image=@photo.png
    left=$(ls data/uploads data/thumbs)
    stop_service
    umount data/thumbs
    refused 507 'content_image: cannot be kept: No space'
    grep -q 'error: cannot keep a picture: No space' log
    [ "$left" = $'data/thumbs:\nfiller\n\ndata/uploads:' ]
}

@test "uploads and results are synced to disk before the response" {
    needs strace
    needs_plain_build # LeakSanitizer cannot run under strace
    serve
    strace -f -qq -e trace=rename,fsync,openat,sendto,sendmsg -y -o calls -p "$service" &
    tracer=$!
    sleep 1
    upload photo.png
    transfer
    until_state completed
    kill "$tracer"
    wait "$tracer" || true
    grep -q uploads calls || skip "nothing can be traced"
    grep -A 4 "rename(.*uploads/$content" calls | grep -q 'fsync(.*data/uploads>'
    grep -A 4 "rename(.*results/$task.png" calls | grep -q 'fsync(.*data/results>'
}

@test "a picture of --styles is checked again only after it has changed" {
    mkdir mine
    cp style.jpg mine/waves.jpg
    touch -d '1 hour ago' mine/waves.jpg
    serve --styles mine
    first=$(stat -c %i data/thumbs/waves.jpg.jpg)
    stop_service
    serve --styles mine
    [ "$(stat -c %i data/thumbs/waves.jpg.jpg)" = "$first" ]
    get /api/styles
    jq -e '.[] | select(.name == "waves.jpg") | .thumbnail != null' <<<"$body"
    stop_service
    echo no >mine/waves.jpg
    serve --styles mine
    grep -q 'warning.*waves.jpg' log
    get /api/styles
    [ "$(grep -c waves <<<"$body")" = 0 ]
}

@test "a style name of 80 characters works, a longer one is skipped with a warning" {
    name=$(printf 'a%.0s' $(seq 76)).jpg
    mkdir mine
    cp style.jpg "mine/$name"
    cp style.jpg "mine/a$name"
    serve --styles mine
    grep "styles: a$name: .* at most 80 of them" log
    get /api/styles
    [ "$(jq -r '[.[] | select(.kind == "picture").name] | join(" ")' <<<"$body")" = "$name" ]
    styles=$body
    for url_of in url thumbnail; do
        get "$(jq -r ".[] | select(.name == \"$name\").$url_of" <<<"$styles")"
        [ "$code" = 200 ]
        [ "$(header content-type)" = image/jpeg ]
    done
    upload photo.png
    transfer "{style_image: \"$name\"}"
    until_state completed
    post /api/compare "{\"task_id\": \"$task\"}"
    jq -e '.style_distance > 0' <<<"$body"
}

@test "a style cannot be deleted while an unfinished task uses it" {
    serve --max-tasks 1
    upload photo.png
    ask POST /api/upload-style -F style_image=@style.jpg
    style=$(field filename)
    transfer '{num_steps: 1000, size: 256}'
    first=$task
    transfer "{styles: [{name: \"munch\"}, {name: \"$style\"}]}"
    ask DELETE "/api/styles/$style"
    refused 409 'cancel it first'
    ask DELETE /api/styles/none
    refused 404 none
    ask DELETE "/api/tasks/$first"
    until_state completed
    ask DELETE "/api/styles/$style"
    [ "$code" = 200 ]
}

@test "event streams use at most half of the connections" {
    serve --max-connections 16 --behind-proxy
    upload photo.png
    transfer '{num_steps: 1000, size: 256}'
    for _ in $(seq 12); do
        curl -sSN -o /dev/null -w '%{http_code}\n' "$url/api/progress/$task/events" \
            >>streams 3>&- &
    done
    wait_until '[ "$(wc -l <streams)" -ge 4 ]'
    [ "$(cat streams)" = $'503\n503\n503\n503' ]
    get /health -m 5
    [ "$code" = 200 ]
    ask DELETE "/api/tasks/$task" -m 5
    [ "$code" = 200 ]
    wait_until '[ "$(grep -c 200 streams)" = 8 ]'
    get "/api/progress/$task/events" -m 5
    [ "$code" = 200 ]
}

@test "orphaned thumbnails and results are removed at the next start" {
    mkdir mine
    cp style.jpg mine/waves.jpg
    serve --styles mine
    upload photo.png
    ask POST /api/upload-style -F style_image=@style.jpg
    transfer
    until_state completed
    kept=$(ls data/thumbs)
    [ "$(wc -l <<<"$kept")" = 4 ]
    stop_service KILL || true
    id=0123456789abcdef0123456789abcdef
    touch data/thumbs/$id.png.jpg data/thumbs/x data/results/$id.png
    serve --styles mine
    [ "$(ls data/thumbs)" = "$kept" ]
    [ ! -e data/results/$id.png ]
}

@test "a JSON log line is valid even if a file name is not UTF-8" {
    mkdir mine
    echo no >mine/$'caf\xe9.png'
    serve --styles mine --log-format json
    grep '"level":"warning"' log | jq -e '.message | test("styles: caf.*lower case")'
}

@test "a page is compressed only for clients that accept the encoding" {
    mkdir web
    echo '<!doctype html>hello' >web/index.html
    gzip -k web/index.html
    serve --web web
    for takes in 'gzip;q=0' 'identity' 'xgzip' 'br, gzip; q=0.0'; do
        get / -H "Accept-Encoding: $takes"
        [ -z "$(header content-encoding)" ]
        cmp answer web/index.html
    done
    for takes in 'gzip' 'br;q=1.0, GZIP;q=0.5' 'deflate, gzip'; do
        get / -H "Accept-Encoding: $takes"
        [ "$(header content-encoding)" = gzip ]
        cmp answer web/index.html.gz
    done
}

@test "one address can use at most half of the connections" {
    serve --max-connections 32
    for _ in $(seq 40); do
        sleep 20 3>&- | busybox nc 127.0.0.1 "${url##*:}" >/dev/null 2>&1 3>&- &
    done
    wait_until '! curl -s -m 2 -o /dev/null "$url/health"'
    [ "$(ls "/proc/$service/fd" | wc -l)" -lt 40 ]
    curl -sS -m 5 --interface 127.0.0.2 "$url/health" | grep -q status
}
