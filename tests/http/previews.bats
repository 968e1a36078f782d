#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# GET /api/preview: an upload in a style, small and at once, for who chooses a style; and
# the preview of a task, from its first scale on.
bats_require_minimum_version 1.5.0
load helper

# preview STYLE [CURL OPTION...]: ask for $content in a style
preview() {
    local style=$1
    shift
    get "/api/preview?content=$content&style=$style" "$@" >said
    cut -c 1-200 said
}

# sides FILE: print WIDTHxHEIGHT of a JPEG, from its frame header
sides() {
    od -An -v -tx1 "$1" | tr -d ' \n' | grep -oE 'ffc[02]0011080[0-9a-f]{7}' | head -n 1 |
        sed 's/^ffc[02]001108\(....\)\(....\)$/\2 \1/' |
        { read -r w h && echo "$((16#$w))x$((16#$h))"; }
}

# preview_aside STYLE [CURL OPTION...]: ask in the background; a line in asked is the status
preview_aside() {
    local style=$1
    shift
    curl -sS -o /dev/null -w '%{http_code}\n' "$@" \
        "$url/api/preview?content=$content&style=$style" >>asked 2>/dev/null 3>&- &
    client=$!
}

# stopped_preview [CURL OPTION...]: ask for one preview, and stop the program that makes it;
# sets $child and $client
stopped_preview() {
    local styles=(van-gogh hokusai klimt marc munch monet seurat) i=0
    preview_aside van-gogh "$@"
    until child=$(pgrep -P "$service" -x nst) && kill -STOP "$child" &&
        [[ $(ps -o stat= -p "$child") == T* ]]; do
        [ ! -s asked ] || { # it ended too early: ask for another one
            rm asked
            i=$((i + 1))
            preview_aside "${styles[i]}" "$@"
        }
        sleep 0.005
    done
}

