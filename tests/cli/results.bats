#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The results of nst: images, progress, trace and history.
bats_require_minimum_version 1.5.0
load helper

@test "a photograph is stylised" {
    nst -s style.ppm photo.ppm -o out.png
    [ "$(dimensions out.png)" = 32x24 ]
}

@test "a pipe may have any name: its result is PNG" {
    for name in pipe pipe.foo pipe.; do
        mkfifo "$name"
        timeout 60 cat "$name" >copy.png &
        nst -s style.ppm photo.ppm -o "$name"
        wait $!
        [ "$(dimensions copy.png)" = 32x24 ]
        [ -p "$name" ]
    done
}

@test "without -o a PNG goes to standard output, and - reads standard input" {
    nst -s style.ppm photo.ppm -o file.png
    nst -s style.ppm photo.ppm >stdout.png
    nst -s style.ppm - <photo.ppm >dash.png
    nst -s style.ppm <photo.ppm -o - >nothing.png
    cat photo.ppm | nst -s style.ppm >pipe.png
    nst -s - photo.ppm <style.ppm >style.png
    [ "$(dimensions stdout.png)" = 32x24 ]
    cmp dash.png nothing.png
    cmp dash.png pipe.png
    [ "$(dimensions style.png)" = 32x24 ]
}

@test "--size sets the longest side, native keeps the size, --square makes a square" {
    nst -s style.ppm photo.ppm -o a.png --size 40
    nst -s style.ppm photo.ppm -o b.png --size native
    nst -s style.ppm photo.ppm -o c.png --size 20 --square
    [ "$(dimensions a.png)" = 40x30 ]
    [ "$(dimensions b.png)" = 48x36 ]
    [ "$(dimensions c.png)" = 20x20 ]
}

@test "the loss falls, and the trace has a line for each evaluation" {
    needs jq
    nst -p classic -s style.ppm photo.ppm -o out.png --trace t.jsonl -n 8
    jq -es '
        (map(select(.final != true))) as $e | .[-1] as $last
        | ($e | map(.evaluation)) == [range(1; ($e | length) + 1)]
        and ($e | all(has("iteration") and has("content_loss") and has("style_loss")
            and has("gradient_max") and has("gradient_norm") and has("seconds")))
        and ($e | map(select(.accepted).total_loss)) as $a
            | ($a | length) == 9 and $a == ($a | sort | reverse)
        and $last.final and $last.total_loss == $a[-1]' t.jsonl
    jq -es '(.[0].content_loss == 0) and (.[-1].total_loss < 0.5 * .[0].total_loss)
        and (.[0] | (.total_loss - (.content_loss + 7000 * .style_loss)) | fabs) < 1e-6 *
            .[0].total_loss' t.jsonl
}

@test "two runs give the same bytes, with any number of threads" {
    nst -s style.ppm photo.ppm -o a.png -n 6
    nst -s style.ppm photo.ppm -o b.png -n 6
    cmp a.png b.png
    for threads in 1 2 3; do
        nst -s style.ppm photo.ppm -o b.png -n 6 --threads $threads
        cmp a.png b.png
    done
}

@test "weights, layers, pooling and iterations change the image" {
    nst -s style.ppm photo.ppm -o a.ppm
    for option in "-w 1" "-c 50" "--style-layers relu1_1" "--content-layers conv_2" \
        "--pooling avg" "-n 5" "--style-layers conv_1,conv_2:3" "-p gatys"; do
        nst -s style.ppm photo.ppm -o b.ppm $option
        run ! cmp -s a.ppm b.ppm
    done
    nst -s style.ppm photo.ppm -o b.ppm --content-layers relu4_2 -p painting
    cmp a.ppm b.ppm
}

@test "the command line overrides a preset in any order" {
    echo '{"options": {"iterations": 5, "style-weight": 1e5}}' >mine.json
    nst -s style.ppm photo.ppm -o a.ppm -w 100000 -n 3
    "$NST" -q --size 32 --iterations 3 -s style.ppm photo.ppm -o b.ppm -p mine.json
    "$NST" -q --size 32 -p ./mine.json -s style.ppm photo.ppm -o c.ppm --iterations 3
    cmp a.ppm b.ppm
    cmp a.ppm c.ppm
}

@test "a preset of the user is found by name" {
    export XDG_CONFIG_HOME=$PWD/config
    mkdir -p config/nst/presets
    echo '{"options": {"square": true}}' >config/nst/presets/box.json
    nst -s style.ppm photo.ppm -o a.png -p box
    [ "$(dimensions a.png)" = 32x32 ]
}

