#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# renditions.bats - what browsers show of uploads, the names of pictures, and the labels
# of styles.

load helper

# truth: make truth.png, 96x64: red, green, blue and grey quarters, none near another
truth() {
    needs vips
    needs exiftool
    local colour n=0
    for colour in '200 40 30' '40 160 60' '50 70 190' '120 120 120'; do
        vips black quarter.v 48 32 --bands 3
        vips linear quarter.v "quarter$((n++)).v" '1 1 1' "$colour" --uchar
    done
    vips arrayjoin 'quarter0.v quarter1.v quarter2.v quarter3.v' truth.v --across 2
    vips copy truth.v truth.png --interpretation srgb
}

# pixel FILE X Y: print the three samples there
pixel() {
    vips getpoint "$1" "$2" "$3"
}

# near FILE X Y R G B [LEVELS]: the pixel there has this colour within some levels of 255
near() {
    pixel "$1" "$2" "$3" | awk -v want="$4 $5 $6" -v most="${7:-6}" '{
        split(want, w)
        for (i = 1; i <= 3; i++)
            if ($i - w[i] > most || w[i] - $i > most) {
                print "is", $0, "not", want
                exit 1
            }
    }'
}

# rendition: fetch that of $content to the file shown
rendition() {
    get "/renditions/$content.jpg"
    [ "$code" = 200 ]
    [ "$(header content-type)" = image/jpeg ]
    cp answer shown
}

# shown_as_truth: shown is an upright JPEG with the colours of truth.png
shown_as_truth() {
    [ "$(vipsheader -f vips-loader shown)" = jpegload ]
    [ "$(vipsheader -f width shown)x$(vipsheader -f height shown)" = 96x64 ]
    near shown 24 16 200 40 30
    near shown 72 16 40 160 60
    near shown 24 48 50 70 190
    near shown 72 48 120 120 120
}

@test "a rendition is an upright JPEG in sRGB without metadata, of every format" {
    truth
    vips copy truth.png sixteen.png
    vips colourspace truth.png sixteen.png rgb16
    vips copy truth.png photo.tif
    vips copy truth.png photo.webp[lossless]
    vips copy truth.png photo.heic[lossless] 2>warnings || rm -f photo.heic
    vips copy truth.png photo.avif[lossless] 2>>warnings || rm -f photo.avif
    vips icc_transform truth.png p3.jpg[Q=98,subsample-mode=off] p3 --input-profile srgb
    serve
    for file in truth.png sixteen.png photo.tif photo.webp photo.heic photo.avif p3.jpg; do
        [ -e $file ] || { # an encoder is missing
            echo "# $file cannot be made here" >&3
            continue
        }
        upload $file
        [ "$(field rendition)" = "/renditions/$content.jpg" ]
        rendition
        shown_as_truth
        [ -z "$(exiftool -EXIF:all -XMP:all -ICC_Profile:all -Comment shown)" ]
    done
}

@test "a rendition of inks has the colours that the result has" {
    truth
    vips icc_transform truth.png cmyk.jpg[Q=98,subsample-mode=off] cmyk --input-profile srgb
    [ "$(vipsheader -f bands cmyk.jpg)" = 4 ]
    vips icc_transform cmyk.jpg back.png srgb --embedded --black-point-compensation
    vips extract_band truth.png grey.png 1
    serve
    upload cmyk.jpg
    rendition
    local x y red green blue
    for x in 24 72; do
        for y in 16 48; do
            read -r red green blue <<<"$(pixel back.png $x $y)"
            near shown $x $y "$red" "$green" "$blue" 12
        done
    done
    upload grey.png
    rendition
    near shown 24 16 40 40 40
    near shown 72 16 160 160 160
}

@test "all eight orientations become upright" {
    truth
    vips copy truth.png upright.jpg[Q=98,subsample-mode=off]
    vips flip upright.jpg 2.png horizontal
    vips rot upright.jpg 3.png d180
    vips flip upright.jpg 4.png vertical
    vips rot upright.jpg 8.png d90 # turned by 270 degrees, it is upright
    vips rot upright.jpg 6.png d270
    vips flip 8.png 5.png horizontal
    vips flip 6.png 7.png horizontal
    cp upright.jpg 1.png
    serve
    for n in 1 2 3 4 5 6 7 8; do
        vips copy $n.png turned.jpg[Q=98,subsample-mode=off,strip]
        exiftool -q -overwrite_original -n -Orientation=$n turned.jpg
        upload turned.jpg
        rendition
        echo "orientation $n"
        shown_as_truth
        get "/thumbs/$content.jpg"
        [ "$(vipsheader -f width answer)" -gt "$(vipsheader -f height answer)" ]
    done
}

