#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The transfer of responses: byte ranges and conditions (RFC 9110, sections 13 and 14),
# gzip, and clients that read slowly or not at all.
bats_require_minimum_version 1.5.0
load helper

# the service serves only uploads whose name is one that it gives
a=$(printf 'a%.0s' {1..32}).png b=$(printf 'b%.0s' {1..32}).png

# place NAME BYTES: put a file of random bytes among the uploads, and beside as NAME
place() {
    head -c "$2" /dev/urandom >"$1"
    cp "$1" data/uploads/
}

@test "a range has exactly these bytes of the file" {
    serve
    place $a 100000
    while read -r range from size; do
        get /uploads/$a -H "Range: bytes=$range"
        [ "$code" = 206 ]
        [ "$(header content-range)" = "bytes $from-$((from + size - 1))/100000" ]
        [ "$(header content-length)" = "$size" ]
        [ "$(header content-type)" = image/png ]
        tail -c +$((from + 1)) $a | head -c "$size" | cmp - answer
    done <<'END'
0-0 0 1
0-99 0 100
99-4200 99 4102
70000- 70000 30000
0- 0 100000
-7 99993 7
-200000 0 100000
99999-99999 99999 1
99000-18446744073709551615 99000 1000
99000-99999999999999999999999 99000 1000
END
}

@test "a range beyond the end is 416, and what is no range gets the whole file" {
    serve
    place $a 5000
    for range in bytes=5000- bytes=5000-6000 bytes=-0 bytes=99999999999999999999999-; do
        get /uploads/$a -H "Range: $range"
        refused 416 'only 5000 bytes'
        [ "$(header content-range)" = 'bytes */5000' ]
    done
    for range in bytes=9-3 bytes=a-b items=0-5 bytes=0-1,7-9 bytes=-7,0-3 bytes= bytes=- \
        bytes=1-2x bytes=--1 'bytes=1 -2' 0-5; do
        get /uploads/$a -H "Range: $range"
        [ "$code" = 200 ]
        [ -z "$(header content-range)" ]
        cmp $a answer
    done
    # only GET has ranges
    curl -sSI -H 'Range: bytes=0-9' "$url/uploads/$a" >headers
    grep -q '^HTTP/1.1 200' headers
    [ "$(header content-length)" = 5000 ]
    [ "$(header accept-ranges)" = bytes ]
}

@test "an interrupted download continues, unless the file has changed" {
    serve
    place $a 200000
    head -c 120001 $a >part
    curl -sS -C - -o part -D headers "$url/uploads/$a"
    [ "$(header content-length)" = 79999 ]
    cmp $a part
    get /uploads/$a
    tag=$(header etag) date=$(header last-modified)
    for version in "$tag" "$date"; do
        get /uploads/$a -H 'Range: bytes=5-9' -H "If-Range: $version"
        [ "$code" = 206 ]
        tail -c +6 $a | head -c 5 | cmp - answer
    done
    for version in "W/$tag" '"other"' 'Sun, 06 Nov 1994 08:49:37 GMT' '*' yesterday; do
        get /uploads/$a -H 'Range: bytes=5-9' -H "If-Range: $version"
        [ "$code" = 200 ]
        cmp $a answer
    done
    sleep 0.02
    place $b 200000
    mv data/uploads/$b data/uploads/$a
    get /uploads/$a -H 'Range: bytes=5-9' -H "If-Range: $tag"
    [ "$code" = 200 ]
    cmp $b answer
}