@test "--max-evaluations bounds the evaluations" {
    needs jq
    nst -s style.ppm photo.ppm -o a.png -n 100 --max-evaluations 7 --trace t.jsonl
    [ "$(jq -s 'map(select(.final != true)) | length' t.jsonl)" = 7 ]
}

@test "nst reports that an image already in the style converges" {
    run --separate-stderr nst --progress none -s photo.ppm photo.ppm \
        -o out.ppm --size native -n 300
    [ "$status" = 0 ]
    [[ $stderr == *"nst: photo.ppm: converged after "*" steps"* ]]
}

@test "JSON progress has one object per line and ends with an end event" {
    needs jq
    nst --progress json -s style.ppm photo.ppm -o out.png -n 5 2>p.jsonl
    jq -es 'map(select(.event == "step")) as $s
        | ($s | map(.done)) == [0, 1, 2, 3, 4, 5] and all(.total == 5)
        and .[0].event == "start" and .[0].done == 0 and .[0].total_loss == null
        and all(has("percent") and has("content_loss") and has("style_loss")
            and has("seconds") and has("eta_seconds"))
        and .[-1].event == "end" and .[-1].end == "completed"' p.jsonl
}

@test "--progress-file gets JSON lines beside the lines for people, and with -q" {
    needs jq
    "$NST" -S 32 -n 3 -s style.ppm photo.ppm -o out.png --progress plain --progress-file p.jsonl 2>said
    grep -q '^nst: 100% 3/3 \[' said
    run ! grep -q '^{' said
    jq -es 'length == 6 and all(.picture == "photo.ppm" and .number == 1 and .pictures == 1)
        and .[-1].percent == 100 and .[-1].end == "completed"' p.jsonl
    "$NST" -q -S 32 -n 3 -s style.ppm photo.ppm -o out.png --progress-file /dev/fd/5 5>fd.jsonl 2>said
    [ ! -s said ]
    [ "$(jq -c '[.event, .done, .percent]' fd.jsonl)" = "$(jq -c '[.event, .done, .percent]' p.jsonl)" ]
    run -2 --separate-stderr nst -s style.ppm photo.ppm -o out.png --progress-file none/p
    [ "$stderr" = "nst: progress-file: none/p: No such file or directory" ]
    refused 2 'is an input file' -s style.ppm photo.ppm -o new.png --progress-file style.ppm
    refused 2 'named for two outputs' -s style.ppm photo.ppm -o new.png --progress-file new.png
    refused 2 'named for two outputs' -s style.ppm photo.ppm -o new.png --progress-file t --trace t
    refused 2 'standard output cannot be used' -s style.ppm photo.ppm -o new.png --progress-file -
}

@test "progress is plain in pipes, a bar on terminals and silent with -q" {
    "$NST" -S 32 -n 3 -s style.ppm photo.ppm -o out.png 2>plain
    grep -q '^nst: 100% 3/3 \[' plain
    run ! grep -q "$(printf '\r')" plain
    needs_terminal
    script -qec "'$NST' -S 32 -n 3 -s style.ppm photo.ppm -o out.png" bar >/dev/null
    grep -q "$(printf '\r')100%|" bar
    TERM=dumb script -qec "'$NST' -S 32 -n 3 -s style.ppm photo.ppm -o out.png" dumb >/dev/null
    grep -q '^nst: 100% 3/3 \[' dumb
    run ! grep -q "$(printf '\033')" dumb
    "$NST" -q -S 32 -n 3 -s style.ppm photo.ppm -o out.png 2>quiet
    [ ! -s quiet ]
}

@test "a message takes the place of the bar" {
    needs_terminal
    script -qec "'$NST' -S 32 -n 3 -s style.ppm photo.ppm -o out.png --checkpoint /dev/full \
        --save-every 1" bar >/dev/null
    said=$(printf '\033')"\[Knst: checkpoint: /dev/full: "
    grep -q "$(printf '\r')$said" bar
    run ! grep -q "[^$(printf '\r')]$said" bar
    grep -q "$(printf '\r')100%|" bar
}

