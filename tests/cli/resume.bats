#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Checkpoints and previews: a resumed run is the same to the bit as an uninterrupted
# one.
bats_require_minimum_version 1.5.0
load helper

# resume OPTION...: continue a run; its options are in the checkpoint.
resume() {
    "$NST" -s style.ppm photo.ppm --progress none "$@"
}

# same_pixels FILE FILE: the pixels are equal, whatever else is in the files.
same_pixels() {
    local f
    for f in "$@"; do
        "$NST" -q --strength 0 -S native -n 1 -s style.ppm "$f" --format ppm >"$f.pixels"
    done
    cmp "$1.pixels" "$2.pixels"
}

# same OPTION...: a run of 24 steps equals one of 11 that is resumed twice.
same() {
    nst -s style.ppm photo.ppm -o whole.png -n 24 "$@"
    nst -s style.ppm photo.ppm -o part.png -n 11 "$@" --checkpoint ck
    run ! cmp whole.png part.png
    resume -n 19 --checkpoint ck2 --resume ck -o more.png
    resume -n 24 --resume ck2 -o end.png
    cmp whole.png end.png
}

@test "a resumed run equals an uninterrupted one with L-BFGS" {
    same
}

@test "a resumed run equals an uninterrupted one with Adam" {
    same --optimiser adam
}

@test "a resumed run equals an uninterrupted one with few pairs, tiles, padding, --keep-mask" {
    awk 'BEGIN { print "P2\n48 36\n255"; for (i = 0; i < 48 * 36; i++) print i % 256 }' >mask.pgm
    same --curvature-pairs 4 -S 96 --scales none --tile 32 --padding reflect --keep-mask mask.pgm
}

@test "a resumed run equals an uninterrupted one with progressive and blended scales" {
    for mode in progressive blend; do
        nst -s style.ppm photo.ppm -o whole.png --scales 16,32,64 --scale-iterations 9,7,6 \
            --scale-mode $mode
        nst -s style.ppm photo.ppm -o part.png --scales 16,32,64 --scale-iterations 9,7,2 \
            --scale-mode $mode --checkpoint ck
        resume -o end.png --resume ck --scale-iterations 9,7,6
        cmp whole.png end.png
    done
}

# killed OPTION...: kill a run after its first checkpoint, resume it and compare.
killed() {
    "$NST" -s style.ppm photo.ppm -o whole.png --progress none -n 60 "$@"
    rm -f ck out.png
    "$NST" -s style.ppm photo.ppm -o out.png --progress none -n 60 "$@" --checkpoint ck \
        --save-every 7 &
    wait_until '[ -s ck ]'
    kill -KILL $!
    wait $! || true
    [ ! -e out.png ]
    "$NST" -s style.ppm photo.ppm -o out.png --progress none --resume ck
    cmp whole.png out.png
}

@test "a run killed with SIGKILL and resumed makes the same file" {
    killed -S 192
    killed -S 192 --optimiser adam
    killed -S 192 --tile 96
    killed --scales 64,128,256
    killed --scales 64,128,256 --scale-mode blend
}

@test "an interrupted run writes a checkpoint" {
    "$NST" -s style.ppm photo.ppm -o whole.png -S 128 --progress none -n 100
    interrupt_nst -s style.ppm photo.ppm -o out.png -S 128 -n 100 --checkpoint ck \
        --save-every 100000 || true
    [ -s ck ]
    "$NST" -s style.ppm photo.ppm -o out.png --progress none --resume ck
    cmp whole.png out.png
}

@test "the trace of a resumed run continues counting" {
    needs jq
    nst -s style.ppm photo.ppm -o a.png -n 9 --checkpoint ck --trace a.jsonl
    nst -s style.ppm photo.ppm -o b.png -n 15 --trace b.jsonl
    nst -s style.ppm photo.ppm -o c.png -n 15 --resume ck --trace c.jsonl
    cmp <(cat a.jsonl c.jsonl | jq -c 'select(.evaluation) | del(.seconds)') \
        <(jq -c 'select(.evaluation) | del(.seconds)' b.jsonl)
}

