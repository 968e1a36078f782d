# SPDX-License-Identifier: MIT
# Links to results: who has one sees one picture, without a token, and nothing else of the
# owner, until the link ends.

bats_require_minimum_version 1.5.0
load helper

# tenants: the tokens of two users and an operator
tenants() {
    printf '%s\n' "ann user token-of-ann-0000" "ben user token-of-ben-0000" \
        "olga operator token-of-olga-000" >tokens
    chmod 600 tokens
}

# result [JSON]: make a result of photo.png; sets $task
result() {
    upload photo.png
    transfer "${1:-{\}}"
    wait_until "get '/api/progress/$task' >/dev/null; [ \"\$(field status)\" = completed ]"
}

# share: make the link of $task; sets $link to its path
share() {
    ask POST "/api/tasks/$task/share"
    [ "$code" = 200 ]
    link=$(field url)
}

# meta NAME: print the content of a meta element of the last page
meta() {
    sed -nE "s/^<meta (property|name)=\"$1\" content=\"(.*)\">$/\2/p" answer
}

# large WIDTH HEIGHT FILE: write a PNG of noise, as a painting is hard to compress
large() {
    python3 - "$@" <<'END'
import random, struct, sys, zlib
w, h, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
r = random.Random(1)
row = lambda: b"\0" + bytes(min(255, max(0, int(r.gauss(128, 40)))) for _ in range(3 * w))
few = [row() for _ in range(16)]
part = lambda t, d: struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))
with open(name, "wb") as f:
    f.write(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)) +
            part(b"tEXt", b"nst\0a secret of the owner") +
            part(b"IDAT", zlib.compress(b"".join(r.choice(few) for _ in range(h)), 1)) +
            part(b"IEND", b""))
END
}

@test "a link shows one picture without sign-in, and nothing else of its owner" {
    tenants
    serve --tokens tokens
    as ann
    result
    get "/api/tasks/$task/share"
    [ "$body" = '{"url":null}' ]
    share
    [[ $link =~ ^/share/[0-9a-f]{32}$ ]]
    get "/api/tasks/$task/share"
    [ "$(field url)" = "$link" ]
    [ "${link#/share/}" != "$task" ]

    as nobody
    get "$link"
    [ "$code" = 200 ]
    [ "$(header content-type)" = 'text/html; charset=utf-8' ]
    [ "$(meta og:title)" = 'In the style of Munch' ]
    [ "$(meta og:url)" = "$url$link" ]
    [ "$(meta og:image)" = "$url$link/picture.jpg" ]
    [ "$(meta og:image:type)" = image/jpeg ]
    [ "$(meta og:image:width)x$(meta og:image:height)" = 32x24 ]
    [ "$(meta twitter:card)" = summary_large_image ]
    [ "$(meta robots)" = 'noindex, nofollow' ]
    [ "$(header x-robots-tag)" = 'noindex, nofollow' ]
    [ "$(header cache-control)" = no-store ]
    [ "$(header x-content-type-options)" = nosniff ]
    [ "$(header referrer-policy)" = no-referrer ]
    # the policy has the hash of the one style, and allows no script
    [[ $(header content-security-policy) == "default-src 'none'; img-src 'self'; style-src 'sha256-"* ]]
    hash=$(sed -n 's/^<style>\(.*\)<\/style>$/\1/p' answer | tr -d '\n' |
        openssl dgst -sha256 -binary | base64)
    [[ $(header content-security-policy) == *"'sha256-$hash';"* ]]
    run ! grep -qiE "<script|<a |<form| on[a-z]+=|set-cookie|$task|${content%.*}|/uploads|/results|/api" \
        answer headers

    get "$link/picture.jpg"
    [ "$code" = 200 ]
    [ "$(header content-type)" = image/jpeg ]
    [ "$(header cache-control)" = 'private, no-cache' ]
    [ "$(head -c 3 answer | od -An -tx1)" = ' ff d8 ff' ]
    run ! grep -qa 'nst' answer # no record of the options
    ask HEAD "$link" -I
    [ "$code" = 200 ]
    # everything else stays closed
    for path in "/results/$task.png" "/history/$task.png" "/uploads/$content" /api/history \
        "/api/progress/$task" "/api/tasks/$task/share" "/api/tasks/$task/preview"; do
        get "$path"
        refused 401 token
    done
    ask POST "/api/tasks/$task/share"
    refused 401 token
    ask DELETE "/api/tasks/$task/share"
    refused 401 token
    ask DELETE "$link"
    refused 405 'allowed: GET'
    get "$link/"
    [ "$code" = 404 ]
}

