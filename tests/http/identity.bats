#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Who sends a request: tokens with roles, signing in and out, visitors without tokens.
bats_require_minimum_version 1.5.0
load helper

ANNA=correct-horse-battery
ROOT=staple-of-the-operator

# tokens_file: a user with quotas, and an operator whose token is hashed
tokens_file() {
    cat >tokens <<END
# name  role     token
anna    user     $ANNA waiting=5 bytes=1G
root    operator sha256:$(printf %s $ROOT | sha256sum | cut -d ' ' -f 1)
END
    chmod 600 tokens
}

bearer() { # bearer TOKEN PATH [CURL OPTION...]
    get "$2" -H "Authorization: Bearer $1" "${@:3}"
}

login() { # login TOKEN [CURL OPTION...]
    post /api/login "{\"token\": \"$1\"}" "${@:2}"
}

# session: print the cookie of the file jar
session() {
    sed -n 's/.*nst_session\t//p' jar
}

# reload: send SIGHUP, and wait until the tokens are read
reload() {
    local before
    before=$(grep -c 'tokens are read again' log) || true
    kill -HUP "$service"
    wait_until "[ \"\$(grep -c 'tokens are read again' log)\" -gt $before ]"
}

@test "tokens have names, roles and quotas" {
    tokens_file
    serve --tokens tokens --quota running=2
    get /api/me
    refused 401 '/api/login'
    bearer $ANNA /api/me
    [ "$body" = '{"name":"anna","role":"user","signed_in":true,"quota":{"waiting":5,"running":2,"bytes":1073741824}}' ]
    bearer $ROOT /api/me
    [ "$body" = '{"name":"root","role":"operator","signed_in":true,"quota":{}}' ]
    bearer "sha256:$(printf %s $ROOT | sha256sum | cut -d ' ' -f 1)" /api/me
    refused 401 'wrong'
    get /
    [ "$code" = 200 ]
    [ -z "$(header set-cookie)" ] # a visitor is nobody here
    run ! grep -q chmod log
}

@test "an error in the tokens names the file, the line and the remedy" {
    tokens_file
    echo 'bob admin another-horse-battery' >>tokens
    run timeout 5 "$SERVE" --data other --listen 127.0.0.1:0 --tokens tokens
    [ "$status" = 2 ]
    [[ $output == *"tokens:4: 'admin' is no role: user or operator"* ]]
    for wrong in '--tokens none' '--tokens tokens --token-file tokens' \
        '--tokens tokens --shared' '--quota waiting=0' '--quota size=1'; do
        # shellcheck disable=SC2086 # words
        run timeout 5 "$SERVE" --data other --listen 127.0.0.1:0 $wrong
        [ "$status" = 2 ]
        [ "${#lines[@]}" -le 2 ]
    done
    tokens_file
    chmod 644 tokens
    serve --tokens tokens
    grep -q 'tokens: everybody on this machine can read it: chmod 600' log
}

@test "wrong tokens are logged with the address, which has to wait" {
    tokens_file
    serve --tokens tokens --behind-proxy
    local from='X-Forwarded-For: 192.0.2.7'
    login $ANNA -c jar -H "$from"
    login wrong-login-token -H "$from"
    refused 401 'wrong'
    # the rest by one connection, and then the right one: he could go on to guess
    curl -sS -H "$from" -H 'Authorization: Bearer wrong-token' -w '%{http_code}\n' \
        -o /dev/null "$url/api/styles?[1-12]" --next -sS -H "$from" -D headers \
        -H "Authorization: Bearer $ANNA" -w '%{http_code}\n' -o answer "$url/api/me" >codes
    [ "$(sort codes | uniq -c | xargs)" = '9 401 4 429' ]
    grep -q 'too many wrong tokens' answer
    [ "$(header retry-after)" -le 6 ]
    [ "$(grep -c 'warning: wrong token from 192\.0\.2\.7$' log)" = 10 ]
    run ! grep -q -e wrong-login -e wrong-token log
    get /api/me -b jar -H "$from" # who is signed in stays
    [ "$code" = 200 ]
    bearer $ANNA /api/me -H 'X-Forwarded-For: 192.0.2.8'
    [ "$code" = 200 ]
    bearer wrong /api/me -H 'X-Forwarded-For: 2001:db8:1:2:3::4'
    grep -q 'wrong token from 2001:db8:1:2::/64$' log
    # the filter of fail2ban finds each of them, as the journal has them
    sed -n 's/^failregex = //p' "$srcdir/scripts/deploy/fail2ban-filter.conf" |
        sed 's,<SUBNET>,[0-9a-f.:]+(/[0-9]+)?,' >filter
    [ "$(sed 's/^/host nst-serve[7]: /' log | grep -cPf filter)" = 11 ]
}

@test "signing in gives a cookie that is not the token, and signing out removes it" {
    tokens_file
    serve --tokens tokens
    login $ANNA -c jar
    [ "$code" = 200 ]
    [ "$(field name)" = anna ]
    [[ $(header set-cookie) == 'nst_session=anna.'*'; Path=/; HttpOnly; SameSite=Strict' ]]
    run ! grep -q "$ANNA" headers
    get /api/styles -b jar
    [ "$code" = 200 ]
    post /api/logout '' -b jar -c jar
    [ "$code" = 200 ]
    [ -z "$(session)" ]
    get /api/styles -b jar
    refused 401 .
    post /api/login "{\"token\": \"$ANNA\", \"remember\": true}"
    [[ $(header set-cookie) == *'; Max-Age=2592000; HttpOnly;'* ]]
    for wrong in '{}' '{"token": 1}' '{"token": "x", "remember": 1}' \
        "{\"token\": \"$ANNA\", \"name\": \"anna\"}"; do
        post /api/login "$wrong"
        refused 400 token
    done
    login $ANNA -H 'Origin: https://evil.example' # of another site
    refused 403 origin
    [ -z "$(header set-cookie)" ]
}