@test "a checkpoint that cannot be resumed is refused in one line" {
    nst -s style.ppm photo.ppm -o a.png -n 9 --checkpoint ck
    refused 2 'style-weight is 7000 in ck, and cannot become 5' -s style.ppm photo.ppm \
        -o out.png --resume ck -w 5
    refused 2 'resume: no: no such checkpoint; .* leave out --resume' -s style.ppm photo.ppm -o out.png --resume no
    refused 1 'is not a checkpoint' -s style.ppm photo.ppm -o out.png \
        --resume "${srcdir:?}/models/vgg19-lite.safetensors"
    refused 2 '--preset and --resume are mutually exclusive' -s style.ppm photo.ppm -o out.png --resume ck \
        -p fine
    picture other.ppm 40 32 77
    refused 2 'checkpoint belongs to other images' -s other.ppm photo.ppm -o out.png --resume ck
    sed 's/"size\\": 32/"size\\": 48/' ck >large # its arrays are too small
    refused 1 'does not match this run: it is incomplete or made by another version' -s style.ppm \
        photo.ppm -o out.png -S 48 --resume large
    head -c 20000 ck >'cut'
    refused 1 'cut short' -s style.ppm photo.ppm -o out.png --resume cut
    refused 2 'works for one image only' -s style.ppm photo.ppm photo.ppm -o d/ --checkpoint x
    refused 2 'named for two outputs' -s style.ppm photo.ppm -o out.png \
        --checkpoint out.png
}

@test "a checkpoint that does not fit on the disk is reported, and the image is made" {
    run --separate-stderr nst -s style.ppm photo.ppm -o out.png --checkpoint /dev/full
    [ "$status" = 0 ]
    [[ $stderr == *"checkpoint: /dev/full: "* ]]
    [ -s out.png ]
}