@test "the bar never wraps, however narrow the terminal" {
    needs_terminal
    for columns in 20 60 100; do
        script -qec "stty cols $columns; '$NST' -S 32 -n 3 -s style.ppm photo.ppm -o o.png" \
            bar >/dev/null
        longest=$(sed '1d;$d' bar | tr '\r' '\n' | sed "s/$(printf '\033')\[K//g" |
            LC_ALL=C.UTF-8 wc -L)
        echo "$longest of $columns columns"
        [ "$longest" -gt 10 ] && [ "$longest" -lt "$columns" ]
        # a narrow terminal shows the bar instead of the losses
        case $columns in
        60) grep -q '100%|.*| 3/3 \[[^,]*, [^,]* it/s\]' bar ;;
        100) grep -q '100%|.*| 3/3 \[.*, style .*\]' bar ;;
        esac
    done
}

@test "transparent parts of an image stay transparent" {
    cat >hole.svg <<-'END'
	<svg xmlns="http://www.w3.org/2000/svg" width="48" height="32">
	<rect width="24" height="32" fill="#c04020"/></svg>
	END
    nst -s style.ppm hole.svg -o hole.png
    [ "$(od -An -tu1 -j25 -N1 hole.png | tr -d ' ')" = 6 ] # colour type: RGB and alpha
    nst -s style.ppm hole.png -o again.png
    [ "$(od -An -tu1 -j25 -N1 again.png | tr -d ' ')" = 6 ]
    # a format without alpha shows white there: in the last pixel, not in the first
    nst -s style.ppm again.png -o flat.ppm
    [ "$(tail -c 3 flat.ppm | od -An -tu1 | xargs)" = "255 255 255" ]
    [ "$(tail -c $((32 * 21 * 3)) flat.ppm | head -c 3 | od -An -tu1 | xargs)" != "255 255 255" ]
}

@test "bit depth and metadata are kept, and the image records how it was made" {
    needs exiftool
    # a 16-bit PPM
    sed 's/^255$/65535/' photo.ppm >deep.ppm
    nst -s style.ppm deep.ppm -o deep.png
    [ "$(exiftool -s3 -BitDepth deep.png)" = 16 ]
    nst -s style.ppm deep.png -o shallow.jpg
    nst -s style.ppm photo.ppm -o eight.png
    [ "$(exiftool -s3 -BitDepth eight.png)" = 8 ]
    exiftool -q -overwrite_original -Artist=Somebody -XMP:Title=Something shallow.jpg
    nst -s style.ppm shallow.jpg -o kept.jpg
    [ "$(exiftool -s3 -Artist kept.jpg)" = Somebody ]
    [ "$(exiftool -s3 -XMP:Title kept.jpg)" = Something ]
    [ "$(exiftool -b -nst eight.png | jq -r .nst.options.iterations)" = 3 ]
    [ "$(exiftool -b -UserComment kept.jpg | jq -r .nst.style)" = style.ppm ]
}

@test "downscaling is reported once, unless the user chose the size" {
    picture large.ppm 1040 700 3
    echo '{"options": {"size": 100, "iterations": 1, "progress": "none"}}' >small.json
    small() { "$NST" --config small.json -s style.ppm "$@" 2>said; }
    local report="1040 x 700 pixels, stylised at 100 x 67; -S native for its own size"
    small large.ppm -o a.png
    [ "$(cat said)" = "nst: large.ppm: $report" ]
    small large.ppm photo.ppm large.ppm -o many/ --name '{index}.png' --scales auto
    [ "$(grep -c 'for its own size' said)" = 1 ]
    small - -o a.png <large.ppm
    [ "$(cat said)" = "nst: standard input: $report" ]
    small large.ppm -o a.png --checkpoint ck
    for o in "-q" "-S 200" "--scales 50,90" "--dry-run" "--resume ck"; do
        # shellcheck disable=SC2086 # word splitting is intended
        small large.ppm -o a.png $o >/dev/null
        run ! grep 'for its own size' said
    done
    # nothing is reported for images that are not larger
    for size in 47 48; do
        echo "{\"options\": {\"size\": $size, \"iterations\": 1, \"progress\": \"none\"}}" >small.json
        small photo.ppm -o a.png
        [ "$(grep -c 'for its own size' said)" = $((48 - size)) ]
    done
    # the frames of a stream count once
    { for _ in 1 2 3; do printf 'P6 300 200 255\n' && head -c 180000 /dev/zero; done; } >film.ppm
    echo '{"options": {"size": 50, "iterations": 1, "progress": "none"}}' >small.json
    small --pnm film.ppm -o film2.ppm
    [ "$(grep -c '300 x 200 pixels, stylised at 50 x 33' said)" = 1 ]
}

