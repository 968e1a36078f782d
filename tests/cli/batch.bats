#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Batches: their inputs, their outputs, and which images are skipped.
bats_require_minimum_version 1.5.0
load helper

# album: a directory of images with subdirectories.
album() {
    mkdir -p album/trip/far album/.hidden
    cp photo.ppm album/one.ppm
    cp photo.ppm album/two.png.ppm
    cp photo.ppm album/trip/three.ppm
    cp photo.ppm album/trip/far/four.ppm
    cp photo.ppm album/.hidden/five.ppm
    echo text >album/notes.txt
    ln -s .. album/trip/loop
}

made() {
    (cd "$1" && find . -type f | sort)
}

# as FORMAT FILE: convert an image to another format without stylising it.
as() {
    nst -q -s style.ppm --strength 0 "$2" -S native -o "${2%.*}.$1"
}

@test "a directory's images are processed in order, with -r also those in subdirectories" {
    album
    nst -s style.ppm -o a/ album/ 2>log
    [ "$(made a)" = "./one-style.ppm
./two.png-style.ppm" ]
    [ "$(tail -n 1 log)" = "nst: 2 done, 0 skipped, 0 failed" ]
    nst -r -s style.ppm -o b album photo.ppm --name '{style}/{stem}_{index}.{ext}' -q || true
    mkdir b
    nst -r -s style.ppm -o b album photo.ppm --name '{style}/{stem}_{index}.{ext}'
    [ "$(made b)" = "./style/one_0001.ppm
./style/photo_0005.ppm
./style/two.png_0004.ppm
./trip/far/style/four_0002.ppm
./trip/style/three_0003.ppm" ]
}

@test "files of a directory that are left out are counted, and images of any format taken" {
    mkdir -p d/sub
    for i in 1 2 3 4; do
        echo text >d/$i.txt
    done
    mkfifo d/z.jpg
    touch d/.hidden.txt
    cp photo.ppm d/sub/a.pbm.old
    cp photo.ppm d/photo.PPM
    nst -s style.ppm -r d -o out/ 2>said
    [ "$(cat said)" = "nst: 6 left out: 1.txt, 2.txt, 3.txt, ...: not a regular file with the extension of an image" ]
    [ "$(made out)" = ./photo-style.PPM ]
    rm d/photo.PPM d/[234].txt
    run -2 --separate-stderr nst -s style.ppm d -o out/
    [ "$stderr" = "nst: d: contains no images, but 1.txt, z.jpg; use -r to include subdirectories" ]
    needs convert
    for format in bmp dds ico pcx psd qoi sgi tga xbm xcf xpm jfif apng j2k; do
        convert photo.ppm d/x.$format
        mv d/x.$format d/$format.$format # apng has frames
    done
    nst -q -s style.ppm d -o formats/ --name '{stem}.ppm' -S native --strength 0
    [ "$(made formats | wc -l)" = 14 ]
    nst -q -s style.ppm photo.ppm -o same.ppm -S native --strength 0
    for format in bmp ico pcx psd qoi sgi tga; do # lossless
        cmp same.ppm formats/$format.ppm
    done
}

@test "a directory tree that contains the results can be processed again" {
    album
    cd album
    nst -r --skip-done -s munch --format png -o made/ . 2>log
    [ "$(tail -n 1 log)" = "nst: 4 done, 0 skipped, 0 failed" ]
    nst -r --skip-done -s munch --format png -o made . 2>log
    [ "$(tail -n 1 log)" = "nst: 0 done, 4 skipped, 0 failed" ]
}

@test "an unreadable directory fails, and the others are processed" {
    local as_nobody=()
    if [ "$(id -u)" = 0 ]; then # may read all
        needs setpriv
        as_nobody=(setpriv --reuid=65534 --clear-groups)
    fi
    mkdir -p t/a t/locked t/z
    for folder in a locked z; do cp photo.ppm t/$folder; done
    chmod 000 t/locked
    chmod o+x "$BATS_RUN_TMPDIR"
    chmod 777 .
    if ! "${as_nobody[@]}" cat photo.ppm >/dev/null || ! "${as_nobody[@]}" "$NST" --version; then
        chmod 700 t/locked
        skip "another user cannot get here"
    fi
    run --separate-stderr "${as_nobody[@]}" "$NST" --history none --progress none -n 2 \
        -S 32 -s style.ppm -r t -o made/
    chmod 700 t/locked # or nobody could remove it
    [ "$status" -eq 1 ]
    [[ $stderr == *"t/locked: Permission denied"* ]]
    [[ $stderr == *"2 done, 0 skipped, 1 failed"* ]]
    [ -s made/a/photo-style.ppm ] && [ -s made/z/photo-style.ppm ]
}

@test "--files-from reads names from a file or standard input, by line or NUL byte" {
    cp photo.ppm 'with a space.ppm'
    cp photo.ppm $'with\na line.ppm'
    printf 'with a space.ppm\n\nphoto.ppm' >list
    nst -s style.ppm -o a/ --files-from list
    [ "$(made a | wc -l)" = 2 ]
    find . -maxdepth 1 -name 'with*' -print0 | nst -s style.ppm -o b/ --files-from - -0
    [ "$(find b -type f -print0 | tr -cd '\0' | wc -c)" = 2 ]
}

@test "lists and presets from Windows are read, and UTF-16 is named" {
    cp photo.ppm two.ppm
    cp photo.ppm $'odd\r'
    printf '\xef\xbb\xbfphoto.ppm\r\n\r\ntwo.ppm\r\nodd\r\nnone.ppm\r' >list
    run --separate-stderr nst -q -s style.ppm -o a/ --files-from list
    [ "$status" = 2 ]
    [[ $stderr == *"none.ppm: No such file"* ]]
    [ "$(made a | wc -l)" = 3 ]
    # the carriage returns are no part of the names
    run --separate-stderr nst -q -s style.ppm -o b/ --files-from - < <(printf '\xef\xbb\xbfnone.ppm\r\n')
    [ "$(cat -v <<<"$stderr")" = "nst: none.ppm: No such file or directory" ]
    printf '\xef\xbb\xbf{\r\n"options": {"iterations": 1}\r\n}\r\n' >preset.json
    nst -p ./preset.json --config ./preset.json --show-config | grep -q '"iterations": 3'
    "$NST" -p ./preset.json --show-config | grep -q '"iterations": 1'
    printf '\xff\xfep\0h\0o\0t\0o\0' >list
    refused 2 'files-from: list: is UTF-16 text; save it as UTF-8' -s style.ppm -o c/ --files-from list
    printf '\xfe\xff\0{' >preset.json
    refused 2 'preset.json: is UTF-16 text' -p ./preset.json -s style.ppm photo.ppm -o o.png
    refused 2 'preset.json: is UTF-16 text' --config ./preset.json -s style.ppm photo.ppm -o o.png
}

@test "outputs that collide with each other or with an input are refused before work begins" {
    album
    mkdir other
    cp photo.ppm other/one.ppm
    refused 2 'would both be written to out/one-style.ppm' -s style.ppm -o out/ album other
    refused 2 'would both be written to out/x.ppm' -s style.ppm -o out/ album --name x.ppm
    refused 2 'is an input file' -s style.ppm -o . photo.ppm --name '{stem}.{ext}'
    refused 2 'name: .* a { without its }' -s style.ppm -o out/ photo.ppm --name '{stem'
    refused 2 'name: {stam} is none of' -s style.ppm -o out/ photo.ppm --name '{stam}.png'
    refused 2 'does not name a file below' -s style.ppm -o out/ photo.ppm --name '../{stem}.png'
    mkdir empty
    refused 2 'empty: contains no images' -s style.ppm -o out/ empty
    refused 2 'need an output directory' -s style.ppm -o out.png album
    : >list
    refused 2 'contains no file names' -s style.ppm -o out/ --files-from list
    refused 2 'null: requires' -0 -s style.ppm -o out/ photo.ppm
    refused 2 'No such file' -s style.ppm -o out/ --files-from nowhere
}

@test "outputs that collide through symbolic links are refused" {
    mkdir -p a b out/real
    cp photo.ppm a/real.ppm
    cp photo.ppm b/link.ppm
    ln -s real out/link
    refused 2 'would both be written to out/(link|real)/x.png' -s style.ppm -o out/ \
        --name '{stem}/x.png' a/real.ppm b/link.ppm
    ln -s ../nowhere.png out/real.png
    ln -s ../nowhere.png out/link.png
    refused 2 'would both be written to' -s style.ppm -o out/ --name '{stem}.png' a/real.ppm b/link.ppm
    nst -s style.ppm -o new/ --name '{stem}/x.png' a/real.ppm b/link.ppm
    [ "$(made new | wc -l)" = 2 ]
}

@test "file names of any bytes keep messages on one line and JSON valid" {
    needs jq
    odd=$'a \n"b"\e\'\xff*.ppm'
    cp photo.ppm "$odd"
    cp photo.ppm one.ppm
    "$NST" -S 32 -n 2 -s style.ppm "$odd" one.ppm -o out/ --progress plain --history h.jsonl 2>lines
    [ -s "out/${odd%.ppm}-style.ppm" ]
    run ! grep -av '^nst: ' lines
    "$NST" -S 32 -n 2 -s style.ppm "$odd" one.ppm -o out/ --progress json 2>events
    [ "$(grep '^{' events | jq -r 'select(.event == "end") | .picture | length' | sort -n | tr '\n' ' ')" = "7 14 " ]
    nst -s "$odd" --keep-mask "$odd" "$odd" -o $'c\n\xfe.png' --history h.jsonl
    history() { NST_HISTORY=none "$(dirname "$NST")"/nst-history --history h.jsonl "$@"; }
    history list >runs
    [ "$(wc -l <runs)" = 3 ]
    jq -e '.content | endswith("a \n\"b\"\u001b'"'"'\uefff*.ppm")' <<<"$(tail -n 1 h.jsonl)"
    history rerun "$(tail -n 1 runs | cut -c1-8)" -o again.png
    cmp $'c\n\xfe.png' again.png
    [ "$(history find $'\xff' | wc -l)" = 2 ]
    mv $'c\n\xfe.png' again.png # rerun writes the same name
    history rerun "$(tail -n 1 runs | cut -c1-8)"
    cmp $'c\n\xfe.png' again.png
    NST_HISTORY=none "$NST" -S 32 -n 3 -s "$odd" --keep-mask "$odd" "$odd" -o $'c\n\xfe.png' --progress none --skip-done 2>said
    grep -aq 'is up to date; skipped' said
    # a preset, and a name that looks like a recorded byte
    pua=$'\xee\xbe\x80\xff.ppm'
    cp photo.ppm "$pua"
    nst --init "$pua" -s style.ppm --show-config >p.json
    nst -p ./p.json -s style.ppm photo.ppm -o p.png
    run -2 --separate-stderr nst -s style.ppm $'no\nwhere.ppm' one.ppm -o out/
    [ "$(grep -c . <<<"$stderr")" = 2 ]
}

@test "--skip-done skips finished results and repeats them if an input or option changes" {
    needs jq
    for format in png jpg tif webp; do
        cp photo.ppm photo-$format.ppm
        as $format photo-$format.ppm
        rm photo-$format.ppm
    done
    all() { nst -s style.ppm -o out/ photo-*.* --skip-done "$@" 2>log || cat log; tail -n 1 log; }
    [ "$(all)" = "nst: 4 done, 0 skipped, 0 failed" ]
    sum=$(cat out/* | sha256sum)
    [ "$(all)" = "nst: 0 done, 4 skipped, 0 failed" ]
    [ "$(all -t 1 --progress plain)" = "nst: 0 done, 4 skipped, 0 failed" ]
    [ "$(cat out/* | sha256sum)" = "$sum" ]
    [ "$(all -w 5)" = "nst: 4 done, 0 skipped, 0 failed" ]
    [ "$(all)" = "nst: 4 done, 0 skipped, 0 failed" ]
    picture photo-png.ppm 48 36 13
    as png photo-png.ppm
    rm photo-png.ppm
    [ "$(all)" = "nst: 1 done, 3 skipped, 0 failed" ]
    picture style.ppm 40 32 6
    [ "$(all)" = "nst: 4 done, 0 skipped, 0 failed" ]
    nst -s style.ppm -o out/ photo-png.png -s hokusai --skip-done --name photo-png-style.png
    [ "$(all)" = "nst: 1 done, 3 skipped, 0 failed" ]
    # a result of an interrupted run does not count as finished
    interrupt_nst -S 256 -n 100000 -s style.ppm photo.ppm -o out/photo-style.png || true
    run -0 --separate-stderr "$NST" -S 256 -n 2 --skip-done -s style.ppm photo.ppm \
        -o out/photo-style.png --progress none
    [[ $stderr != *"is up to date"* ]]
}

@test "a result that names no input does not replace that of another image either" {
    mkdir a b
    picture a/x.ppm 48 36 11
    picture b/x.ppm 48 36 13
    for mode in private none; do
        nst -s style.ppm a/x.ppm -o $mode/ --metadata $mode --format png
        refused 2 "^nst: $mode/x-style.png: was made from another image, and is not replaced" \
            -s style.ppm b/x.ppm -o $mode/ --metadata $mode --format png
        nst -s style.ppm a/x.ppm -o $mode/ --metadata $mode --format png
    done
}

@test "a result does not replace that of another image of the same name" {
    needs jq
    mkdir a b
    picture x.ppm 48 36 11
    as png x.ppm && mv x.png a/
    picture x.ppm 48 36 13
    as png x.ppm && mv x.png b/
    rm x.ppm
    for history in h.jsonl none; do
        rm -rf out
        nst -s style.ppm a/x.png -o out/ --history $history
        sum=$(sha256sum <out/x-style.png)
        for options in "" --skip-done --dry-run "-w 5"; do
            # shellcheck disable=SC2086 # word splitting is intended
            run -2 --separate-stderr nst -s style.ppm $options b/x.png -o out/ --history $history
            from=x.png
            [ $history = none ] || from=$PWD/a/x.png
            [ "$stderr" = "nst: out/x-style.png: was made from another image, $from, and is not replaced by that of b/x.png; use --name with {folder}, -o FILE, or remove it" ]
        done
        [ "$(sha256sum <out/x-style.png)" = "$sum" ]
        # the same image with other options, by another path, or as a copy
        nst -s style.ppm -w 5 ./b/../a/x.png -o out/ --history $history
        cp a/x.png x.png
        nst -s style.ppm x.png -o out/ --history $history
        [ "$(sha256sum <out/x-style.png)" = "$sum" ]
        # names that do not depend on the image, and the remedies
        nst -s style.ppm a/x.png -o out/ --name '{index}.png' --history $history
        nst -s style.ppm b/x.png -o out/ --name '{index}.png' --history $history
        nst -s style.ppm a/x.png b/x.png -o out/ --name '{folder}-{stem}.{ext}' --history $history
        [ "$(ls out | tr '\n' ' ')" = "0001.png a-x.png b-x.png x-style.png " ]
        nst -s style.ppm b/x.png -o out/x-style.png --history $history
    done
    # a change of the image: the history knows its path, and that of a newer one elsewhere
    rm -rf out
    nst -s style.ppm x.png -o out/ --history h.jsonl
    cp -p b/x.png x.png
    touch -d '1 hour ago' x.png
    nst -s style.ppm x.png -o out/ --history h.jsonl
    touch a/x.png
    run -2 --separate-stderr nst -s style.ppm a/x.png -o out/ --history h.jsonl
    # without a history, a newer image has changed, and an older one is another
    nst -s style.ppm a/x.png -o out/
    run -2 --separate-stderr nst -s style.ppm x.png -o out/
    # by another extension
    cp a/x.png x.png
    nst -s style.ppm x.png -o out/ --name '{stem}.png'
    mkdir j && cp b/x.png j/x.jpeg
    touch j/x.jpeg
    run -2 --separate-stderr nst -s style.ppm j/x.jpeg -o out/ --name '{stem}.png'
}

@test "two processes do not replace each other's results of the same name" {
    mkdir a b
    picture a/x.ppm 48 36 11
    picture b/x.ppm 48 36 13
    mkdir out
    "$NST" -q -S 64 -n 60 -t 1 -s style.ppm --format png --name '{stem}.png' a/x.ppm -o out/ &
    first=$!
    status=0
    "$NST" -q -S 64 -n 60 -t 1 -s style.ppm --format png --name '{stem}.png' b/x.ppm -o out/ 2>said || status=$?
    other=0
    wait $first || other=$?
    [ $((status + other)) = 2 ]
}

@test "a batch that is killed and restarted gives the same bytes" {
    for i in 1 2 3 4 5 6; do
        picture p$i.ppm 64 48 $((i + 2))
        as png p$i.ppm
    done
    "$NST" -q -S 64 -n 15 -s style.ppm -o whole/ p?.png
    "$NST" -q -S 64 -n 15 -s style.ppm -o cut/ p?.png --skip-done &
    wait_until '[ -n "$(ls cut 2>/dev/null)" ]'
    kill -KILL $!
    wait $! || true
    there=$(cd cut && ls)
    before=$(cd cut && stat -c '%n %Y.%i' $there)
    run -0 --separate-stderr "$NST" -S 64 -n 15 -s style.ppm -o cut/ p?.png --skip-done --progress none
    [[ $stderr == *"skipped, 0 failed" ]]
    [ "$(cd cut && stat -c '%n %Y.%i' $there)" = "$before" ]
    [ "$(made cut)" = "$(made whole)" ]
    for i in 1 2 3 4 5 6; do
        cmp whole/p$i-style.png cut/p$i-style.png
    done
}

@test "one bad image of a batch is reported, and the others are made" {
    echo nonsense >bad.png
    run -1 --separate-stderr nst -s style.ppm -o out/ photo.ppm bad.png style.ppm
    [[ $stderr == *"bad.png: "* ]]
    [[ $stderr == *"nst: 2 done, 0 skipped, 1 failed" ]]
    [ "$(made out | wc -l)" = 2 ]
}

# numbered N: make N small images p1.ppm ... of different sizes.
numbered() {
    for i in $(seq "$1"); do
        picture p"$i".ppm $((24 + i % 3 * 8)) 24 $((i + 2))
    done
}

@test "results are the same for any number of parallel jobs" {
    numbered 7
    munch='-s munch:0.3' # a style pack beside the picture
    for options in "" "--scales 24,32 --colour match" "$munch --strength 0.5 --padding reflect"; do
        for jobs in 1 3 auto; do
            # shellcheck disable=SC2086 # word splitting is intended
            nst -t 2 -j $jobs -s style.ppm $options p?.ppm -o $jobs/ 2>log
            [ "$(tail -n 1 log)" = "nst: 7 done, 0 skipped, 0 failed" ]
            diff -r 1 $jobs
        done
        rm -r 1 3 auto
    done
}

@test "a batch reads a style only once" {
    numbered 5
    mkfifo fifo.ppm
    cat style.ppm >fifo.ppm & # and no more than this once
    timeout 60 "$NST" -q -S 32 -n 2 --scales 24,32 -j 1 -s fifo.ppm p?.ppm -o out/
    [ "$(made out | wc -l)" = 5 ]
}

@test "with parallel jobs, progress lines and events name their image" {
    needs jq
    numbered 3
    "$NST" -S 32 -n 3 -j 3 --progress json -s style.ppm p?.ppm -o out/ 2>events
    grep '^{' events >json
    [ "$(jq -r 'select(.event == "end") | .picture' json | sort | tr '\n' ' ')" = "p1.ppm p2.ppm p3.ppm " ]
    "$NST" -S 32 -n 3 -j 3 --progress plain -s style.ppm p?.ppm -o out/ 2>lines
    [ "$(grep -c '^nst: p[123].ppm: 100% 3/3' lines)" = 3 ]
    needs_terminal
    script -qec "'$NST' -S 32 -n 3 -j 3 --progress bar -s style.ppm p?.ppm -o out/" /dev/null </dev/null >bar
    grep -q '100%.*3/3 pictures' bar
}

@test "the percent of a batch never falls, and every image has an end event" {
    needs jq
    numbered 3
    nst -s style.ppm p1.ppm -o out/ --name '{stem}.png'
    echo damaged >bad.ppm
    for jobs in 1 3; do
        rm -f out/p2.png out/p3.png
        "$NST" -q -S 32 -n 3 -j $jobs -s style.ppm --skip-done --name '{stem}.png' --progress-file p.jsonl p?.ppm bad.ppm -o out/ 2>said || [ $? = 1 ]
        jq -es '[.[].percent] as $p | $p == ($p | sort) and ($p[-1] | round) == 100 and all(.pictures == 4)' p.jsonl
        [ "$(jq -r 'select(.event == "end") | "\(.number) \(.picture) \(.end)"' p.jsonl | sort | tr '\n' ,)" = \
            "1 p1.ppm skipped,2 p2.ppm completed,3 p3.ppm completed,4 bad.ppm failed," ]
    done
}

@test "an interrupt writes the best image so far of every running job" {
    numbered 6
    env --default-signal=INT "$NST" -S 64 -n 100000 -t 2 -j 2 --progress json -s style.ppm p?.ppm -o out/ 2>progress 3>&- &
    pid=$!
    wait_until '[ "$(grep step progress | grep -o "p[0-9].ppm" | sort -u | wc -l)" = 2 ]'
    kill -INT $pid
    status=0
    wait $pid || status=$?
    [ "$status" = 130 ]
    [ "$(made out | wc -l)" = 2 ]
    [ "$(grep -c '"end":"stopped"' progress)" = 2 ]
}

@test "an interrupt leaves images that have not started untouched" {
    numbered 2
    needs jq
    needs_plain_build
    one=$("$NST" -S 320 -s style.ppm p1.ppm -o x.ppm --dry-run --json | jq .peak_memory)
    mkdir out
    echo old >out/p2-style.ppm
    # memory for one image, not for two at a time
    env --default-signal=INT "$NST" -S 320 -n 100000 -t 2 -j 2 --max-memory $((one + 16777216)) --progress json -s style.ppm p?.ppm -o out/ 2>progress 3>&- &
    pid=$!
    wait_until '[ "$(grep -c step progress)" -gt 20 ]'
    kill -INT $pid
    status=0
    wait $pid || status=$?
    [ "$status" = 130 ]
    grep -q 'nst: 0 done, 0 skipped, 0 failed, 1 interrupted, 1 left' progress
    if grep step progress | grep -q p1.ppm; then
        [ "$(cat out/p2-style.ppm)" = old ]
    else # the other came first
        [ ! -e out/p1-style.ppm ]
    fi
}

@test "an error that all images share is reported once" {
    numbered 6
    for options in "-s missing.png" "-s style.ppm --mask missing.png" "-s style.ppm --init missing.png"; do
        # shellcheck disable=SC2086 # word splitting is intended
        run -2 --separate-stderr nst -t 3 -j 3 $options p?.ppm -o out/
        [ "$(grep -c missing.png <<<"$stderr")" = 1 ]
    done
}

@test "a batch killed repeatedly at random moments loses nothing" {
    needs jq
    for i in 1 2 3 4 5 6; do
        picture p$i.png 40 30 $((i + 2)) # a PPM by its contents
    done
    # an array, not a function: kill would hit the background shell and not nst
    batch=("$NST" -q -S 40 -n 100 -t 2 -j 2 -s style.ppm p?.png --skip-done)
    RANDOM=${NST_TEST_SEED:-$$}
    echo "# NST_TEST_SEED=${NST_TEST_SEED:-$$}"
    kills=0 wanted=5
    [ -z "${NST_TEST_ALL:-}" ] || wanted=50
    "${batch[@]}" -o whole/ --history whole.jsonl
    while [ $kills -lt $wanted ]; do
        "${batch[@]}" -o cut/ --history cut.jsonl &
        sleep 0.$((RANDOM % 3))$((RANDOM % 10))
        if kill -KILL $! 2>/dev/null; then
            kills=$((kills + 1))
        fi
        wait $! || true
        # every result is complete, and there are no other files
        for f in cut/*; do
            [ ! -e "$f" ] || cmp "$f" "whole/$(basename "$f")"
        done
        [ "$(ls -A cut 2>/dev/null | wc -l)" -lt 6 ] || rm -r cut # and once more
    done
    "${batch[@]}" -o cut/ --history cut.jsonl
    diff -r whole cut
    # each kill may lose the history line of one result
    "$(dirname "$NST")"/nst-history --history cut.jsonl list >runs
    [ "$(wc -l <runs)" -ge $((6 - kills)) ]
}

@test "a full disk is reported in one line and leaves no partial file" {
    mkdir small
    unshare -rm true 2>/dev/null || skip "no file system can be mounted here"
    cat >full.sh <<'END'
set -eu
mount -t tmpfs -o size=48k tmpfs small || exit 77
cp photo.ppm p1.ppm && cp photo.ppm p2.ppm
# a history that exists, on a full disk
"$NST" -q -S 32 -n 2 -s style.ppm photo.ppm -o first.png --history small/h.jsonl
cp small/h.jsonl before.jsonl
head -c 100000 /dev/zero >small/filler 2>/dev/null || true
for i in 1 2 3 4; do # until the page that it has is full
    "$NST" -q -S 32 -n 2 -s style.ppm photo.ppm -o more$i.png --history small/h.jsonl 2>>said
    [ -s more$i.png ]
done
grep -q '^nst: .*h.jsonl.*space' said
failed=$(wc -l <said)
"$(dirname "$NST")"/nst-history --history small/h.jsonl list >runs 2>damaged
[ "$(wc -l <runs)" = $((5 - failed)) ] && [ ! -s damaged ]
rm small/filler
# results that do not fit
status=0
"$NST" -q -S 128 -n 2 -s style.ppm p1.ppm p2.ppm -o small/ --name '{stem}.ppm' --history none 2>said || status=$?
[ $status = 3 ]
grep -q '^nst: small/p[12].ppm: .*space' said
grep -q '0 skipped, [12] failed' said
status=0 # the full disk counts more than a damaged file
echo x >damaged.ppm
"$NST" -q -S 128 -n 2 -s style.ppm p1.ppm p2.ppm damaged.ppm -o small/ --name '{stem}.ppm' --history none || status=$?
[ $status = 3 ]
for f in small/*.ppm; do
    [ ! -e "$f" ] || [ "$(wc -c <"$f")" -gt 36000 ]
done
END
    status=0
    unshare -rm bash -x full.sh || status=$?
    [ $status != 77 ] || skip "no file system can be mounted here"
    [ $status = 0 ]
}