@test "a rendition has at most 1600 pixels a side, is white where it is transparent, and is cached" {
    truth
    vips resize truth.png large.png 25 # 2400 pixels wide
    vips black panorama.png 4000 30 --bands 3
    vips black clear.v 96 64
    vips bandjoin 'truth.png clear.v' clear.png
    serve
    upload large.png
    rendition
    [ "$(vipsheader -f width shown)x$(vipsheader -f height shown)" = 1600x1067 ]
    local cache
    cache=$(header cache-control)
    get "/uploads/$content"
    [ "$(header cache-control)" = "$cache" ]
    get "/renditions/$content.jpg"
    ask GET "/renditions/$content.jpg" -H "If-None-Match: $(header etag)"
    [ "$code" = 304 ]
    upload panorama.png
    rendition
    [ "$(vipsheader -f width shown)" = 1600 ]
    upload clear.png
    rendition
    near shown 24 16 255 255 255
    for path in /renditions/ /renditions/x "/renditions/$content" /renditions/munch.jpg \
        /renditions/..%2flock "/renditions/$content.png"; do
        get "$path"
        [ "$code" = 404 ]
    done
}

@test "a rendition goes with its picture, and is made at the start if it is missing" {
    serve
    upload photo.png
    ask POST /api/upload-style -F style_image=@style.jpg
    style=$(field filename)
    [ "$(field rendition)" = "/renditions/$style.jpg" ]
    transfer '{num_steps: 1}'
    until_state completed
    [ "$(ls data/renditions | wc -l)" = 2 ]
    stop_service KILL || true
    rm data/renditions/*
    touch data/renditions/0123456789abcdef0123456789abcdef.png.jpg data/uploads/x.part
    serve
    wait_until '[ -s "data/renditions/$content.jpg" ] && [ -s "data/renditions/$style.jpg" ]'
    [ "$(ls data/renditions | wc -l)" = 2 ]
    ask DELETE "/api/delete-history/${content%.*}"
    [ "$code" = 200 ]
    ask DELETE "/api/styles/$style"
    [ "$code" = 200 ]
    [ -z "$(ls data/renditions data/thumbs data/owners | grep -v :)" ]
}

@test "an upload without disk space for its rendition is 507 and leaves no files" {
    [ "$(id -u)" = 0 ] || skip "needs to mount a disk"
    mkdir -p data/renditions
    mount -t tmpfs -o size=64k none data/work 2>/dev/null || {
        mkdir -p data/work
        mount -t tmpfs -o size=64k none data/work 2>/dev/null || skip "no disk can be mounted"
    }
    serve
    vips gaussnoise noise.v 1600 1200 --mean 128 --sigma 40
    vips cast noise.v noise.jpg uchar
    ask POST /api/upload-content -F content_image=@noise.jpg
    left=$(ls data/uploads data/thumbs data/renditions data/work)
    stop_service
    umount data/work
    refused 507 'space'
    [ "$left" = $'data/renditions:\n\ndata/thumbs:\n\ndata/uploads:\n\ndata/work:' ]
}

@test "kill -9 in the middle of uploads leaves no half picture" {
    serve
    local n sender
    for n in $(seq 40); do # as many pictures
        echo "$n" | cat photo.png - >"$n.png"
    done
    for n in 1 2 3; do
        while curl -sS -F "content_image=@$((RANDOM % 40 + 1)).png" "$url/api/upload-content" \
            >>answers 2>/dev/null; do :; done 3>&- 4>&- &
        sender=$!
        local before
        before=$(ls data/renditions | wc -l)
        wait_until "[ \$(ls data/renditions | wc -l) -gt $before ]"
        stop_service KILL || true
        wait $sender || true
        serve
    done
    wait_until '[ "$(ls data/uploads | wc -l)" = "$(ls data/renditions | wc -l)" ]'
    for n in data/renditions/*; do
        vips avg "$n" >/dev/null
        n=${n##*/}
        [ -s "data/uploads/${n%.jpg}" ]
        [ -s "data/owners/${n%.jpg}" ]
    done
    [ -z "$(ls data/work)" ]
    ! ls data/uploads | grep part
}