@test "the ending of a name outweighs the format of a configuration" {
    echo '{"options": {"format": "jpg"}}' >c.json
    kind() { head -c 4 "$1" | od -An -tx1 | tr -d ' '; }
    nst --config c.json -s style.ppm photo.ppm -o o.png
    [ "$(kind o.png)" = 89504e47 ]
    nst --config c.json -s style.ppm photo.ppm -o d/ --name '{stem}.png'
    [ "$(kind d/photo.png)" = 89504e47 ]
    # it decides where the name does not, and on the command line always
    nst --config c.json -s style.ppm photo.ppm -o d/
    [[ $(kind d/photo-style.jpg) == ffd8* ]]
    nst --config c.json -s style.ppm photo.ppm >out
    [[ $(kind out) == ffd8* ]]
    nst --config c.json -s style.ppm photo.ppm -o o
    [[ $(kind o) == ffd8* ]]
    nst -s style.ppm photo.ppm -o o.png --format jpg
    [[ $(kind o.png) == ffd8* ]]
    # a stream has its own
    nst -s style.ppm photo.ppm -o p6.ppm
    nst --config c.json -s style.ppm --pnm p6.ppm -o o.ppm
    [ "$(head -c 2 o.ppm)" = P6 ]
}

@test "--quality is for lossy formats and does not make a result outdated" {
    for f in jpg webp avif; do
        nst -s style.ppm photo.ppm -o auto.$f
        nst -s style.ppm photo.ppm -o low.$f --quality 30
        nst -s style.ppm photo.ppm -o high.$f --quality 100
        [ "$(wc -c <low.$f)" -lt "$(wc -c <auto.$f)" ]
        [ "$(wc -c <auto.$f)" -lt "$(wc -c <high.$f)" ]
    done
    nst -s style.ppm photo.ppm -o same.jpg --quality 92
    cmp auto.jpg same.jpg
    nst -s style.ppm photo.ppm --format jpg --quality 92 | cmp - auto.jpg
    # the file would differ, but the result is up to date
    run nst -s style.ppm photo.ppm -o low.jpg --quality 60 --skip-done
    [[ $output == *"low.jpg: is up to date"* ]]
    refused 2 "quality: '0' is not a whole number between 1 and 100, or auto" \
        -s style.ppm photo.ppm -o no.jpg --quality 0
    refused 2 'quality: no.png: this format has no quality' -s style.ppm photo.ppm -o no.png --quality 9
    refused 2 'quality: -: this format has no quality' -s style.ppm photo.ppm --quality 9
    refused 2 'quality: no.jpg: this format' -s style.ppm photo.ppm -o no.jpg --format tiff --quality 9
    refused 2 'this format has no quality' -s style.ppm photo.ppm -o no.jpg --pnm --quality 9
    # one such result suffices, and the configuration's quality is for lossy formats
    cp low.jpg photo.jpg
    nst -s style.ppm photo.jpg photo.ppm -o made/ --quality 30 --name '{stem}{index}.{ext}'
    nst -s style.ppm photo.jpg -o high.jpg --quality 95
    [ "$(wc -c <made/photo0001.jpg)" -lt "$(wc -c <high.jpg)" ]
    echo '{"options": {"quality": 30}}' >q.json
    nst --config q.json -s style.ppm photo.ppm -o made.png
    nst --config q.json -s style.ppm photo.ppm -o made.jpg
    cmp made.jpg low.jpg
    nst --config q.json -s style.ppm photo.ppm -o made.jpg --quality auto
    cmp made.jpg auto.jpg
}

@test "a finished run adds a line to the history" {
    needs jq
    NST_HISTORY='' XDG_STATE_HOME=$PWD/state nst -s style.ppm photo.ppm -o out.png
    jq -e --arg here "$PWD/" '.content == $here + "photo.ppm"
        and .style == $here + "style.ppm" and .output == $here + "out.png"
        and .model == "vgg19-lite" and .size == [32, 24] and .evaluations >= 4
        and .options["style-weight"] == 7000 and .final.total < .first.total
        and .seconds > 0 and (.time | test("^20..-..-..T..:..:..Z$"))' \
        state/nst/history.jsonl
    nst -s style.ppm photo.ppm -o out.png --history mine.jsonl
    nst -s style.ppm photo.ppm -o out.png --history mine.jsonl
    [ "$(wc -l <mine.jsonl)" = 2 ]
}