@test "a preview is the upload in a style, small, and is kept" {
    serve --shared
    upload photo.png
    preview van-gogh
    [ "$code" = 200 ]
    [ "$(header content-type)" = image/jpeg ]
    [[ $(header cache-control) == private,* ]]
    [ "$(sides answer)" = 128x96 ]
    cp answer first
    local etag made
    etag=$(header etag)
    made=$(stat -c %Y%i data/previews/*)
    preview munch
    [ "$code" = 200 ]
    run ! cmp -s answer first
    preview van-gogh
    cmp answer first
    [ "$(header etag)" = "$etag" ]
    [ "$(stat -c %Y%i "data/previews/$(ls -t data/previews | tail -n 1)")" = "$made" ]
    preview van-gogh -H "If-None-Match: $etag"
    [ "$code" = 304 ]
    get "/api/preview?content=$content&style=van-gogh&size=64"
    [ "$(sides answer)" = 64x48 ]
    [ "$(ls data/previews | wc -l)" = 3 ]
    [ -z "$(ls data/work)" ]
}

@test "previews are of packs, of a visitor's own styles, and of mixes" {
    serve --shared
    upload photo.png
    ask POST /api/upload-style -F style_image=@style.png
    local own
    own=$(field filename)
    preview "$own"
    [ "$code" = 200 ]
    cp answer own
    preview "$own:1,munch:3"
    [ "$code" = 200 ]
    run ! cmp -s answer own
    cp answer mixed
    preview "$own:1,munch:9"
    [ "$code" = 200 ]
    run ! cmp -s answer mixed
}

@test "a wrong request is told what is wrong" {
    serve --shared
    upload photo.png
    get '/api/preview?style=munch'
    refused 400 'content: missing: must be the name of an upload'
    get "/api/preview?content=$content"
    refused 400 'style: must be 1 to 16 names'
    preview none
    refused 404 "style: 'none' is not known"
    preview 'munch:0'
    refused 400 "style: the weight '0' is not a number from 1e-06 to 1e\+06"
    preview 'munch:1x'
    refused 400 "style: the weight '1x' is not a number"
    preview "munch$(printf ',munch%.0s' {1..16})"
    refused 400 'style: must be 1 to 16 names'
    get '/api/preview?content=../photo.png&style=munch'
    refused 404 "content: '../photo.png' is not known"
    get "/api/preview?content=$content&style=munch&size=257"
    refused 400 "size: '257' is not a whole number from 64 to 256"
    picture wide.ppm 400 20 3
    "$NST" wide.ppm -s style.ppm -o wide.png -n 1 -S 400 --progress none --history none
    upload wide.png
    preview munch
    refused 400 'content: is too narrow for a preview'
    [ -z "$(ls data/previews data/work | grep -v :)" ]
}

@test "nobody sees previews of what belongs to another" {
    printf '%s\n' 'ann user token-of-ann-0000' 'ben user token-of-ben-0000' >tokens
    chmod 600 tokens
    serve --tokens tokens
    local ann=(-H 'Authorization: Bearer token-of-ann-0000')
    local ben=(-H 'Authorization: Bearer token-of-ben-0000') own
    ask POST /api/upload-content -F content_image=@photo.png "${ann[@]}"
    content=$(field filename)
    ask POST /api/upload-style -F style_image=@style.png "${ben[@]}"
    own=$(field filename)
    preview munch
    refused 401 .
    preview munch "${ann[@]}"
    [ "$code" = 200 ]
    preview munch "${ben[@]}"
    refused 404 "content: '$content' is not known"
    preview "$own" "${ann[@]}"
    refused 404 "style: '$own' is not known"
}

@test "a preview comes after tasks, and ends when its client is gone" {
    serve --shared
    upload photo.png
    stopped_preview
    [ "$(ps -o ni= -p "$child")" -gt 5 ]
    kill "$client"
    WAIT_SECONDS=30 wait_until '[ -z "$(children)" ]' # a time limit would be later
    wait_until '[ -z "$(ls data/work)" ]'
    local kept
    kept=$(ls data/previews | wc -l)
    preview munch # the next one is made at once
    [ "$code" = 200 ]
    [ "$(ls data/previews | wc -l)" = $((kept + 1)) ]
}

@test "one preview is made at a time, eight of a client wait, the next is 429" {
    serve --shared
    upload photo.png
    stopped_preview
    local styles=(boccioni dalziel delaunay gauguin haeckel hokusai-fuji kandinsky signac
        vermeer) style
    for style in "${styles[@]}"; do
        preview_aside "$style"
    done
    wait_until '[ -s asked ]'
    [ "$(cat asked)" = 429 ]
    [ "$(children | wc -w)" = 1 ]
    preview monet -m 20
    refused 429 '8 requests of yours wait already'
    [ "$(header retry-after)" -gt 0 ]
    ask POST /api/upload-content -F content_image=@photo.png -m 20 # is not delayed
    [ "$code" = 200 ]
    kill -CONT "$child"
    wait_until '[ "$(grep -c 200 asked)" = 9 ]'
}

@test "previews of many clients wait, and then are 503" {
    serve --shared --behind-proxy
    upload photo.png
    stopped_preview -H 'X-Forwarded-For: 1.1.1.0'
    local i
    for i in 1 2 3 4 5 6 7 8; do
        preview_aside "monet,munch:$i" -H "X-Forwarded-For: 1.1.1.$i"
    done
    wait_until 'preview hokusai-fuji -H "X-Forwarded-For: 1.1.1.9" -m 1 && [ "$code" = 503 ]'
    refused 503 'too many such requests are waiting'
    [ "$(header retry-after)" -gt 0 ]
    stop_service
    wait_until '[ "$(wc -l <asked)" = 9 ]'
    [ "$(grep -c 503 asked)" = 9 ]
}

@test "--rate holds for previews that are made, not for those that are kept" {
    serve --shared
    upload photo.png
    preview munch
    stop_service
    serve --shared --rate 1
    wait_until 'ask DELETE /api/styles/none >/dev/null; [ "$code" = 429 ] &&
        preview hokusai >/dev/null && [ "$code" = 429 ]'
    refused 429 'more than 1 requests a second'
    [ "$(header retry-after)" = 1 ]
    local i
    for i in 1 2 3 4 5; do
        preview munch
        [ "$code" = 200 ]
    done
}

@test "a preview goes with its upload, and is made anew when its style is" {
    mkdir styles
    cp style.png styles/own.png
    serve --shared --styles styles
    upload photo.png
    preview own.png
    [ "$code" = 200 ]
    cp answer before
    sleep 1.1 # times of files have seconds
    cp photo.png styles/own.png
    stop_service
    serve --shared --styles styles # makes the thumbnail
    preview own.png
    [ "$code" = 200 ]
    run ! cmp -s answer before
    [ "$(ls data/previews | wc -l)" = 1 ]
    stop_service
    rm "data/uploads/$content"
    serve --shared --styles styles
    [ -z "$(ls data/previews)" ]
    preview own.png
    refused 404 'content: .* is not known'
}

@test "each preview of a task is told, from the first scale on" {
    serve --shared
    upload photo.png
    transfer '{num_steps: 400, size: 128}'
    curl -sSN --max-time 100 "$url/api/progress/$task/events" >events 3>&- &
    until_task '.preview_step > 0'
    [ "$(field progress)" -lt 250 ] # the first scale has half of the steps
    get "/api/tasks/$task/preview"
    [ "$code" = 200 ]
    [ "$(sides answer)" = 128x96 ]
    until_state completed
    [ "$(field preview_step)" = null ]
    wait $!
    # every 20 steps, and at the end of a scale: each is a new number
    sed -n 's/^data: //p' events | jq -r '.preview_step // empty' | uniq >steps
    [ "$(wc -l <steps)" -ge 5 ]
    sort -nu steps | cmp - steps
    [ "$(head -n 1 steps)" -le 100 ]
}
