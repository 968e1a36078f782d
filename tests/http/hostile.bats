#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Malicious and broken clients: they get an error, and the service keeps running.
bats_require_minimum_version 1.5.0
load helper

port() {
    echo "${url##*:}"
}

# still_well: the service responds and has no partial files
still_well() {
    kill -0 "$service"
    get /health
    [ "$code" = 200 ]
    [ -z "$(ls data/uploads | grep part)" ]
    [ -z "$(grep Sanitizer log)" ]
}

# put FILE [CURL OPTION...]: upload it as a picture
put() {
    ask POST /api/upload-content -F "content_image=@$1" "${@:2}"
}

@test "files that are not pictures are 415" {
    serve
    printf 'GIF89a/*<svg onload=alert(1)>*/=1;' >c.gif
    printf '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>' >e.svg
    printf '%%PDF-1.4\n' >f.pdf
    printf '#!/bin/sh\n' >g.png
    printf '\x89PNG\r\n\x1a\n' >h.png
    head -c 100 photo.png >i.png
    { head -c 60 photo.png; head -c 2000 /dev/urandom; } >j.png
    { printf 'RIFF\x24\0\0\0WEBPVP8 '; head -c 30 /dev/urandom; } >k.webp
    for f in c.gif e.svg f.pdf g.png h.png i.png j.png k.webp photo.ppm; do
        put $f
        refused 415 'content_image: '
        [[ $body != *$PWD* ]]
    done
    still_well
}

