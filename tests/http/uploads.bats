#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# uploads.bats - what nst-serve keeps of uploaded pictures, and what it spends on them.

load helper

PRIVATE=$srcdir/tests/http/private.py

# photographs: make secret.EXTENSION, a picture with all kinds of metadata, to be turned
# upright, and with a colour profile
photographs() {
    needs vips
    needs exiftool
    if compgen -G "$BATS_FILE_TMPDIR/photographs/*" >/dev/null; then # of another test
        cp "$BATS_FILE_TMPDIR"/photographs/* .
        return
    fi
    vips icc_export "$srcdir/docs/sample.jpg" whole.jpg --output-profile srgb
    vips thumbnail whole.jpg plain.jpg 64 --height 48 --crop centre
    exiftool -q -overwrite_original -EXIF= plain.jpg
    /usr/bin/python3 "$PRIVATE" plain.jpg secret.jpg 6
    local kind
    for kind in png webp tif heic avif gif; do
        vips copy secret.jpg secret.$kind 2>>warnings
    done
    exiftool -q -overwrite_original -tagsfromfile secret.jpg -all:all \
        -XMP-dc:Creator=SECRET-xmp secret.tif 2>>warnings
    exiftool -q -overwrite_original -Comment=SECRET-comment secret.png 2>>warnings
    exiftool -q -overwrite_original -Comment=SECRET-comment -XMP-dc:Creator=SECRET-xmp \
        secret.gif
    for kind in jpg png webp tif heic avif gif; do
        grep -aq SECRET secret.$kind
    done
    mkdir "$BATS_FILE_TMPDIR/photographs"
    cp secret.* "$BATS_FILE_TMPDIR/photographs"
}

# upright FILE: print a digest of its pixels as they are shown
upright() {
    vips autorot "$1" upright.ppm[strip] 2>>warnings
    sha256sum <upright.ppm
}

# without_secrets FILE: it has no private text and no position
without_secrets() {
    ! grep -aq SECRET "$1"
    [ -z "$(exiftool -GPS:all -IPTC:all -XMP:all -Make -Model -Artist -Comment -ThumbnailImage \
        -SerialNumber -MakerNotes:all "$1")" ]
}

# profile FILE: print a digest of its colour profile
profile() {
    vipsheader -f icc-profile-data "$1" 2>>warnings | sha256sum
}

@test "an upload loses its metadata, and keeps its pixels, profile and orientation" {
    photographs
    serve
    for kind in jpg png webp tif heic avif gif; do
        upload secret.$kind
        get "/uploads/$content" && cp answer "served.$kind"
        without_secrets "served.$kind"
        [ "$(upright "served.$kind")" = "$(upright "secret.$kind")" ]
        [ $kind = gif ] || [ "$(profile "served.$kind")" = "$(profile secret.jpg)" ]
        get "/thumbs/$content.jpg"
        without_secrets answer
    done
    for kind in jpg png webp tif; do
        [ "$(exiftool -s3 -n -Orientation "served.$kind")" = 6 ]
    done
    ask POST /api/upload-style -F style_image=@secret.jpg
    get "$(field url)"
    without_secrets answer
    cmp answer served.jpg
    ! grep -arq SECRET data
}

@test "a result has no metadata of the photograph, and the record names no file" {
    photographs
    serve
    ask POST /api/upload-style -F style_image=@secret.png
    style=$(field filename)
    upload secret.jpg
    transfer "{style_image: \"$style\", num_steps: 1}"
    until_state completed
    get "/results/$task.png"
    cp answer result.png
    without_secrets result.png
    [ "$(profile result.png)" = "$(profile secret.jpg)" ]
    exiftool -b -nst result.png >record
    jq -e '.nst | .content == null and .options.size == 32' record
    ! grep -qE "$style|$content|/" record
}

@test "--keep-metadata keeps uploads as they are, and what results have of them" {
    photographs
    serve --keep-metadata
    for kind in heic jpg; do
        upload secret.$kind
        get "/uploads/$content"
        cmp answer secret.$kind
    done
    transfer '{num_steps: 1}'
    until_state completed
    get "/results/$task.png"
    cp answer result.png
    exiftool -GPSPosition -Artist result.png >kept
    grep -q SECRET-artist kept
    grep -q 'GPS Position' kept
}

# from ADDRESS FILE [CURL OPTION...]: upload a file as a client of that address, and
# print the status and the seconds
from() {
    curl -sS -o "answer.$1.$RANDOM$RANDOM" -w '%{http_code} %{time_total}\n' \
        -H "X-Forwarded-For: $1" -F "content_image=@$2" "${@:3}" "$url/api/upload-content"
}

@test "a picture with absurd numbers of parts is 415 before it is decoded" {
    /usr/bin/python3 "$srcdir/tests/http/bombs.py" .
    for option in --max-pixels=1000000000 --keep-metadata; do
        serve $option
        while read -r bomb pattern; do
            ask POST /api/upload-content -F "content_image=@$bomb"
            refused 415 "more than [0-9]+ $pattern|overlap"
        done <<'END'
text.png compressed texts
itxt.png compressed texts
chunks.png chunks
segments.jpg segments
comments.jpg segments
scans.jpg scans
frames.webp frames
frames.gif frames
pages.tif pages
loop.tif pages
tags.tif tags
strips.tif strips
items.heic items
END
        stop_service
    done
    [ -z "$(ls data/uploads data/thumbs data/work | grep -v : | grep .)" ]
}

@test "uploads of one address wait for each other, and do not delay another's" {
    /usr/bin/python3 "$srcdir/tests/http/bombs.py" .
    serve --behind-proxy --max-pixels 1000000000
    local clients=() waiting=0
    for _ in 1 2 3 4; do
        from 1.1.1.1 slow.png >>slow 3>&- &
        clients+=($!)
    done
    wait_until '[ -n "$(children)" ]'
    [ "$(children | wc -w)" = 1 ]
    # others may use the processor: the best of some tries counts
    wait_until 'from 2.2.2.2 photo.png | awk "\$1 != 200 || \$2 > 2 {exit 1}"'
    [ "$(children | wc -w)" = 1 ]
    for _ in 1 2 3 4 5 6; do
        from 1.1.1.1 photo.png >>slow 3>&- &
        clients+=($!)
    done
    wait_until 'grep -q "^429" slow'
    grep -q '8 requests of yours wait' answer.1.1.1.1.*
    wait_until 'grep -qE "^(415|503)" slow'
    grep -qE 'takes more than 5 s|machine is busy' answer.1.1.1.1.*
    stop_service # what still waits is 503
    wait "${clients[@]}"
    [ "$(wc -l <slow)" = 10 ]
    ! grep -vE '^(415|429|503) ' slow
}