@test "cookies are only Secure if the proxy says that the client uses TLS" {
    tokens_file
    serve --tokens tokens --behind-proxy --prefix /nst
    login $ANNA -H 'X-Forwarded-Proto: https'
    [[ $(header set-cookie) == *'; Path=/nst/; HttpOnly; SameSite=Strict; Secure' ]]
    login $ANNA -H 'X-Forwarded-Proto: http'
    [[ $(header set-cookie) == *'; Path=/nst/; HttpOnly; SameSite=Strict' ]]
    stop_service
    serve
    get / -H 'X-Forwarded-Proto: https' # without --behind-proxy anybody can say so
    [[ $(header set-cookie) == *'; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax' ]]
}

@test "forged, expired and other services' cookies are 401" {
    tokens_file
    serve --tokens tokens
    login $ANNA -c jar
    local cookie expiry signature
    cookie=$(session)
    IFS=. read -r _ expiry signature <<<"$cookie"
    get /api/me -b "nst_session=$cookie"
    [ "$(field name)" = anna ]
    for forged in "root.$expiry.$signature" "anna.$((expiry + 1)).$signature" \
        "anna.1.$signature" "anna.$expiry.${signature//[0-9]/a}" "anna.$expiry." anna \
        "anna.$expiry" "..$signature" "" "$ANNA"; do
        get /api/me -b "nst_session=$forged"
        refused 401 'a token is needed'
    done
    get /api/me -b "nst_visitor=$cookie"
    refused 401 .
    get /api/me -b "nst_token=$ANNA"
    refused 401 .
    run ! grep -q 'wrong token' log # an old cookie is no attack
    # the key is the data folder's
    stop_service
    serve --tokens tokens
    get /api/me -b "nst_session=$cookie"
    [ "$code" = 200 ]
    [ "$(stat -c %a data/key)" = 600 ]
    stop_service
    rm data/key
    serve --tokens tokens
    get /api/me -b "nst_session=$cookie"
    refused 401 .
}

@test "SIGHUP reads the tokens again, and keeps the old ones on an error" {
    tokens_file
    serve --tokens tokens
    login $ANNA -c jar
    echo 'anna user' >tokens
    kill -HUP "$service"
    wait_until "grep -q 'tokens:1: a line is NAME ROLE TOKEN' log"
    bearer $ANNA /api/me
    [ "$code" = 200 ]
    printf 'anna operator %s\nbob user another-horse-battery\n' $ANNA >tokens
    reload
    bearer another-horse-battery /api/me
    [ "$code" = 200 ]
    get /api/me -b jar # the token is the same
    [ "$(field role)" = operator ]
    printf 'anna user new-horse-battery\n' >tokens
    reload
    bearer new-horse-battery /api/me
    [ "$code" = 200 ]
    get /api/me -b jar # its token is gone
    refused 401 .
    bearer another-horse-battery /api/me
    refused 401 .
}

@test "without tokens, a visitor has a signed cookie and a program its address" {
    serve --quota waiting=3 --behind-proxy
    get /api/me
    [ "$(field role)" = visitor ]
    local address visitor cookie
    address=$(field name)
    [[ $address =~ ^address:[0-9a-f]{16}$ ]]
    get /api/me
    [ "$(field name)" = "$address" ]
    [ "$(field quota.waiting)" = 3 ]
    get /api/me -H 'X-Forwarded-For: 192.0.2.7'
    [ "$(field name)" != "$address" ]
    get / -c jar
    get /api/me -b jar
    visitor=$(field name)
    [[ $visitor =~ ^visitor:[0-9a-f]{16}$ ]]
    get / -b jar -c jar # the same visitor again
    get /api/me -b jar
    [ "$(field name)" = "$visitor" ]
    get / -c jar2
    get /api/me -b jar2
    [ "$(field name)" != "$visitor" ]
    cookie=$(sed -n 's/.*nst_visitor\t//p' jar)
    get /api/me -b "nst_visitor=0123456789abcdef.${cookie#*.}"
    [ "$(field name)" = "$address" ]
    login $ANNA
    refused 400 'this service has none'
    stop_service
    serve --shared
    get /api/me
    [ "$(field role)" = operator ]
}

@test "what installs the page needs no token, and has its type and the page's policy" {
    mkdir -p web/assets
    echo '<!doctype html>hello' >web/index.html
    echo '{"name": "nst"}' >web/manifest.webmanifest
    echo 'self.oninstall = null' >web/sw.js
    echo 'anna user correct-horse-battery' >tokens
    serve --tokens tokens --web web
    get /api/styles
    [ "$code" = 401 ]
    get /manifest.webmanifest
    [ "$code" = 200 ]
    [ "$(header content-type)" = application/manifest+json ]
    [ "$body" = '{"name": "nst"}' ]
    get /sw.js
    [ "$code" = 200 ]
    [ "$(header content-type)" = 'text/javascript; charset=utf-8' ]
    # a worker obeys its own policy, not that of the page
    policy=$(header content-security-policy)
    [[ $policy == "default-src 'none'; script-src 'self'; "* ]]
    [[ $policy == *"; connect-src 'self'; "* ]]
    [[ $policy == *"; manifest-src 'self'; "* ]]
    rm web/sw.js
    stop_service
    serve --tokens tokens --web web
    get /sw.js
    refused 404 'not found'
}