@test "the history stays complete with many writers and after a truncated line" {
    needs jq
    writers=20
    [ -z "${NST_TEST_ALL:-}" ] || writers=200
    printf '{"cut":' >h.jsonl
    for i in $(seq $writers); do
        "$NST" -q -S 24 -n 1 -t 1 -s style.ppm photo.ppm -o "o$i.ppm" --history h.jsonl &
    done
    wait
    [ "$(tail -n +2 h.jsonl | wc -l)" = $writers ]
    [ "$(tail -n +2 h.jsonl | jq -r .output | sort -u | wc -l)" = $writers ]
}

@test "a history that cannot be written gives a warning, and the image is made" {
    run --separate-stderr nst -s style.ppm photo.ppm -o out.png --history /dev/full
    [ "$status" = 0 ]
    [ -s out.png ]
    [[ $stderr == nst:\ history:* ]]
}

@test "closed standard streams do not corrupt other files" {
    nst -s style.ppm photo.ppm -o a.png
    "$NST" -v --progress plain -S 32 -n 3 -s style.ppm photo.ppm -o b.png --trace t.jsonl \
        <&- 2>&-
    cmp a.png b.png
    [ "$(grep -vc '^{.*}$' t.jsonl)" = 0 ]
    run --separate-stderr bash -c \
        "'$NST' -q -S 32 -n 3 -s style.ppm photo.ppm --trace t.jsonl >&-"
    [ "$status" = 1 ]
    [[ $stderr == nst:\ * ]]
    [ "$(grep -vc '^{.*}$' t.jsonl)" = 0 ]
}

@test "several images go to a directory, named after content and style" {
    picture other.ppm 30 40 3
    cp photo.ppm photo.xyz
    run --separate-stderr nst -s style.ppm -o made/ photo.ppm other.ppm photo.xyz
    echo "$stderr"
    [ "$status" = 0 ]
    [ "$stderr" = "nst: 3 done, 0 skipped, 0 failed" ]
    [ "$(ls made)" = "$(printf '%s\n' other-style.ppm photo-style.png photo-style.ppm)" ]
    nst -s style.ppm photo.ppm -o alone.ppm
    cmp alone.ppm made/photo-style.ppm
    nst -s style.ppm other.ppm -o made -q
}

@test "one bad image is reported, and the others are made" {
    picture other.ppm 30 40 3
    echo no picture >bad.png
    run --separate-stderr nst -s style.ppm -o made/ photo.ppm bad.png other.ppm
    echo "$stderr"
    [ "$status" = 1 ]
    grep -q '^nst: bad.png: ' <<<"$stderr"
    grep -q '^nst: 2 done, 0 skipped, 1 failed$' <<<"$stderr"
    [ "$(ls made)" = "$(printf '%s\n' other-style.ppm photo-style.ppm)" ]
    run --separate-stderr nst -s missing.png -o made/ photo.ppm other.ppm
    [ "$status" = 2 ]
    [ "$(grep -c missing.png <<<"$stderr")" = 1 ]
}

@test "American spellings of options are accepted, but not listed" {
    nst -s style.ppm photo.ppm -o colour.ppm --colour content --optimiser adam
    nst -s style.ppm photo.ppm -o color.ppm --color=content --optimizer adam
    cmp colour.ppm color.ppm
    "$NST" --help >help
    run ! grep -qE -e '--(color|optimizer)' help
}

@test "a message says which pages and frames of an input are not used" {
    # an animated PNG of three frames: acTL after IHDR
    "$NST" -q -s style.ppm photo.ppm -n 1 -o still.png
    { head -c 33 still.png
        printf '\0\0\0\10acTL\0\0\0\3\0\0\0\0\0\0\0\0'
        tail -c +34 still.png; } >anim.png
    run --separate-stderr nst -s style.ppm anim.png -n 1 -o out.png
    [ "$status" = 0 ]
    [[ $stderr == *"anim.png: only the first of 3 frames is used"* ]]
    run --separate-stderr nst -q -s style.ppm anim.png -n 1 -o out.png
    [ "$stderr" = "" ]
    run --separate-stderr nst -s style.ppm still.png -n 1 -o out.png
    [[ $stderr != *"is used"* ]]
}