@test "a picture that the client has is 304, and a condition that fails is 412" {
    serve
    place $a 5000
    touch -d '2026-05-06 07:08:09 UTC' data/uploads/$a
    get /uploads/$a
    tag=$(header etag)
    [[ $tag == \"*\" ]]
    [ "$(header last-modified)" = 'Wed, 06 May 2026 07:08:09 GMT' ]
    while IFS='|' read -r status condition; do
        : >answer # curl leaves it if there is no body
        get /uploads/$a -H "$condition" -H 'Range: bytes=0-9'
        [ "$code" = "$status" ]
        [ "$code" != 304 ] || {
            [ ! -s answer ]
            [ "$(header etag)" = "$tag" ]
            [ "$(header content-length)" = 5000 ] # as 200 has it
            [ "$(header cache-control)" = 'private, max-age=300, must-revalidate' ]
        }
    done <<END
304|If-None-Match: $tag
304|If-None-Match: W/$tag
304|If-None-Match: "x", $tag
304|If-None-Match: *
206|If-None-Match: "x"
304|If-Modified-Since: Wed, 06 May 2026 07:08:09 GMT
304|If-Modified-Since: Thu, 07 May 2026 07:08:09 GMT
206|If-Modified-Since: Wed, 06 May 2026 07:08:08 GMT
206|If-Modified-Since: last week
206|If-Match: $tag
206|If-Match: "x", $tag
412|If-Match: W/$tag
412|If-Match: "x"
206|If-Unmodified-Since: Wed, 06 May 2026 07:08:09 GMT
412|If-Unmodified-Since: Wed, 06 May 2026 07:08:08 GMT
END
    # a 304 has no body that the next response could be taken for
    [ "$(curl -sS -w '%{http_code} %{num_connects} ' -H "If-None-Match: $tag" \
        "$url/uploads/$a" "$url/uploads/$a")" = '304 1 304 0 ' ]
    get /uploads/$a -H 'If-Match: "x"'
    refused 412 'have changed'
    # the tag counts, not the date
    get /uploads/$a -H 'If-None-Match: "x"' \
        -H 'If-Modified-Since: Wed, 06 May 2026 07:08:09 GMT'
    [ "$code" = 200 ]
}

@test "every picture, file of the page and the description has a tag and is 304 with it" {
    mkdir -p mine web/assets
    "$(dirname "$NST")/nst-style" pack style.jpg --scales 32 --style-layers relu1_1 \
        --preview photo.png -o mine/full.nststyle
    cp style.jpg mine/waves.jpg
    echo '<!doctype html>hello' >web/index.html
    echo 'let a' >web/assets/a-1234.js
    echo '{}' >web/manifest.webmanifest
    echo 'self.oninstall = null' >web/sw.js
    serve --styles mine --web web
    upload photo.png
    transfer
    until_state completed
    pictures="/uploads/$content /results/$task.png /thumbs/$content.jpg /styles/waves.jpg
        /styles/full.nststyle.jpg"
    get /styles/full.nststyle.jpg
    [ "$code" = 200 ] || pictures=${pictures/full.nststyle/full}
    for path in $pictures "/api/tasks/$task/preview" / /assets/a-1234.js \
        /manifest.webmanifest /sw.js /openapi.json; do
        get "$path"
        [ "$code" = 200 ]
        cp answer whole
        [[ $(header etag) == \"*\" ]]
        case $path in
        /assets/*) [[ $(header cache-control) == *immutable ]] ;;
        / | /manifest.webmanifest | /sw.js | /openapi.json) [ "$(header cache-control)" = no-cache ] ;;
        *preview) [ "$(header cache-control)" = 'private, no-cache' ] ;;
        *) [ "$(header cache-control)" = 'private, max-age=300, must-revalidate' ] ;;
        esac
        : >answer
        get "$path" -H "If-None-Match: $(header etag)"
        [ "$code" = 304 ]
        [ ! -s answer ]
    done
    for path in $pictures "/api/tasks/$task/preview"; do
        get "$path"
        cp answer whole
        get "$path" -H 'Range: bytes=2-11'
        [ "$code" = 206 ]
        tail -c +3 whole | head -c 10 | cmp - answer
    done
    # what is deleted is gone, whatever the client has
    get "/uploads/$content"
    tag=$(header etag)
    ask DELETE "/api/delete-history/$content"
    [ "$code" = 200 ] || ask DELETE "/api/delete-history/${content%.*}"
    get "/uploads/$content" -H "If-None-Match: $tag"
    [ "$code" = 404 ]
}

@test "long JSON is compressed for clients that accept gzip, and is the same" {
    serve
    for path in /api/styles /openapi.json; do
        get "$path" -H 'Accept-Encoding: identity'
        [ "$code" = 200 ]
        [ "$(stat -c %s answer)" -gt 1024 ]
        [ "$(header vary)" = Accept-Encoding ]
        [ -z "$(header content-encoding)" ]
        cp answer plain
        plain_tag=$(header etag)
        for takes in gzip 'gzip;q=0.1' '*' 'br;q=0.9, *;q=0.2' 'deflate, GZIP ; Q=1.0'; do
            get "$path" -H "Accept-Encoding: $takes"
            [ "$(header content-encoding)" = gzip ]
            [ "$(header vary)" = Accept-Encoding ]
            [[ $(header content-type) == application/json* ]]
            [ "$(stat -c %s answer)" = "$(header content-length)" ]
            [ "$(stat -c %s answer)" -lt "$(($(stat -c %s plain) / 2))" ]
            gzip -dc <answer | cmp - plain
            [ -z "$plain_tag" ] || [ "$(header etag)" != "$plain_tag" ]
        done
        for takes in 'gzip;q=0' 'gzip; q=0.000' 'br' 'xgzip' '*;q=0' 'gzip;q=0, *'; do
            get "$path" -H "Accept-Encoding: $takes"
            [ -z "$(header content-encoding)" ]
            cmp plain answer
        done
    done
    # other headers stay
    get /api/history -H 'Accept-Encoding: gzip'
    [ -z "$(header content-encoding)" ] # too short
    [ "$(header x-total-count)" = 0 ]
    curl -sSI -H 'Accept-Encoding: gzip' "$url/api/styles" >headers
    [ "$(header content-encoding)" = gzip ]
    [ "$(header cache-control)" = no-store ]
    [ "$(header x-content-type-options)" = nosniff ]
    # pictures never are
    upload photo.png
    get "/uploads/$content" -H 'Accept-Encoding: gzip'
    [ -z "$(header content-encoding)" ]
    cmp answer "data/uploads/$content"
}

# reader PATH RATE SECONDS: read a response at RATE bytes per second from a small buffer,
# for SECONDS, or to its end. Print the number of bytes, and how the connection ended:
# complete, open, or cut.
reader() {
    python3 - "${url##*:}" "$@" <<'END'
import re, socket, sys, time
port, path, rate, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
s.connect(("127.0.0.1", port))
s.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
head = b""
while b"\r\n\r\n" not in head:
    head += s.recv(1)
size = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
began, n, end = time.monotonic(), 0, ""
try:
    while not end:
        if rate:
            data = s.recv(min(16384, rate // 10, size - n))
            n += len(data)
            end = "complete" if n == size else "cut" if not data else ""
            time.sleep(max(0, n / rate - (time.monotonic() - began)))
        else:
            time.sleep(0.1)
        if not end and time.monotonic() - began > seconds:
            end = "open"
    if end == "open":  # what the kernel has; a reset loses it
        s.settimeout(5)
        while (data := s.recv(65536)):
            n += len(data)
            if n == size:
                end = "complete"
        if end == "open":
            end = "cut"
except ConnectionError:
    end = "cut"
print(n, end)
END
}

@test "a slow reader gets all of a large file, however long it takes" {
    needs python3
    serve --send-timeout 1
    place $a 12000000
    # sockets hold up to 4 MB: the last second of the service is long after the first
    [ "$(reader /uploads/$a 2000000 60)" = "12000000 complete" ]
}

@test "a client that stops reading is cut, and one that reads a few bytes as well" {
    needs python3
    serve --send-timeout 2
    place $a 12000000
    reader /uploads/$a 0 8 >stopped 3>&- &
    first=$!
    reader /uploads/$a 300 10 >crawls 3>&- &
    second=$!
    wait_until '[ "$(ls -l "/proc/$service/fd" | grep -c $a)" = 2 ]'
    # the service lets go of connection and file
    wait_until '! ls -l "/proc/$service/fd" | grep -q $a'
    wait $first $second
    cat stopped crawls
    grep -q cut stopped
    grep -q cut crawls
    get /health
    [ "$code" = 200 ]
}

@test "an event stream stays open longer than a response may stall" {
    serve --send-timeout 1 --max-tasks 1
    upload photo.png
    transfer '{num_steps: 1000, size: 256}'
    first=$task
    transfer
    timeout 5 curl -sSN "$url/api/progress/$task/events" >events || [ $? = 124 ]
    [ "$(grep -c '^data' events)" -ge 1 ] # it is queued: nothing happens
    ask DELETE "/api/tasks/$first"
}