@test "a link is made once, ends when its owner says so, and a new one is another" {
    serve
    result
    share
    first=$link
    share
    [ "$link" = "$first" ]
    # many requests at once agree on one link
    ask DELETE "/api/tasks/$task/share"
    [ "$code" = 200 ]
    for n in 1 2 3 4 5 6; do
        curl -sS -X POST -o "link$n" "$url/api/tasks/$task/share" &
        makers[n]=$!
    done
    wait "${makers[@]}"
    [ "$(cat link? | sort | uniq -c | wc -l)" = 1 ]
    share
    [ "$link" != "$first" ]
    [ "$(ls data/shares)" = "$(printf '%s\n' "${link##*/}.jpg" "${link##*/}.json" "of-$task.json" | sort)" ]
    get "$first"
    [ "$code" = 404 ]
    [ "$(header content-type)" = 'text/html; charset=utf-8' ]
    grep -q '<h1>This picture is not shared</h1>' answer
    get "$first/picture.jpg"
    refused 404 picture

    get "$link/picture.jpg"
    tag=$(header etag)
    get "$link/picture.jpg" -H "If-None-Match: $tag"
    [ "$code" = 304 ]
    ask DELETE "/api/tasks/$task/share"
    [ "$code" = 200 ]
    ask DELETE "/api/tasks/$task/share"
    refused 404 'not shared'
    get "$link/picture.jpg" -H "If-None-Match: $tag" # what a browser has is not shown on
    [ "$code" = 404 ]
    [ -z "$(ls data/shares)" ]
    grep -q "change: result shared: $task owner=" log
    grep -q "change: link removed: $task owner=" log
    run ! grep -q "${link##*/}" log # who reads the log has no links
}

@test "nobody else can make, see or end a link, and guesses find nothing" {
    tenants
    serve --tokens tokens
    as ann
    result
    share
    as ben
    for method in GET POST DELETE; do
        ask $method "/api/tasks/$task/share"
        refused 404 'not known'
    done
    as olga
    get "/api/tasks/$task/share"
    [ "$(field url)" = "$link" ]
    as nobody
    token=${link##*/}
    other=$(tr 0123456789abcdef 123456789abcdef0 <<<"$token")
    for guess in "$other" "${token:0:31}" "${token}0" "$task" "of-$task" "$token.json" \
        "of-$task.json" .. %2e%2e x; do
        get "/share/$guess" --path-as-is
        [ "$code" = 404 ]
        get "/share/$guess/picture.jpg" --path-as-is
        [ "$code" = 404 ]
    done
    get "$link"
    [ "$code" = 200 ]
}

@test "the page escapes what is in names and headers" {
    mkdir mine
    "$(dirname "$NST")/nst-style" pack style.jpg --scales 32 \
        -o 'mine/<b>&"x.nststyle'
    serve --styles mine --insecure
    result '{"style_image": "<b>&\"x"}'
    share
    get "$link" -H "Host: a'b&lt=c"
    [ "$code" = 200 ]
    [ "$(meta og:title)" = 'In the style of &lt;b&gt;&amp;&quot;x' ]
    grep -q '<h1>In the style of &lt;b&gt;&amp;&quot;x</h1>' answer
    [ "$(meta og:url)" = "http://a&apos;b&amp;lt=c$link" ]
    # several styles; that of a stranger's upload has no name
    ask POST /api/upload-style -F style_image=@style.jpg
    transfer '{"styles": [{"name": "van-gogh"}, {"name": "'"$(field filename)"'"}]}'
    wait_until "get '/api/progress/$task' >/dev/null; [ \"\$(field status)\" = completed ]"
    share
    get "$link"
    [ "$(meta og:title)" = 'In the style of Van Gogh' ]
}

@test "behind a proxy the address has its scheme, host and prefix" {
    serve --behind-proxy --prefix /art --host art.example
    result
    share
    [[ $link == /art/share/* ]]
    proxy=(-H 'Host: art.example:8443' -H 'X-Forwarded-For: 1.2.3.4')
    get "$link" "${proxy[@]}" -H 'X-Forwarded-Proto: https'
    [ "$(meta og:url)" = "https://art.example:8443$link" ]
    [ "$(meta og:image)" = "https://art.example:8443$link/picture.jpg" ]
    # the proxy may have removed the prefix; the picture's path depends on neither
    get "${link#/art}" "${proxy[@]}"
    [ "$(meta og:image)" = "http://art.example:8443$link/picture.jpg" ]
    grep -q "<img src=\"${link##*/}/picture.jpg\" width=\"32\" height=\"24\"" answer
    get "$link/picture.jpg" "${proxy[@]}"
    [ "$code" = 200 ]
    stop_service TERM
    serve # without a proxy nobody may say https
    get "${link#/art}" -H 'X-Forwarded-Proto: https'
    [ "$(meta og:url)" = "$url${link#/art}" ]
    get "${link#/art}" --http1.0 -H 'Host:' # nobody says what the name is
    [ "$(meta og:url)" = "${link#/art}" ]
}

@test "the picture is one that messengers take, and has no metadata" {
    needs python3
    serve
    result
    for sides in '2048 1365 1200x800' '900 1600 675x1200' '1200 700 1200x700' '2048 16 2048x16'; do
        read -r width height expected <<<"$sides"
        large "$width" "$height" "data/results/$task.png"
        ask DELETE "/api/tasks/$task/share"
        share
        get "$link"
        [ "$(meta og:image:width)x$(meta og:image:height)" = "$expected" ]
        get "$link/picture.jpg"
        run ! grep -qa 'secret' answer
        [ "$(stat -c %s answer)" -lt 1000000 ]
        "$NST" answer -s munch -n 1 -S 32 -o out.png --progress none --history none ||
            [ "$expected" = 2048x16 ]
    done
    echo 'no picture' >"data/results/$task.png"
    ask DELETE "/api/tasks/$task/share"
    ask POST "/api/tasks/$task/share"
    refused 503 'cannot be made'
    [ -z "$(find data/shares data/work -type f)" ]
}

@test "a link ends with its result, however that goes" {
    serve --max-history-images 3
    result
    share
    deleted=$link
    ask DELETE "/api/tasks/$task"
    [ "$code" = 200 ]
    get "$deleted"
    [ "$code" = 404 ]
    [ -z "$(ls data/shares)" ]
    result
    share
    whole=$link
    ask DELETE "/api/delete-history/$content"
    get "$whole"
    [ "$code" = 404 ]
    [ -z "$(ls data/shares)" ]
    result
    share
    oldest=$link
    for _ in 1 2 3; do result; done # more than are kept
    get "$oldest"
    [ "$code" = 404 ]
    [ -z "$(ls data/shares)" ]
    ask POST "/api/tasks/$task/share"
    [ "$code" = 200 ]
    ask POST /api/tasks/00000000000000000000000000000000/share
    refused 404 'not known'
    transfer '{"num_steps": 1000, "size": 256}'
    ask POST "/api/tasks/$task/share"
    refused 409 'no result'
    ask DELETE "/api/tasks/$task"
}

@test "a restart keeps links, and removes what a kill has left of one" {
    serve
    result
    share
    stop_service KILL || true
    touch -d '2 hours ago' data/shares/*
    old=00112233445566778899aabbccddeeff
    echo x >data/shares/$old.jpg
    printf '{"token": "%s", "task": "%s", "title": "x"}' $old "$task" >data/shares/$old.json
    new=10112233445566778899aabbccddeeff # another front end may be about to use it
    cp data/shares/$old.json data/shares/$new.json
    touch -d '2 hours ago' data/shares/$old.*
    lost=0123456789abcdef0123456789abcdef # its result is not in a backup
    cp data/shares/$old.json data/shares/of-$lost.json
    serve
    get "$link"
    [ "$code" = 200 ]
    get "/share/$old"
    [ "$code" = 404 ]
    get "/share/$new"
    [ "$code" = 404 ]
    [ "$(cd data/shares && printf '%s\n' * | sort)" = "$(printf '%s\n' "${link##*/}.jpg" "${link##*/}.json" \
        "of-$task.json" $new.json | sort)" ]
}

@test "the number of links is limited by owner, their making by rate, and 0 allows none" {
    tenants
    serve --tokens tokens --max-shares 2
    as ann
    for _ in 1 2; do
        result
        share
    done
    result
    ask POST "/api/tasks/$task/share"
    refused 507 '2 results are shared already'
    third=$task
    as ben
    result
    share
    as ann
    ask DELETE "/api/tasks/$task/share" # ben's
    refused 404 'not known'
    ask DELETE "/api/tasks/$third/share"
    refused 404 'not shared'
    get /api/history
    ask DELETE "/api/tasks/$(jq -r '[.[][].task_id] | map(select(. != "'"$third"'"))[0]' answer)/share"
    [ "$code" = 200 ]
    task=$third
    share
    stop_service TERM

    serve --tokens tokens --max-shares 0
    for method in GET POST DELETE; do
        ask $method "/api/tasks/$task/share"
        refused 403 'no links .*--max-shares'
    done
    as nobody
    get "$link"
    [ "$code" = 404 ]
    get "$link/picture.jpg"
    [ "$code" = 404 ]
    stop_service TERM

    serve --tokens tokens --rate 1
    as ann
    curl -sS -X POST -o /dev/null -w '%{http_code}\n' "${credentials[@]}" \
        "$url/api/tasks/$task/share?[1-20]" >codes
    grep -qx 200 codes
    grep -qx 429 codes
}

@test "a full disk makes no link, and says so" {
    mkdir data
    mount -t tmpfs -o size=6M none data 2>/dev/null || skip "no disk can be mounted"
    serve
    result
    head -c 20M /dev/zero >data/fill || true
    ask POST "/api/tasks/$task/share"
    rm data/fill
    refused 507 'share: the disk is full'
    [ -z "$(ls data/shares)" ]
    share
    stop_service TERM
    umount data
}

@test "front ends of one queue have the same links" {
    needs redis-server
    port=$((20000 + RANDOM % 12000))
    redis-server --port $port --bind 127.0.0.1 --save '' >redis.log 2>&1 3>&- &
    redis=$!
    queue=(--queue "redis://127.0.0.1:$port/1" --shared)
    wait_until "redis-cli -p $port ping 2>/dev/null | grep -q PONG"
    "$SERVE" --worker --data data "${queue[@]:0:2}" 2>worker.log 3>&- &
    worker=$!
    serve "${queue[@]}"
    other=$service
    result
    share
    serve "${queue[@]}" # a second one
    get "$link"
    [ "$code" = 200 ]
    first=$link
    share
    [ "$link" = "$first" ]
    ask DELETE "/api/tasks/$task"
    [ "$code" = 200 ]
    wait_until '[ -z "$(ls data/shares)" ]'
    get "$link"
    [ "$code" = 404 ]
    kill "$worker" "$other"
    wait "$worker" "$other" || true
    stop_service TERM
    kill "$redis"
}
