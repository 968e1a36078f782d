#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The sandbox of nst-serve against programs that have been taken over: taken_over.c makes
# them try what escapes.h lists. Each call by itself: tests/unit/test_sandbox.c.
bats_require_minimum_version 1.5.0
load helper

tools=$(dirname "$NST")/../tests/http
library=$tools/.libs/taken_over.so

needs_library() {
    [ "${SANITIZERS:-no}" = no ] || skip "a sanitizer must be the first library"
    [ -r "$library" ] || skip "tests/http/taken_over.la is not built"
}

# serve_taken_over MODE OPTION...: a service whose programs try to escape
serve_taken_over() {
    local mode=$1
    shift
    LD_PRELOAD=$library NST_TAKEN_OVER=$mode serve "$@"
}

has_landlock() {
    ! grep -q 'no Landlock' log
}

# Files and folders that a task must not use, in the variables for taken_over.c: what
# another task has left, and a secret of the operator.
others() {
    serve
    has_landlock || skip "the kernel has no Landlock"
    upload photo.png
    transfer
    until_state completed
    ask POST /api/upload-style -F "style_image=@style.png"
    [ "$code" = 200 ]
    stop_service
    echo secret-of-the-operator >token
    chmod 600 token
    NST_ESCAPE_FILES=$PWD/token:/etc/passwd:$(find "$PWD/data" -type f | tr '\n' :)
    NST_ESCAPE_FOLDERS=$(find "$PWD/data" -type d | tr '\n' :)
    export NST_ESCAPE_FILES NST_ESCAPE_FOLDERS
}

# state_of_others: print their contents, modes and times
state_of_others() {
    tr : '\n' <<<"$NST_ESCAPE_FILES" | grep -v /lock | xargs stat -c '%n %a %u %s %Y'
    tr : '\n' <<<"$NST_ESCAPE_FILES" | xargs cat | cksum
    tr : '\n' <<<"$NST_ESCAPE_FOLDERS" | xargs stat -c '%n %a %u'
    ipcs -ms
}

@test "a program that is taken over reads, changes, plants and signals nothing" {
    needs_library
    others
    vips invert photo.png fresh.png # the same bytes would not be decoded again
    state_of_others >before
    serve_taken_over try
    upload fresh.png # 415 with what has succeeded
    upload style.jpg
    get "/api/preview?content=$content&style=munch"
    [ "$code" = 200 ] # 500 with what has succeeded, in the log
    transfer
    until_task '.status | IN("completed", "failed")'
    echo "$body"
    [ "$(field status)" = completed ]
    post /api/compare "{\"task_id\": \"$task\"}"
    [ "$code" = 200 ]
    get /health
    [ "$code" = 200 ]
    [ -z "$(children)" ]
    wait_until '[ -z "$(ls data/work)" ]'
    [ -z "$(find data -name '*escape*')" ]
    run ! grep -i error log
    state_of_others | diff before -
}

@test "the attempts to escape are made in each of these programs" {
    needs_library
    serve
    upload photo.png
    stop_service
    serve_taken_over tell
    vips invert photo.png fresh.png
    ask POST /api/upload-content -F content_image=@fresh.png
    refused 415 'escaped: .*[1-9][0-9]+ attempts'
    get "/api/preview?content=$content&style=munch"
    [ "$code" = 500 ]
    grep -qE 'preview: .*escaped: .*[1-9][0-9]+ attempts' log
    transfer
    until_state failed
    field error | grep -qE 'escaped: .*[1-9][0-9]+ attempts'
    post /api/compare "{\"original\": \"$content\", \"result\": \"$content\"}"
    [ "$code" = 500 ]
    grep -qE 'escaped: .*[1-9][0-9]+ attempts' log
}

@test "without Landlock one warning says so, and all but the files is refused" {
    needs_library
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$tools/no_landlock" "$SERVE" >apart
    chmod +x apart
    SERVE=./apart serve_taken_over try
    [ "$(grep -c 'warning.*no Landlock' log)" = 1 ]
    upload photo.png
    transfer
    until_task '.status | IN("completed", "failed")'
    echo "$body"
    [ "$(field status)" = completed ]
    [ -z "$(children)" ]
}

@test "a file that is not a picture of the service is not served" {
    serve
    upload photo.png
    for name in uploads/escape.png uploads/.png thumbs/escape.jpg thumbs/escape.log \
        "thumbs/$content.html" thumbs/munch.jpg results/escape.png results/escape.html; do
        cp photo.png "data/$name"
        get "/$name"
        [ "$code" = 404 ]
    done
    get "/thumbs/$content.jpg"
    [ "$code" = 200 ]
}

@test "what a thumbnail in the making leaves in a crash is removed at the start" {
    serve
    stop_service
    local left=thumb-0123456789abcdef0123456789abcdef
    (cd data/work && mkdir $left && touch $left/thumb.jpg $left/.nst-1.tmp)
    serve
    [ -z "$(ls data/work)" ]
}
