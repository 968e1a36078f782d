#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Networks that paint in one pass, beside packs and pictures: listed, run, previewed.
bats_require_minimum_version 1.5.0
load helper

# serve_nets OPTION...: start a service that offers the network waves.
serve_nets() {
    needs python3
    mkdir -p mine
    python3 -B "${srcdir:?}/tests/cli/net.py" write nstnet 4 1 mine/waves.nstnet \
        artist=Ada title=Waves year=1830
    serve --styles mine "$@"
}

# sides FILE: WxH of a JPEG or PNG
sides() {
    echo "$(vipsheader -f width "$1")x$(vipsheader -f height "$1")"
}

@test "a network is listed beside packs, with its texts" {
    serve_nets --shared
    get /api/styles
    [ "$(jq -c '.[] | select(.name == "waves") | [.kind, .artist, .title, .year, .url, .removable]' \
        <<<"$body")" = '["network","Ada","Waves","1830",null,false]' ]
    jq -e '[.[].kind] | contains(["pack", "network"])' <<<"$body"
    # the bundled ones, too
    [ "$(jq -c '.[] | select(.name == "fast-hokusai") | [.kind, .artist]' <<<"$body")" \
        = '["network","Katsushika Hokusai"]' ]
}

@test "a task is painted by a network, whatever settings of an optimisation it has" {
    needs vipsheader
    serve_nets --shared --model vgg19-lite
    upload photo.png
    transfer '{style_image: "waves", num_steps: 50, style_weight: 9000, size: 48,
        content_weight: 2, scales: "auto", seed: 3, preset: "gatys", init_image: "noise"}'
    until_state completed
    [ "$(field percent)" = 100 ]
    get "/results/$task.png"
    [ "$code" = 200 ]
    [ "$(sides answer)" = 48x36 ]
    "$NST" -q -s mine/waves.nstnet -S 48 --metadata none photo.png -o own.png
    vips rawsave answer answer.raw
    vips rawsave own.png own.raw
    cmp answer.raw own.raw
    # without a size it is that of other styles, not the photograph's
    post /api/style-transfer "$(jq -n --arg c "$content" '{content_image: $c, style_image: "waves"}')"
    [ "$code" = 200 ]
    task=$(field task_id)
    until_state completed
    get "/results/$task.png"
    [ "$(sides answer)" = 512x384 ]
}

@test "a film is painted by a network" {
    needs vipsheader
    gif 3 >film.gif
    serve_nets --shared
    upload film.gif
    transfer '{style_image: "waves", frames: "all"}'
    until_state completed
    get "/results/$task.webp"
    [ "$(vipsheader -f n-pages answer)" = 3 ]
}

@test "a network is not mixed with other styles, and has no colours to match" {
    serve_nets --shared
    upload photo.png
    post /api/style-transfer "$(jq -n --arg c "$content" \
        '{content_image: $c, styles: [{name: "munch"}, {name: "waves"}], size: 32}')"
    refused 400 "styles: 'waves' is a network, which cannot be mixed"
    post /api/style-transfer "$(jq -n --arg c "$content" \
        '{content_image: $c, style_image: "waves", size: 32, colour: "match"}')"
    refused 400 "colour: match needs style pictures, but 'waves' is a network"
    get "/api/preview?content=$content&style=munch,waves"
    refused 400 'style: a network cannot be mixed'
}

@test "a preview is made by a network" {
    needs vipsheader
    serve_nets --shared --model vgg19-lite
    upload photo.png
    get "/api/preview?content=$content&style=waves&size=64"
    [ "$code" = 200 ]
    [ "$(header content-type)" = image/jpeg ]
    [ "$(sides answer)" = 64x48 ]
}

@test "a task of a network has an owner, quotas and metrics; one pass counts as one step" {
    printf '%s\n' "ann user token-of-ann-0000 work-per-day=$((48 * 48 * 2))" \
        "ben user token-of-ben-0000" "olga operator token-of-olga-000" >tokens
    serve_nets --tokens tokens --access-log access
    as ann
    upload photo.png
    transfer '{style_image: "waves", size: 48, num_steps: 500}'
    wait_until 'get "/api/progress/$task" >/dev/null; [ "$(field status)" = completed ]'
    [ "$(field owner)" = ann ]
    gif 2 >film.gif
    upload film.gif # a frame is one step, too
    post /api/style-transfer "$(jq -n --arg c "$content" \
        '{content_image: $c, style_image: "waves", size: 48, frames: "all"}')"
    refused 429 "work: this task needs 4608 .* ann has used 2304 of 4608 today"
    as ben
    get "/api/progress/$task"
    refused 404 'is not known'
    get /api/history
    [ "$body" = '{}' ]
    ask DELETE "/api/tasks/$task"
    refused 404 'is not known'
    as olga
    get /metrics
    grep -q '^nst_tasks_ended_total{state="completed"} 1$' answer
    grep -q '^nst_task_run_seconds_count 1$' answer
    grep -q "task created: $task owner=ann" log
    grep -q ' ann .*POST /api/style-transfer' access
}
