#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Films: an animated picture is painted frame by frame and gives an animated WebP.
bats_require_minimum_version 1.5.0
load helper

# frames_of FILE: print its number of frames
frames_of() {
    vipsheader -f n-pages "$1" 2>/dev/null || echo 1
}

# film [JSON]: queue a task for all frames
film() {
    transfer '{frames: "all"} + '"${1:-{\}}"
}

# refuses JSON PATTERN: a task for $content with these members is a bad request
refuses() {
    post /api/style-transfer "$(jq -n --arg c "$content" \
        '{content_image: $c, style_image: "munch", num_steps: 3, size: 32} + '"$1")"
    refused 400 "$2"
}

@test "an animation is painted frame by frame, and keeps its timing" {
    needs vipsheader
    gif 4 >film.gif
    serve
    upload film.gif
    film '{num_steps: 600}'
    until_task '.frame >= 2' # it counts frames
    [ "$(field frames)" = 4 ]
    until_state completed
    [ "$(field frame)" = null ]
    [ "$(field frames)" = 4 ]
    [ "$(field percent)" = 100 ]
    [ "$(field output_img)" = "/history/$task.webp" ]
    [ "$(field output_url)" = "/results/$task.webp" ]
    get "/history/$task.webp"
    [ "$(header content-type)" = image/webp ]
    cp answer film.webp
    [ "$(frames_of film.webp)" = 4 ]
    [ "$(vipsheader -f delay film.webp)" = "$(vipsheader -f delay film.gif)" ]
    [ "$(vipsheader -f loop film.webp)" = "$(vipsheader -f loop film.gif)" ]
    for i in 0 1 2 3; do
        vips copy "film.webp[page=$i]" "$i.png"
        sha256sum <"$i.png"
    done | sort -u | wc -l | grep -qx 4 # no frame is the same as another
    get "/thumbs/$task.webp.jpg"
    [ "$(header content-type)" = image/jpeg ]
    get "/api/tasks/$task/preview"
    [ "$(header content-type)" = image/webp ]
    get /api/history
    [ "$(jq '.[][0].frames' <<<"$body")" = 4 ]
    [ "$(jq -r '.[][0].request.frames' <<<"$body")" = all ]
    post /api/compare "{\"task_id\": \"$task\"}" # of the first frames
    [ "$code" = 200 ]
    ask DELETE "/api/tasks/$task"
    [ "$code" = 200 ]
    [ -z "$(ls data/results data/quality | grep "$task")" ]
}

# pan: make pan.webp, 4 frames of 96x64 of a pattern that moves 3 pixels to the left
pan() {
    awk 'BEGIN {
        print "P2\n96 256\n255"
        for (y = 0; y < 256; y++)
            for (x = 0; x < 96; x++) {
                w = x + 3 * int(y / 64)
                z = y % 64
                v = 64 + 20 * sin(w / 3.1 + z / 7.3) + 16 * cos(z / 2.7 - w / 11.3)
                print int(v + 20 * sin(w * w / 900 + z * z / 700))
            }
    }' >pan.pgm
    vips copy pan.pgm 'pan.webp[lossless,page-height=64]'
}

# motion_error FILE.webp: write its green channel to FILE.raw, and print the mean change of
# that along the motion of pan()
motion_error() {
    vips extract_band "$1[n=-1]" green.v 1
    vips rawsave green.v "${1%.webp}.raw"
    od -An -v -tu1 -w1 "${1%.webp}.raw" | awk '{
        v[NR - 1] = $1
    } END {
        for (i = 96 * 64; i < NR; i++)
            if (i % 96 < 93) {
                d = v[i] - v[i - 96 * 64 + 3]
                sum += d < 0 ? -d : d
                n++
            }
        print sum / n
    }'
}

@test "what moves in a film is held together along its optical flow" {
    needs vips
    pan
    serve
    upload pan.webp
    film '{num_steps: 20, size: 96}'
    until_state completed
    get "/results/$task.webp"
    cp answer served.webp
    for flow in auto none; do
        "$NST" -q --config none --history none -S 96 -n 20 -s munch --flow $flow \
            pan.webp -o $flow.webp
    done
    for film in served auto none; do
        motion_error $film.webp
    done | tr '\n' ' ' >figures
    cat figures
    cmp served.raw auto.raw # the defaults of nst: its flow, and its temporal loss
    awk '{ exit !($1 < 0.5 * $3) }' figures
}

@test "without being asked for, only the first frame is painted; a still stays a PNG" {
    gif 3 >film.gif
    serve
    upload film.gif
    for members in '{}' '{frames: "first"}' '{frames: null}'; do
        transfer "$members"
        until_state completed
        [ "$(field output_url)" = "/results/$task.png" ]
        [ "$(field frames)" = null ]
    done
    upload photo.png
    film
    until_state completed
    [ "$(field output_url)" = "/results/$task.png" ]
    [ "$(field request.frames)" = null ]
    refuses '{frames: "some"}' '^frames: .*all or first'
    refuses '{frames: 3}' '^frames: .*all or first'
}

@test "a film has limits, each with a remedy" {
    gif 4 >film.gif
    serve --max-frames 3
    upload film.gif
    refuses '{frames: "all"}' '^frames: .* has 4, more than the 3 .*shorten it, or ask for the "first"'
    transfer '{frames: "first"}'
    stop_service TERM
    serve --max-film-size 40
    refuses '{frames: "all", size: 41}' '^size: 41 is more than 40.*"first"'
    transfer '{frames: "first", size: 41}'
    film '{size: 40}'
    stop_service TERM
    serve --max-pixels $((48 * 36 * 4 - 1))
    refuses '{frames: "all"}' '^content_image: 4 frames of 48x36 are 6912 pixels, more than 6911'
    get /openapi.json
    [ "$(field 'components.schemas.StyleTransfer.properties.frames["x-max-frames"]')" = 120 ]
    [ "$(field 'components.schemas.StyleTransfer.properties.frames["x-max-size"]')" = 640 ]
}

@test "each frame counts for the quota of work" {
    gif 4 >film.gif
    serve --quota work-per-day=$((32 * 32 * 3 * 5))
    upload film.gif
    film
    post /api/style-transfer "$(jq -n --arg c "$content" \
        '{content_image: $c, style_image: "munch", num_steps: 3, size: 32, frames: "all"}')"
    refused 429 'work: this task needs 12288 .* used 12288 of 15360'
    transfer # a still fits
}

@test "a film that is stopped keeps the frames so far" {
    needs vipsheader
    gif 9 >film.gif
    serve
    upload film.gif
    film '{num_steps: 200, size: 128}'
    until_task '.frame == 3'
    get "/api/tasks/$task/preview"
    [ "$(header content-type)" = image/jpeg ]
    ask POST "/api/tasks/$task/stop"
    [ "$code" = 200 ]
    until_state completed
    frames=$(field frames)
    [ "$frames" -ge 3 ]
    [ "$frames" -lt 9 ]
    get "/results/$task.webp"
    cp answer film.webp
    [ "$(frames_of film.webp)" = "$frames" ]
}

@test "a film that a kill interrupts is painted again from its first frame" {
    needs vipsheader
    gif 4 >film.gif
    serve
    upload film.gif
    film '{num_steps: 100, size: 128}'
    until_task '.frame == 3'
    stop_service KILL || true
    serve
    until_state completed
    [ "$(field attempts)" = 1 ]
    [ "$(frames_of "data/results/$task.webp")" = 4 ]
}
