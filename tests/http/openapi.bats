#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The OpenAPI description, and whether the service conforms to it.
bats_require_minimum_version 1.5.0
load helper

@test "every path, field and status conforms to the description" {
    needs python3
    /usr/bin/python3 -c 'import jsonschema' || skip "python3-jsonschema is not installed"
    mkdir mine # for a pack that has a preview in any case
    "$(dirname "$NST")/nst-style" pack style.jpg --scales 32 --style-layers relu1_1 --artist A \
        --title B --year 1830 --preview photo.png -o mine/full.nststyle
    gif 4 >film.gif
    echo 'anna user correct-horse-battery' >tokens
    serve --max-queue 1000 --styles mine --tokens tokens --quota waiting=1000 \
        --quota running=100 --quota bytes=1T --quota work-per-day=1T
    /usr/bin/python3 "$srcdir/tests/http/openapi.py" "$url" photo.png style.jpg \
        correct-horse-battery
}

@test "requests made from the description get described answers, and no unexpected 5xx" {
    local count=400
    [ "${NST_TEST_ALL:-}" != 1 ] || count=10000
    seed=${NST_TEST_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
    echo "seed $seed"
    gif 3 >film.gif
    serve --max-size 64 --max-queue 20 --max-film-size 64
    /usr/bin/python3 "$srcdir/tests/http/schema.py" "$url" "$seed" "$count" photo.png style.jpg \
        film.gif
    get /health
    [ "$code" = 200 ]
    run ! grep -E "internal|Sanitizer" log
}

@test "the description has exactly the routes of the service" {
    serve
    get /openapi.json
    jq -r '.paths | to_entries[] | .key as $p | .value | keys[] |
        ascii_upcase + " " + ($p | gsub("{[a-z_]+}"; "*"))' <<<"$body" | sort >described
    sed -n 's/^    {\(GET\|POST\|PATCH\|DELETE\), "\([^"]*\)".*/\1 \2/p' \
        "$srcdir/src/serve/routes.c" | sort >there
    [ "$(wc -l <there)" -gt 20 ]
    diff described there
}

@test "the description is OpenAPI 3.1" {
    needs npm
    serve
    get /openapi.json
    cp "$srcdir"/tests/http/package*.json "$srcdir/tests/http/validate.mjs" .
    npm ci --silent --no-audit --no-fund >npm.log 2>&1 || skip "npm cannot get its packages"
    node validate.mjs answer
    # the validator does find errors
    jq 'del(.info.title)' answer >broken.json
    run ! node validate.mjs broken.json
}