@test "a mask that is black, or of another shape, is reported" {
    awk 'BEGIN { print "P2 48 36 9"; for (i = 0; i < 48 * 36; i++) print 0 }' >black.pgm
    awk 'BEGIN { print "P2 36 48 9"; for (i = 0; i < 48 * 36; i++) print i % 9 }' >tall.pgm
    # a third of the size, rounded
    awk 'BEGIN { print "P2 25 19 9"; for (i = 0; i < 25 * 19; i++) print i % 9 }' >half.pgm
    run --separate-stderr nst -s style.ppm --mask black.pgm photo.ppm -o out.png
    [[ $stderr == *"black.pgm: is black everywhere: its style is not used"* ]]
    run --separate-stderr nst -s style.ppm --keep-mask black.pgm photo.ppm -o out.png
    [[ $stderr == *"black.pgm: is black everywhere: nothing is kept"* ]]
    run --separate-stderr nst -s style.ppm --keep-mask tall.pgm photo.ppm -o out.png
    [[ $stderr == *"tall.pgm: is stretched from 36x48 to the shape of 48x36"* ]]
    run --separate-stderr nst -s style.ppm --mask half.pgm photo.ppm -o out.png
    [[ $stderr != *half.pgm* ]]
    run --separate-stderr nst -q -s style.ppm --keep-mask tall.pgm photo.ppm -o out.png
    [ -z "$stderr" ]
}

@test "what follows a picture in its file is not described in the result; nor is a resolution invented" {
    command -v exiftool >/dev/null || skip "exiftool is not installed"
    nst -s style.ppm photo.ppm -o in.jpg
    [ "$(exiftool -b -XResolution in.jpg)" = 72 ]
    cat >xmp <<'END'
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"
 xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" xmlns:Container="http://ns.google.com/photos/1.0/container/"
 xmlns:Item="http://ns.google.com/photos/1.0/container/item/"
 GCamera:MicroVideo="1" GCamera:MicroVideoOffset='4711' GCamera:BurstID="b" hdrgm:Version="1.0" dc:format="image/jpeg">
<GCamera:MotionPhoto>1</GCamera:MotionPhoto>
<Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="MotionPhoto" Item:Length="4711"/></rdf:li></rdf:Seq></Container:Directory>
</rdf:Description></rdf:RDF></x:xmpmeta>
END
    exiftool -q -overwrite_original '-xmp<=xmp' in.jpg
    exiftool -b -xmp in.jpg | grep -q 4711
    nst -s style.ppm in.jpg -o out.jpg
    exiftool -b -xmp out.jpg >kept
    run ! grep -Eq '4711|MotionPhoto|MicroVideo=|Item:|hdrgm:V' kept
    grep -q 'GCamera:BurstID="b"' kept
    [ "$(exiftool -b -XMP-dc:Format out.jpg)" = image/jpeg ]
}

# Write a JPEG with personal metadata: tagged FILE.
tagged() {
    nst -s style.ppm photo.ppm -o "$1" --metadata none
    exiftool -q -overwrite_original -UserComment= -GPSLatitude=47.5 -GPSLatitudeRef=N \
        -SerialNumber=SECRET1 -LensSerialNumber=SECRET2 -OwnerName=SECRET3 -Artist=SECRET4 \
        -Copyright=SECRET5 -XPAuthor=SECRET6 -CameraSerialNumber=SECRET7 -HostComputer=SECRET8 \
        -ImageUniqueID=SECRET9 -xmp:creator=SECRET10 -iptc:city=SECRET11 -Comment=SECRET12 \
        -ImageDescription=SECRET13 -xmp:gpslatitude=47.5 -Make=Acme -Model=M1 \
        -ExposureTime=1/60 -DateTimeOriginal='2020:01:02 03:04:05' -LensModel=L50 "$1"
}