@test "a picture that is another format as well is served as a picture only" {
    serve
    { cat style.jpg; printf '<html><script>alert(1)</script>'; } >a.jpg
    { printf '\xff\xd8\xff\xfe\x00\x30<html><script>alert(1)</script>               '
      tail -c +3 style.jpg; } >b.jpg
    { cat photo.png; printf 'PK\5\6'; head -c 18 /dev/zero; } >c.png # an empty ZIP
    for f in a.jpg b.jpg c.png; do
        put $f
        [ "$code" = 200 ]
        get "$(field url)"
        [ "$code" = 200 ]
        [[ $(header content-type) == image/* ]]
        [ "$(header x-content-type-options)" = nosniff ]
        [[ $(header content-security-policy) == *"default-src 'none'"* ]]
    done
    still_well
}

# chunk TYPE HEX: print a chunk of a PNG
chunk() {
    printf '%08x' $((${#2} / 2)) | xxd -r -p
    { printf %s "$1"; printf %s "$2" | xxd -r -p; } >part
    cat part
    gzip -c part | tail -c 8 | head -c 4 | xxd -p | sed 's/\(..\)\(..\)\(..\)\(..\)/\4\3\2\1/' | xxd -r -p
}

@test "a decompression bomb is rejected before it is decoded" {
    needs xxd
    serve --max-pixels 1000000
    { printf '\x89PNG\r\n\x1a\n'
      chunk IHDR 0000ffff0000ffff0802000000
      chunk IDAT 789c030000000001
      chunk IEND ''
    } >bomb.png
    begin=$(date +%s%N)
    put bomb.png
    refused 415 'pixels'
    [ $((($(date +%s%N) - begin) / 1000000)) -lt 3000 ]
    still_well
}

@test "links, folders, traversal and NULs in names are 404 or 400" {
    serve
    upload photo.png
    ln -s /etc/passwd data/results/0123456789abcdef0123456789abcdef.png
    mkdir data/results/0123456789abcdef0123456789abcde0.png
    mkfifo data/results/0123456789abcdef0123456789abcde1.png
    for f in 0123456789abcdef0123456789abcdef.png 0123456789abcdef0123456789abcde0.png \
        0123456789abcdef0123456789abcde1.png ../lock ..%2flock %2e%2e%2flock .. . .hidden \
        "$content/" "$content%2f..%2f$content" "%2e"; do
        ask GET "/results/$f" --path-as-is -m 5
        refused 404 .
    done
    for f in "$content%00" "$content%00.html" "%00"; do
        get "/uploads/$f"
        refused 400 NUL
    done
    get "/uploads/$content?x=%00"
    [ "$code" = 200 ]
    get "/uploads/$(printf 'a%.0s' $(seq 5000))"
    [ "$code" = 404 ]
    get "/uploads/$(printf 'a%.0s' $(seq 60000))"
    [ "$code" = 414 ] || [ "$code" = 431 ] || [ "$code" = 404 ]
    still_well
}

# say BYTES: send them to the service at once and print its response
say() {
    printf '%b' "$1" >saying
    timeout 10 bash -c "exec 9<>/dev/tcp/127.0.0.1/$(port); cat saying >&9; cat <&9" 2>/dev/null || true
}

# parsed: parse the response in the file said for refused and header
parsed() {
    sed '/^\r$/,$d' said >headers
    body=$(sed '1,/^\r$/d' said | tr -d '\0')
    code=$(sed -n '1s/^HTTP\/1.1 \([0-9]*\).*/\1/p' said)
    echo "$code $body"
}

@test "an ambiguous or too large head is answered in JSON with the common headers" {
    serve
    local host='Host: localhost\r\n' json='Content-Type: application/json\r\n' long
    long=$(printf 'a%.0s' $(seq 20000))
    while IFS='|' read -r status pattern request; do
        request=${request//LONG/$long}
        request=${request//HOST/$host}
        say "${request//JSON/$json}" >said
        parsed
        refused "$status" "$pattern"
        [ "$(header x-content-type-options)" = nosniff ]
        [ "$(header cross-origin-resource-policy)" = same-origin ]
        [ "$(header content-security-policy)" = "default-src 'none'; frame-ancestors 'none'" ]
        [ "$(header connection | tr C c)" = close ]
        [ "$(header content-length)" = "${#body}" ]
    done <<'END'
400|blank|GET /health HTTP/1.1\r\nHOSTX : y\r\n\r\n
400|host|GET /health HTTP/1.1\r\n\r\n
400|host|GET /health HTTP/1.1\r\nHOSTHOST\r\n
414|path|GET /LONG HTTP/1.1\r\nHOST\r\n
431|headers|GET /health HTTP/1.1\r\nHOSTX: LONG\r\n\r\n
400|length.*twice|POST /api/compare HTTP/1.1\r\nHOSTJSONContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}
400|length.*twice|POST /api/compare HTTP/1.1\r\nHOSTJSONContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n
501|chunked|POST /api/compare HTTP/1.1\r\nHOSTJSONTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n
END
    get /metrics
    [ "$(sed -n 's/^nst_http_requests_total{code="5xx"} //p' <<<"$body")" = 1 ]
    still_well
}

@test "data after malformed HTTP is not parsed as a request" {
    serve
    local next='DELETE /api/tasks/x HTTP/1.1\r\nHost: localhost\r\n\r\n'
    say "nonsense\r\n\r\n$next" >said
    [ ! -s said ] # the connection is closed
    { printf 'nonsense\r\n\r\n'; sleep 0.5; printf '%b' "$next"; } |
        timeout 10 busybox nc 127.0.0.1 "$(port)" >said || true
    [ ! -s said ] # the connection is closed
    get /metrics # the DELETE would be a 404
    grep -qx 'nst_http_requests_total{code="4xx"} 0' <<<"$body"
    still_well
}

# See docs/SERVE.md.
@test "libmicrohttpd rejects malformed requests and chunks with these codes" {
    serve
    local head='GET /health HTTP/1.1\r\nHost: localhost\r\n' long
    local chunks='POST /api/compare HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
    chunks+='Transfer-Encoding: chunked\r\n\r\n'
    long=$(printf '1%.0s' $(seq 40000))
    while read -r status request; do
        request=${request//HEAD/$head}
        request=${request//LONG/$long}
        say "${request//CHUNKS/$chunks}" >said
        [ "$(grep -ao 'HTTP/1.1 [45]..' said | head -n 1)" = "HTTP/1.1 $status" ] || {
            head -c 1000 said
            return 1
        }
    done <<'END'
400 GET /\r\n\r\n
400 GET / FTP/1.1\r\nHost: localhost\r\n\r\n
505 GET / HTTP/9.9\r\nHost: localhost\r\n\r\n
400 HEADbad\r\n\r\n
400 POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2x\r\n\r\n{}
413 POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n{}
400 HEAD\r\nHEADbad\r\n\r\n
505 HEAD\r\nGET / HTTP/9.9\r\n\r\n
431 HEAD\r\nHEADX: LONG\r\n\r\n
414 HEAD\r\nGET /LONG HTTP/1.1\r\n\r\n
400 HEAD\r\nPOST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n
400 CHUNKSzz\r\n{}\r\n0\r\n\r\n
400 CHUNKS2\r\n{}0\r\n\r\n
413 CHUNKS1ffffffffffffffff\r\n{}\r\n0\r\n\r\n
500 CHUNKS2;LONG\r\n{}\r\n0\r\n\r\n
400 CHUNKS2\r\n{}\r\n0\r\nbad\r\n\r\n
431 CHUNKS2\r\n{}\r\n0\r\nX: LONG\r\n\r\n
END
    still_well
}

@test "300 malformed requests get the right codes, and the service keeps running" {
    serve
    seed=${NST_TEST_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
    echo "seed $seed"
    /usr/bin/python3 "$srcdir/tests/http/malformed.py" "$(port)" "$seed" 300
    still_well
}

@test "slow clients are disconnected, and other clients are served meanwhile" {
    serve
    for _ in $(seq 40); do
        { printf 'GET / HTTP/1.1\r\nHost: localhost\r\n'
          while sleep 1; do printf 'X: y\r\n' || break; done
        } | busybox nc 127.0.0.1 "$(port)" >/dev/null 2>&1 3>&- &
    done
    sleep 1
    [ "$(ls "/proc/$service/fd" | wc -l)" -gt 40 ]
    get /health -m 2
    [ "$code" = 200 ]
    for _ in $(seq 28); do
        sleep 1
        [ "$(ls "/proc/$service/fd" | wc -l)" -ge 40 ] || break
    done
    [ "$(ls "/proc/$service/fd" | wc -l)" -lt 40 ]
    still_well
}

@test "a chunked body of 200 MB is 413, uses no memory and leaves no files" {
    serve
    before=$(awk '/VmRSS/ {print $2}' "/proc/$service/status")
    code=$(head -c 200000000 /dev/zero | curl -sS -o answer -w '%{http_code}' -T - \
        -X POST -H 'Content-Type: multipart/form-data; boundary=bound' -H 'Expect:' \
        "$url/api/upload-content")
    [ "$code" = 413 ]
    code=$(head -c 100000000 /dev/zero | curl -sS -o answer -w '%{http_code}' -T - \
        -X POST -H 'Content-Type: application/json' -H 'Expect:' "$url/api/style-transfer")
    [ "$code" = 413 ]
    after=$(awk '/VmRSS/ {print $2}' "/proc/$service/status")
    echo "$before kB, then $after kB"
    [ "${SANITIZERS:-no}" != no ] || [ $((after - before)) -lt 20000 ]
    still_well
}

@test "an aborted upload leaves no files" {
    serve
    head -c 3000000 /dev/urandom >large
    for i in 1 2 3 4 5 6 7 8; do
        curl -s --limit-rate 1M -m 0.$i -F content_image=@large "$url/api/upload-content" || true
    done
    wait_until '[ -z "$(ls data/uploads)" ]'
    still_well
}

@test "a full disk is 507, and the service recovers when there is space" {
    [ "$(id -u)" = 0 ] || skip "only root can mount a small disk"
    mkdir data
    mount -t tmpfs -o size=2M none data 2>/dev/null || skip "no disk can be mounted"
    serve
    upload photo.png
    head -c 1900000 /dev/zero >data/filler
    for i in $(seq 40); do
        { cat photo.png; echo "$i"; } >another.png # the same bytes take no more space
        put another.png
        [ "$code" = 200 ] || break
    done
    refused 507 .
    get /health
    [ "$code" = 503 ]
    [ "$(field status)" = error ]
    # an upload that does not fit is rejected before its body is sent
    head -c 1500000 /dev/zero >zeros
    put zeros -H 'Expect: 100-continue'
    refused 507 'content_image: cannot be kept: No space'
    [ -z "$(grep '100 Continue' headers)" ]
    # uploads leave a reserve for tasks, which other files can use up
    head -c 9000000 /dev/zero >data/more 2>/dev/null || true
    post /api/style-transfer "{\"content_image\": \"$content\", \"style_image\": \"munch\", \"num_steps\": 1}"
    refused 507 'cannot be stored: the disk is full'
    get /api/tasks
    [ "$body" = '[]' ]
    rm data/more
    rm data/filler
    put photo.png
    [ "$code" = 200 ]
    transfer
    until_state completed
    stop_service
    umount data
}