@test "the same bytes of one owner get the same name, also after a restart" {
    serve
    visitor() { # visitor NUMBER: send photo.png as that visitor
        [ -e "jar$1" ] || curl -sS -o /dev/null -c "jar$1" "$url/"
        ask POST /api/upload-content -b "jar$1" -F content_image=@photo.png
        [ "$code" = 200 ]
        content=$(field filename)
    }
    visitor 1
    first=$content
    visitor 2
    [ "$content" != "$first" ]
    visitor 1
    [ "$content" = "$first" ]
    before=$(stat -c %Y "data/uploads/$first")
    touch -d '2 hours ago' "data/uploads/$first"
    stop_service KILL || true
    serve
    visitor 1
    [ "$content" = "$first" ]
    [ "$(stat -c %Y "data/uploads/$first")" -ge "$before" ] # the sweep takes it for new
    ask POST /api/upload-style -b jar1 -F style_image=@photo.png
    [ "$(field filename)" != "$first" ]
    ask POST /api/upload-content -b jar1 -F content_image=@style.jpg
    [ "$(field filename)" != "$first" ]
    [ "$(ls data/uploads | wc -l)" = 3 ]
    cookie=$(awk '/nst_visitor/ {print "nst_visitor=" $7}' jar1)
    content=$first
    for _ in 1 2; do
        post /api/style-transfer "{\"content_image\": \"$first\", \"style_image\": \"munch\",
            \"num_steps\": 1, \"size\": 32}" -b jar1
        [ "$code" = 200 ]
        visitor 1
    done
    wait_until 'curl -sS -b jar1 "$url/api/history" | jq -e ".[] | length == 2"'
}

@test "a picture that is sent again needs no quota and is not decoded" {
    without_metadata
    serve --quota "bytes=$(stat -c %s photo.png)"
    upload photo.png
    local first=$content made
    made=$(stat -c %i "data/renditions/$content.jpg")
    upload photo.png
    [ "$content" = "$first" ]
    [ "$(stat -c %i "data/renditions/$content.jpg")" = "$made" ]
    ask POST /api/upload-content -F content_image=@style.jpg
    refused 507 'quota'
}

# label: print the label of $style
label() {
    curl -sS "$url/api/styles" | jq -r --arg s "$style" '.[] | select(.name == $s) | .label'
}

@test "a style has the label of its upload, which its owner changes" {
    serve
    ask POST /api/upload-style -F "label=  My  $(printf '\xe2\x80\xaegpj.exe\xe2\x81\xa9\a')
garden " -F style_image=@style.jpg
    [ "$code" = 200 ]
    style=$(field filename)
    [ "$(field label)" = 'My gpj.exe garden' ]
    [ "$(label)" = 'My gpj.exe garden' ]
    patch() {
        ask PATCH "/api/styles/$style" -H 'Content-Type: application/json' -d "$1"
    }
    patch '{"label": "Été à Paris"}'
    [ "$code" = 200 ]
    [ "$(field label)" = 'Été à Paris' ]
    stop_service KILL || true
    serve
    [ "$(label)" = 'Été à Paris' ]
    patch "{\"label\": \"$(printf 'é%.0s' {1..90})\"}"
    [ "$(label)" = "$(printf 'é%.0s' {1..60})" ]
    for bad in '{}' '{"label": 1}' '{"label": ""}' '{"label": " \u202e\u0007 "}' \
        '{"label": "a", "name": "b"}'; do
        patch "$bad"
        refused 400 'label'
    done
    ask POST /api/upload-style -F style_image=@photo.png
    [ "$(field label)" = null ]
    ask DELETE "/api/styles/$style"
    [ -z "$(ls data/labels)" ]
    patch '{"label": "gone"}'
    refused 404 'style'
    style=munch patch '{"label": "Mine"}'
    [ "$code" = 404 ]
}

@test "nobody else changes a label" {
    serve
    curl -sS -o /dev/null -c jar1 "$url/"
    curl -sS -o /dev/null -c jar2 "$url/"
    ask POST /api/upload-style -b jar1 -F label=Mine -F style_image=@style.jpg
    style=$(field filename)
    ask PATCH "/api/styles/$style" -b jar2 -H 'Content-Type: application/json' \
        -d '{"label": "Yours"}'
    refused 404 'style'
    ask PATCH "/api/styles/$style" -b jar1 -H 'Content-Type: application/json' \
        -d '{"label": "Ours"}'
    [ "$code" = 200 ]
    grep -q "style renamed" log
}

@test "front ends of one queue give the same names, and see each other's labels" {
    needs redis-server
    needs redis-cli
    local port=$((20000 + RANDOM % 12000)) redis first second
    redis-server --port $port --bind 127.0.0.1 --save '' >redis.out 2>&1 3>&- 4>&- &
    redis=$!
    wait_until "redis-cli -p $port ping"
    serve --shared --queue "redis://127.0.0.1:$port/1"
    local one=$service here=$url
    mv log log.one
    serve --shared --queue "redis://127.0.0.1:$port/1"
    upload photo.png
    first=$content
    ask POST /api/upload-style -F label=Mine -F style_image=@style.jpg
    style=$(field filename)
    local there=$url
    url=$here
    upload photo.png
    second=$content
    wait_until '[ "$(label)" = Mine ]'
    ask PATCH "/api/styles/$style" -H 'Content-Type: application/json' -d '{"label": "Ours"}'
    url=$there
    wait_until '[ "$(label)" = Ours ]'
    kill "$one" "$redis"
    stop_service
    [ "$first" = "$second" ]
}
