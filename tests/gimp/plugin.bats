#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The plug-in in GIMP.
bats_require_minimum_version 1.5.0
load helper

OPTIONS="iterations=4; threads=2"

# by_nst FROM TO ARG...: what the program makes with the same options
by_nst() {
    local from=$1 to=$2
    shift 2
    "$NST" --iterations 4 --threads 2 --progress none -q "$@" -s "$PACK" "$from" -o "$to"
}

@test "a layer of 8 bits becomes what nst makes of the file, and keeps its alpha" {
    picture photo.png 300 80
    picture other.png 300 80 5
    vips extract_band other.png alpha.png 1
    vips bandjoin "photo.png alpha.png" clear.png
    well "(let ((image (open \"photo.png\")))
            (nst image \"$PACK\" 0 \"$OPTIONS\")
            (save image \"result.png\"))" \
        "(let ((image (open \"clear.png\")))
            (nst image \"$PACK\" 128 \"$OPTIONS\")
            (nst image \"$PACK\" 0 \"$OPTIONS; colour=content\")
            (save image \"twice.png\"))" \
        "(let ((image (open \"clear.png\")))
            (nst image \"$PACK\" 0 \"$OPTIONS\")
            (save image \"transparent.png\"))"
    by_nst photo.png expected.png --size 300
    same result.png expected.png
    run ! same result.png photo.png
    by_nst clear.png expected.png --size 300
    same transparent.png expected.png
    vips extract_band twice.png kept.png 3
    same kept.png alpha.png
}

@test "the arguments are those of nst, and the last ones are used again" {
    local call="(plug-in-nst RUN-NONINTERACTIVE image (layer image)"
    picture photo.png 120 90
    picture style.png 64 48 5
    picture other.png 48 64 7
    well "(let ((image (open \"photo.png\")))
            $call \"style.png:2; other.png\" \"photo-colours\" 0.75 96 1.5 2 7 FALSE
                \"iterations=3; init=noise; threads=1\")
            (save image \"mixed.png\"))" \
        "(let ((image (open \"photo.png\")))
            (plug-in-nst RUN-WITH-LAST-VALS image (layer image) \"\" \"\" 0 0 0 0 0 FALSE \"\")
            (save image \"again.png\"))" \
        "(let ((image (open \"photo.png\")))
            $call \"$PACK\" \"photo-colours\" -1 0 0 -1 -1 TRUE \"iterations=3\")
            (gimp-message (string-append \"layers \"
                (number->string (car (gimp-image-get-layers image))) \" \"
                (car (gimp-item-get-name (layer image)))))
            (save image \"above.png\")
            (gimp-image-remove-layer image (layer image))
            (save image \"below.png\"))"
    [[ $output == *"layers 2 Style Transfer: munch"* ]]
    "$NST" -q -p photo-colours --strength 0.75 --size 96 --style-scale 1.5 --colour match \
        --seed 7 --iterations 3 --init noise -s style.png:2 -s other.png photo.png -o small.png
    vips resize small.png large.png 1.25 --kernel lanczos3
    [ "$(difference mixed.png large.png | cut -d . -f 1)" -le 3 ] # large.png is of 8 bits
    same mixed.png again.png
    same below.png photo.png
    "$NST" -q -p photo-colours --size 120 --iterations 3 -s "$PACK" photo.png -o expected.png
    same above.png expected.png
}

@test "the selection bounds the work, and its soft edge is the mask" {
    picture photo.png 160 90
    well "(let* ((image (open \"photo.png\")))
            (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 30 20 110 60)
            (nst image \"$PACK\" 0 \"$OPTIONS\")
            (gimp-message (string-append \"selected \"
                (number->string (car (gimp-selection-value image 30 20))) \" \"
                (number->string (car (gimp-selection-value image 29 20))) \" \"
                (number->string (car (gimp-image-get-channels image))) \" \"
                (car (gimp-item-get-name (layer image)))))
            (save image \"box.png\"))" \
        "(let* ((image (open \"photo.png\"))
                (channel (car (gimp-channel-new image 160 90 \"soft\" 100 '(0 0 0))))
                (old (layer image)))
            (gimp-image-insert-channel image channel 0 0)
            (gimp-context-set-foreground '(0 0 0))
            (gimp-edit-fill channel FILL-FOREGROUND)
            (gimp-context-set-foreground '(128 128 128))
            (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 20 10 50 70)
            (gimp-edit-fill channel FILL-FOREGROUND)
            (gimp-context-set-foreground '(255 255 255))
            (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 100 10 40 70)
            (gimp-edit-fill channel FILL-FOREGROUND)
            (gimp-image-select-item image CHANNEL-OP-REPLACE channel)
            (gimp-image-set-active-layer image old)
            (gimp-message (string-append \"half \"
                (number->string (car (gimp-selection-value image 20 10)))))
            (nst image \"$PACK\" 0 \"$OPTIONS\")
            (save image \"soft.png\"))"
    [[ $output == *"selected 255 0 0 Background"* ]]
    vips crop photo.png part.png 30 20 110 60
    by_nst part.png made.png --size 110
    vips insert photo.png made.png expected.png 30 20
    same box.png expected.png

    half=$(sed -n 's/.*half //p' <<<"$output")
    [ "$half" -gt 10 ] && [ "$half" -lt 245 ]
    vips black gap.png 120 70
    vips linear gap.png white.png 1 255 --uchar
    vips black a.png 50 70
    vips linear a.png soft-part.png 1 $((255 - half)) --uchar
    vips black hard-part.png 40 70
    vips insert white.png soft-part.png one.png 0 0
    vips insert one.png hard-part.png keep.png 80 0
    vips crop photo.png part.png 20 10 120 70
    by_nst part.png made.png --size 120 --keep-mask keep.png
    vips insert photo.png made.png expected.png 20 10
    same soft.png expected.png
}

@test "16 bits, floats, linear light and profiles keep their precision" {
    local precision
    picture photo.png 160 90
    vips cast photo.png wide.v ushort
    vips linear wide.v scaled.v 257 40 # not the samples of 8 bits
    vips cast scaled.v clipped.v ushort
    vips copy clipped.v deep.png --interpretation rgb16
    vips icc_transform photo.png p3.png p3 --input-profile srgb
    well "(let ((image (open \"deep.png\")))
            (nst image \"$PACK\" 0 \"$OPTIONS\")
            (save image \"deep-result.png\"))" \
        "(for-each (lambda (precision)
            (let ((image (open \"deep.png\")))
                (gimp-image-convert-precision image precision)
                (nst image \"$PACK\" 0 \"$OPTIONS\")
                (gimp-image-convert-precision image PRECISION-U16-GAMMA)
                (save image (string-append \"deep-\" (number->string precision) \".png\"))))
            (list PRECISION-U16-LINEAR PRECISION-FLOAT-LINEAR PRECISION-FLOAT-GAMMA
                PRECISION-HALF-GAMMA))" \
        "(let ((image (open \"p3.png\")))
            (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 0 0 160 45)
            (gimp-image-select-ellipse image CHANNEL-OP-ADD 20 20 100 70)
            (nst image \"$PACK\" 0 \"$OPTIONS\")
            (gimp-selection-all image)
            (nst image \"$PACK\" 0 \"$OPTIONS\")
            (save image \"p3-twice.png\"))" \
        "(let ((image (open \"p3.png\")))
            (nst image \"$PACK\" 0 \"$OPTIONS\")
            (save image \"p3-result.png\"))" \
        "(let ((image (open \"p3.png\")))
            (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 0 0 20 20)
            (gimp-image-select-rectangle image CHANNEL-OP-ADD 140 70 20 20)
            (nst image \"$PACK\" 0 \"$OPTIONS\")
            (save image \"p3-corners.png\"))"
    by_nst deep.png expected.png --size 160
    [[ $(vipsheader expected.png) == *ushort* ]]
    same deep-result.png expected.png
    # Optimisation magnifies the last bits of the photograph, above all those of half floats.
    while read -r precision most; do
        mean_difference "deep-$precision.png" expected.png
        [ "$(mean_difference "deep-$precision.png" expected.png | cut -d . -f 1)" -lt "$most" ]
    done <<END
200 100
600 3
650 3
550 1000
END
    by_nst p3.png expected.png --size 160
    mean_difference p3-result.png expected.png # GIMP and nst convert with other libraries
    [ "$(mean_difference p3-result.png expected.png | cut -d . -f 1)" -le 1 ]
    vips crop p3.png a.png 20 20 120 50
    vips crop p3-corners.png b.png 20 20 120 50
    same a.png b.png
    run ! same p3.png p3-corners.png
}

# Each is painted as its own picture: the result is its luminance.
@test "grey layers, channels and layer masks are painted, and nothing else of the image" {
    local stir before after
    picture photo.png 160 90
    vips colourspace photo.png grey.png b-w
    stir="(define (mean drawable) (number->string
            (round (* 100 (car (gimp-drawable-histogram drawable 0 0 1))))))
        (define (stir image drawable)
            (let ((before (mean drawable)))
                (plug-in-nst RUN-NONINTERACTIVE image drawable \"$PACK\" \"\" -1 0 0 -1 -1 TRUE
                    \"$OPTIONS\")
                (gimp-message (string-append \"means \" before \" \" (mean drawable)))))"
    well "(let ((image (open \"grey.png\")))
            (nst image \"$PACK\" 0 \"$OPTIONS\")
            (save image \"grey-result.png\"))" \
        "$stir (let* ((image (open \"photo.png\"))
                (old (layer image))
                (channel (car (gimp-channel-new-from-component image RED-CHANNEL \"red\"))))
            (gimp-image-insert-channel image channel 0 0)
            (stir image channel)
            (gimp-image-set-active-layer image old)
            (save image \"channel.png\"))" \
        "$stir (let* ((image (open \"photo.png\"))
                (old (layer image))
                (mask (car (gimp-layer-create-mask old ADD-MASK-COPY))))
            (gimp-layer-add-mask old mask)
            (stir image mask)
            (gimp-message (string-append \"layers \"
                (number->string (car (gimp-image-get-layers image)))))
            (gimp-layer-remove-mask old MASK-DISCARD)
            (save image \"mask.png\"))"
    [[ $output == *"layers 1"* ]]
    [ "$(grep -c "means " <<<"$output")" = 2 ]
    while read -r before after; do
        [ "$before" != "$after" ]
    done < <(sed -n 's/.*means //p' <<<"$output")
    by_nst grey.png made.png --size 160
    vips colourspace made.png expected.png b-w
    [ "$(vipsheader -f bands grey-result.png)" = 1 ]
    [ "$(mean_difference grey-result.png expected.png | cut -d . -f 1)" -le 1 ]
    run ! same grey-result.png grey.png
    same channel.png photo.png
    same mask.png photo.png
}

@test "a layer beyond the borders of the image is painted as a whole" {
    picture photo.png 160 90
    well "(let ((image (open \"photo.png\")))
            (gimp-image-resize image 40 30 -70 -20)
            (nst image \"$PACK\" 0 \"$OPTIONS\")
            (gimp-image-resize-to-layers image)
            (save image \"larger.png\"))" \
        "(let ((image (open \"photo.png\")))
            (gimp-image-resize image 40 30 300 200)
            (nst image \"$PACK\" 0 \"$OPTIONS\")
            (gimp-image-resize-to-layers image)
            (save image \"beside.png\"))" \
        "(let ((image (open \"photo.png\")))
            (gimp-image-resize image 40 30 -70 -20)
            (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 0 0 40 30)
            (nst image \"$PACK\" 0 \"$OPTIONS\")
            (gimp-image-resize-to-layers image)
            (save image \"part.png\"))"
    by_nst photo.png expected.png --size 160
    same larger.png expected.png
    same beside.png expected.png
    vips crop photo.png part-of.png 70 20 40 30
    by_nst part-of.png made.png --size 40
    vips insert photo.png made.png expected.png 70 20
    same part.png expected.png
}

@test "the picture so far goes into the layer, and the result replaces it" {
    picture photo.png 160 90
    well "(let ((image (open \"photo.png\")))
            (nst image \"$PACK\" 0 \"iterations=12; threads=2; on-interrupt=keep\")
            (save image \"result.png\"))" \
        "(let ((image (open \"photo.png\")))
            (gimp-image-select-ellipse image CHANNEL-OP-ADD 20 20 100 60)
            (nst image \"$PACK\" 0 \"iterations=12; threads=2\")
            (save image \"selected.png\"))" \
        "(let ((image (open \"photo.png\")))
            (gimp-image-select-ellipse image CHANNEL-OP-ADD 20 20 100 60)
            (plug-in-nst RUN-NONINTERACTIVE image (layer image) \"$PACK\" \"\" -1 0 0 -1 -1 TRUE
                \"iterations=12; threads=2; on-interrupt=keep\")
            (gimp-message (string-append \"layers \"
                (number->string (car (gimp-image-get-layers image)))))
            (save image \"above.png\")
            (gimp-image-remove-layer image (layer image))
            (save image \"below.png\"))"
    "$NST" -q --iterations 12 --threads 2 --size 160 -s "$PACK" photo.png -o expected.png
    [[ $output == *"layers 2"* ]]
    same result.png expected.png
    same above.png selected.png
    same below.png photo.png
}

@test "a layer is painted in tiles, and memory that is too small is named" {
    picture photo.png 320 240
    gimp "(let ((image (open \"photo.png\")))
            (nst image \"$PACK\" 0 \"$OPTIONS; tile=128\")
            (save image \"tiled.png\"))" \
        "(nst (open \"photo.png\") \"$PACK\" 0 \"$OPTIONS; max-memory=64M\")"
    grep -qE "Error: .*failed.*: .*max-memory" <<<"$output"
    by_nst photo.png expected.png --size 320 --tile 128
    same tiled.png expected.png
}

@test "a mistake is named, and the layer stays as it is" {
    local scripts=() wrong
    picture photo.png 64 48
    picture tiny.png 12 12
    echo "not a network" >broken.safetensors
    while read -r wrong; do
        scripts+=("(let ((image (open \"photo.png\"))) $wrong)")
    done <<'END'
(nst image "no-such-style" 0 "")
(nst image "" 0 "")
(nst image "munch" 8 "")
(nst image "munch" 0 "iteratons=3")
(nst image "munch" 0 "output=x.png")
(nst image "munch" 0 "iterations=none")
(nst image "munch" 0 "model=no-such-model")
(nst image "munch" 0 "model=broken.safetensors")
(nst (open "tiny.png") "munch" 0 "")
(call image "no-such-preset" -1 0 0)
(call image "" 7 0 0)
(call image "" 1 99 0)
(call image "" 1 0 5)
(begin (gimp-layer-translate (layer image) 500 0) (gimp-image-select-rectangle image 2 0 0 20 20) (nst image "munch" 0 ""))
(begin (gimp-image-convert-indexed image 0 0 16 0 0 "") (nst image "munch" 0 ""))
(let ((group (car (gimp-layer-group-new image)))) (gimp-image-insert-layer image group 0 0) (nst image "munch" 0 ""))
END
    gimp "${scripts[@]}"
    [ "$(grep -c "batch command experienced" <<<"$output")" = "${#scripts[@]}" ]
    while read -r wrong; do
        grep -qE -- "Error: .*failed.*$wrong" <<<"$output" || {
            echo "not said: $wrong"
            false
        }
    done <<'END'
on invalid input arguments: style 'no-such-style': no such file, style pack or network
on invalid input arguments: style: '' names no style
on invalid input arguments: size: '8'.*16
on invalid input arguments: options: 'iteratons' is not an option of nst
on invalid input arguments: options: 'output' has no meaning in GIMP
on invalid input arguments: iterations: 'none'
no-such-model
: .*broken.safetensors
layer: 12x12 pixels is too small: each side needs at least 16
on invalid input arguments: preset 'no-such-preset'
on invalid input arguments: strength: '7'
on invalid input arguments: style-scale: '99'
on invalid input arguments: colours: 5; 0 .*are possible
the selection contains no pixel of the layer
the image is indexed
a layer group has no pixels of its own
END
}

# The button in GIMP's progress bar does the same to the plug-in.
@test "a plug-in that is killed leaves GIMP and the layer as they are" {
    local tries=0 pid program=$GIMP2_DIRECTORY/plug-ins/nst/nst
    picture photo.png 120 90
    gimp '(nst (open "photo.png") "munch" 0 "iterations=1000000")' \
        '(save (aref (cadr (gimp-image-list)) 0) "after.png")' >log 2>&1 &
    until pid=$(pgrep -f "^$program -gimp"); do
        tries=$((tries + 1))
        [ "$tries" -lt 1200 ]
        sleep 0.1
    done
    sleep 1
    kill "$pid"
    wait $!
    cat log
    grep -q "batch command experienced" log
    same after.png photo.png
}
