#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The dialog of the plug-in, and what the user does afterwards, in GIMP on a screen of its own.
bats_require_minimum_version 1.5.0
load helper
load window

setup() {
    [ -z "$(no_window)" ] || skip "$(no_window)"
    cd "$BATS_TEST_TMPDIR" || return 1
    gimp='' xvfb='' DISPLAY=''
}

teardown() {
    stop
}

# flat FILE WIDTH HEIGHT: a magenta picture, which is easy to find on the screen
flat() {
    vips black red.v "$2" "$3" && vips linear red.v full.v 1 255 --uchar
    vips bandjoin "full.v red.v full.v" "$1"
}

# Scripts of Script-Fu that wait for the user: (tell FILE) says that they are there, (hear FILE)
# goes on when it exists.
WAITING='(define (tell file) (close-output-port (open-output-file file)))
    (define (hear file) (while (not (file-exists? file)) (usleep 100000)))'
# ask: the call that opens the dialog
ASK='(plug-in-nst RUN-INTERACTIVE image (layer image) "" "" -1 0 0 -1 -1 FALSE "")'

@test "the preview is painted and follows the settings; OK paints, Undo and Redo are one step" {
    local dialog image
    flat photo.png 200 160
    flat other.png 120 90
    start "$WAITING
        (define image (open \"photo.png\"))
        (gimp-display-new image)
        $ASK
        (save image \"painted.png\") (tell \"1\") (hear \"2\")
        (save image \"undone.png\") (tell \"3\") (hear \"4\")
        (save image \"redone.png\")
        (define other (open \"other.png\"))
        (plug-in-nst RUN-WITH-LAST-VALS other (layer other) \"\" \"\" 0 0 0 0 0 FALSE \"\")
        (save other \"repeated.png\") (tell \"5\")"
    dialog=$(window "^Style Transfer$")
    await has_none "$dialog"
    enter "$dialog" alt+s munch
    enter "$dialog" alt+w 96
    enter "$dialog" alt+u "strength=0; iterations=4"
    await has_magenta "$dialog"
    enter "$dialog" alt+u "iterations=40; threads=2"
    await has_none "$dialog"
    keys "$dialog" Return
    await test -e 1
    unseen "^Style Transfer$"

    image=$(window "GIMP$")
    keys "$image" ctrl+z
    sleep 1
    touch 2
    await test -e 3
    keys "$image" ctrl+y
    sleep 1
    touch 4
    await test -e 5
    "$NST" -q --size 96 --iterations 40 --threads 2 -s munch photo.png -o small.png
    vips resize small.png large.png 2.0833333 --kernel lanczos3
    [ "$(mean_difference painted.png large.png | cut -d . -f 1)" -le 1 ]
    same undone.png photo.png
    same redone.png painted.png
    "$NST" -q --size 96 --iterations 40 --threads 2 -s munch other.png -o small.png
    vips resize small.png large.png 1.25 --kernel lanczos3
    [ "$(mean_difference repeated.png large.png | cut -d . -f 1)" -le 1 ]
}

@test "Cancel leaves the layer" {
    local dialog
    flat photo.png 200 160
    start "$WAITING
        (define image (open \"photo.png\"))
        (gimp-display-new image)
        $ASK" \
        "$WAITING
        (define image (aref (cadr (gimp-image-list)) 0))
        (save image \"after.png\") (tell \"1\")"
    dialog=$(window "^Style Transfer$")
    await has_none "$dialog"
    keys "$dialog" Escape
    await test -e 1
    same after.png photo.png
}

# The button of the progress bar kills the plug-in.
@test "a cancelled run restores the layer, or keeps the picture so far as one step" {
    local run="(nst image \"munch\" 64 \"iterations=1000000; threads=2"
    local saved="(define image (aref (cadr (gimp-image-list)) 0))"
    flat photo.png 200 160
    start "$WAITING
        (define image (open \"photo.png\"))
        (gimp-display-new image)
        (tell \"1\")
        $run\")" \
        "$WAITING $saved
        (save image \"restored.png\") (tell \"2\")
        $run; on-interrupt=keep\")" \
        "$WAITING $saved
        (save image \"kept.png\") (tell \"3\") (hear \"4\")
        (save image \"undone.png\") (tell \"5\")
        $run; on-interrupt=keep\")" \
        "$WAITING $saved
        (save image \"changed.png\") (tell \"6\")"
    await test -e 1
    keys "$(window "^Progress$")" Escape
    await test -e 2
    await has_none "" # the picture so far is in the image
    keys "$(window "^Progress$")" Escape
    await test -e 3
    keys "$(window "GIMP$")" ctrl+z
    sleep 1
    touch 4
    await test -e 5
    await has_none ""
    keys "$(window "GIMP$")" ctrl+z # while the plug-in works
    await has_magenta ""
    sleep 5 # two pictures so far, which must not come into the layer now
    keys "$(window "^Progress$")" Escape
    await test -e 6
    same changed.png photo.png
    same restored.png photo.png
    run ! same kept.png photo.png
    same undone.png photo.png
}