@test "a series of previews is numbered by the steps of all scales, also after a resume" {
    nst -s style.ppm photo.ppm -o a.png --scales 16,24,48 --scale-iterations 5,3,2
    mkdir all
    nst -s style.ppm photo.ppm -o b.png --scales 16,24,48 --scale-iterations 5,3,2 \
        --save-every 2 --preview 'all/f-{step}-{scale}.png'
    cmp a.png b.png
    [ "$(cd all && echo *)" = "f-000002-16.png f-000004-16.png f-000005-16.png \
f-000007-24.png f-000008-24.png f-000010-48.png" ]
    # all have the size of the result, and the last one equals it
    for f in all/*.png; do
        [ "$(dimensions "$f")" = "$(dimensions b.png)" ]
    done
    same_pixels b.png all/f-000010-48.png
    # an interrupted and resumed run makes the same previews
    mkdir part
    nst -s style.ppm photo.ppm -o c.png --scales 16,24,48 --scale-iterations 5,3,2 \
        --save-every 2 --preview 'part/f-{step}-{scale}.png' --checkpoint ck \
        --max-evaluations 8
    run ! test -e part/f-000008-24.png
    resume -o c.png --resume ck --max-evaluations none --scale-iterations 5,3,2 \
        --save-every 2 --preview 'part/f-{step}-{scale}.png'
    cmp b.png c.png
    for f in all/*.png; do
        cmp "$f" "part/${f#all/}"
    done
    mkdir '{old}'
    nst -s style.ppm photo.ppm -o d.png --preview '{old}/p.png'
    [ -s '{old}/p.png' ]
}

@test "the last preview equals the result with Adam and with blended scales" {
    for o in "--optimiser adam" "--scales 24,48 --scale-mode blend"; do
        # shellcheck disable=SC2086 # word splitting is intended
        nst -s style.ppm photo.ppm -o b.png -n 6 $o --preview seen.png --colour content
        same_pixels b.png seen.png
    done
}

@test "an invalid series of previews is refused" {
    frame() { refused "$1" "$2" -s style.ppm photo.ppm -o out.png --preview "${@:3}"; }
    frame 2 "preview: 'f-.step': a . without its }" 'f-{step'
    frame 2 'preview: {stem} is none of {step} and {scale}' '{stem}.png'
    frame 2 'a series works for one image' 'f{step}.png' --y4m
    frame 2 "'.xyz' is not an image format" 'f{step}.xyz'
    frame 2 'no/f000000.png: cannot be written' 'no/f{step}.png'
    frame 2 'f000003.png: named for two outputs' 'f{step}.png' -o f000003.png
    frame 2 'f12.png: named for two outputs' "$PWD/f{step}.png" --trace f12.png
    frame 2 'f12.png: named for two outputs' 'f{scale}{step}.png' --checkpoint f12.png
    ln -s photo.ppm f000004.png
    frame 2 'f000004.png: is an input file' 'f{step}.png'
}

@test "a preview shows the current image and does not change the result" {
    nst -s style.ppm photo.ppm -o a.png -n 12
    nst -s style.ppm photo.ppm -o b.png -n 12 --save-every 5 --preview seen.png
    cmp a.png b.png
    [ "$(dimensions seen.png)" = "$(dimensions b.png)" ]
    # the last preview shows the last step
    same_pixels b.png seen.png
    for o in "--colour content" "--padding reflect" "--keep-mask photo.ppm" "--scales 24,32"; do
        # shellcheck disable=SC2086 # word splitting is intended
        nst -s style.ppm photo.ppm -o b.png -n 6 $o --preview seen.png --save-every 1
        [ "$(dimensions seen.png)" = "$(dimensions b.png)" ]
        same_pixels b.png seen.png
    done
    refused 2 'preview: standard output cannot' -s style.ppm photo.ppm -o out.png --preview -
    refused 2 'named for two outputs' -s style.ppm photo.ppm -o out.png --preview out.png
    refused 2 'is an input file' -s style.ppm photo.ppm -o out.png --preview photo.ppm
    # a preview that does not fit on the disk does not end the run
    ln -s /dev/full full.png
    nst -s style.ppm photo.ppm -o c.png -n 2 --save-every 1 --preview full.png 2>said
    grep -q 'preview: full.png' said
    [ -s c.png ]
}

@test "--resume alone continues the run of a checkpoint, from any directory" {
    picture other.ppm 30 40 3
    awk 'BEGIN { print "P2\n48 36\n255"; for (i = 0; i < 48 * 36; i++) print i % 256 }' >mask.pgm
    run_on() { nst -s style.ppm:2 --mask mask.pgm -s other.ppm photo.ppm -o "$@"; }
    run_on whole.png -n 9
    run_on out.png -n 4 --checkpoint ck
    run ! cmp out.png whole.png
    mkdir elsewhere
    cd elsewhere
    "$NST" -q --resume ../ck -n 9
    cmp ../out.png ../whole.png
    # the command line overrides what it names
    "$NST" -q --resume ../ck -n 9 -o here.png
    cmp here.png ../whole.png
    refused 2 'none.ppm: No such file' --resume ../ck -s none.ppm -S 32 -n 9
    # a configuration does not add its style
    echo '{"options": {"style": "munch"}}' >c.json
    "$NST" -q --config c.json --resume ../ck -n 9 -o here.png
    cmp here.png ../whole.png
}

@test "--resume finds the files of --init and --keep-mask from any directory" {
    picture start.ppm 48 36 3
    awk 'BEGIN { print "P2\n48 36\n255"; for (i = 0; i < 48 * 36; i++) print i % 256 }' >keep.pgm
    run_on() { nst -s style.ppm --init start.ppm --keep-mask keep.pgm photo.ppm -o "$@"; }
    run_on whole.png -n 9
    run_on out.png -n 4 --checkpoint ck
    run_on out.png -n 9 --resume ck # the same names, relative
    cmp out.png whole.png
    refused 2 'resume: keep-mask is .*/keep.pgm in ck, and cannot become photo.ppm' \
        --resume ck --keep-mask photo.ppm -n 9
    mkdir elsewhere
    cd elsewhere
    "$NST" -q --resume ../ck -n 9
    cmp ../out.png ../whole.png
}

@test "a checkpoint of another format is refused, and of another version reported" {
    nst -s style.ppm photo.ppm -o out.png -n 4 --checkpoint ck
    sed 's/nst checkpoint 1/nst checkpoint 2/' ck >ck2
    refused 1 "^nst: ck2: has the format 'nst checkpoint 2', but this version of nst reads 'nst" \
        --resume ck2 -n 9
    sed 's/"version":"[^"]/"version":"9/' ck >ck3
    "$NST" --progress none --resume ck3 -n 9 2>said
    grep -q '^nst: ck3: was made by nst 9' said
    [ "$(wc -l <said)" = 1 ]
}