@test "--metadata private keeps only what identifies nobody, none keeps nothing" {
    needs exiftool
    tagged in.jpg
    for f in jpg png tif webp avif; do
        nst -q -s style.ppm in.jpg -o private.$f --metadata private
        nst -q -s style.ppm in.jpg -o none.$f --metadata none
        for m in private none; do
            exiftool -q -q -a -u -G1 -s -b $m.$f | tr -d '\0' >all
            run ! grep -aE 'SECRET|GPS|in\.jpg|style\.ppm' all
            run --separate-stderr nst -s style.ppm in.jpg -o $m.$f --metadata $m --skip-done
            [[ $stderr == *"$m.$f: is up to date; skipped"* ]]
        done
        [ -z "$(exiftool -Make -ExposureTime none.$f)" ]
        [ $f = tif ] && continue
        [ "$(exiftool -s3 -Make -Model -ExposureTime -DateTimeOriginal -LensModel private.$f |
            paste -sd ,)" = "Acme,M1,1/60,2020:01:02 03:04:05,L50" ]
    done
    # another value makes the result again, and rerun makes the same one
    nst -q -s style.ppm in.jpg -o none.jpg --metadata private --skip-done
    [ "$(exiftool -s3 -Make none.jpg)" = Acme ]
    nst -q -s style.ppm in.jpg -o none.jpg --skip-done
    [ "$(exiftool -s3 -Artist none.jpg)" = SECRET4 ]
    nst --history h -s style.ppm in.jpg -o again.png --metadata private
    cp again.png first.png
    nst_history=$(dirname "$NST")/nst-history
    NST_HISTORY=h "$nst_history" rerun "$(NST_HISTORY=h "$nst_history" list | awk 'END {print $1}')"
    cmp again.png first.png
    refused 2 "metadata: 'all' is not one of keep.private.none" -s style.ppm in.jpg -o x.png --metadata all
}

@test "comments of others stay, and the record is found beside them" {
    needs exiftool
    nst -s style.ppm photo.ppm -o in.jpg --metadata none
    exiftool -q -overwrite_original -UserComment='private note' in.jpg
    nst -s style.ppm in.jpg -o out.jpg
    [ "$(exiftool -s3 -UserComment out.jpg)" = 'private note' ]
    [ "$(exiftool -b -ImageDescription out.jpg | jq -r .nst.content)" = in.jpg ]
    exiftool -q -overwrite_original -ImageDescription='a title' in.jpg
    for f in jpg webp avif; do
        nst -s style.ppm in.jpg -o both.$f
        [ "$(exiftool -s3 -UserComment both.$f)" = 'private note' ]
        [ "$(exiftool -s3 -ImageDescription both.$f)" = 'a title' ]
        [ "$(exiftool -b -XPComment both.$f | jq -r .nst.content)" = in.jpg ]
        run --separate-stderr nst -s style.ppm in.jpg -o both.$f --skip-done
        [[ $stderr == *skipped* ]]
    done
    # a later run leaves one record
    nst -s style.ppm both.jpg -o later.jpg
    [ "$(exiftool -a -b later.jpg | grep -ao '"nst"' | wc -l)" = 1 ]
    nst -s style.ppm photo.ppm -o in.tif --metadata none
    exiftool -q -overwrite_original -ImageDescription='a title' in.tif
    nst -s style.ppm in.tif -o out.tif
    nst -s style.ppm out.tif -o out2.tif
    [ "$(exiftool -b -ImageDescription out2.tif | head -n 1)" = 'a title' ]
    [ "$(exiftool -b -ImageDescription out2.tif | tail -n +2 | jq -r .nst.content)" = out.tif ]
    run --separate-stderr nst -s style.ppm out.tif -o out2.tif --skip-done
    [[ $stderr == *skipped* ]]
}

@test "metadata that a format cannot hold is reported" {
    needs exiftool
    tagged in.jpg
    run --separate-stderr nst -s style.ppm in.jpg -o out.tif
    [[ $stderr == *"out.tif: EXIF of the input did not fit into this format"* ]]
    run --separate-stderr nst -s style.ppm in.jpg -o out.png
    [[ $stderr == *"out.png: IPTC of the input did not fit into this format"* ]]
    run --separate-stderr nst -s style.ppm in.jpg -o out.jpg
    [[ $stderr != *fit* ]]
    run --separate-stderr nst -s style.ppm in.jpg -o out.png --metadata none
    [ -z "$stderr" ]
    nst -q -s style.ppm photo.ppm -o in.tif
    exiftool -q -overwrite_original -Artist=Ada in.tif
    run --separate-stderr nst -s style.ppm in.tif -o out.png
    [[ $stderr == *"in.tif: EXIF of a TIFF is not kept"* ]]
    # more than a JPEG can hold
    nst -q -s style.ppm photo.ppm -o in.png
    printf '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="%070000d"/></rdf:RDF></x:xmpmeta>' 1 >xmp
    exiftool -q -overwrite_original '-xmp<=xmp' in.png
    run --separate-stderr nst -s style.ppm in.png -o out.jpg
    [[ $stderr == *"out.jpg: XMP of the input did not fit into this format"* ]]
}
