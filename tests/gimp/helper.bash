# SPDX-License-Identifier: MIT
# helper.bash - shared by the tests of the plug-in: real GIMP without a window, with a
# profile and plug-in folders of its own. $NST is the program of this build.

# missing: print why there can be no test; nothing if there can
missing() {
    if ! command -v gimp-console >/dev/null; then
        echo "GIMP is not installed"
    elif ! [ -x "$(dirname "$NST")/../src/gimp/.libs/nst" ]; then
        echo "built without the plug-in for GIMP"
    elif ! command -v vips >/dev/null; then
        echo "the program vips is not installed"
    fi
}

# The plug-ins of GIMP that the tests need; with all of them GIMP starts slowly.
setup_file() {
    local build gimp name
    build=$(dirname "$(dirname "$NST")")
    [ -z "$(missing)" ] || return 0
    gimp=$(pkg-config --variable=gimplibdir gimp-2.0)
    export GIMP2_DIRECTORY=$BATS_FILE_TMPDIR/profile
    export XDG_CACHE_HOME=$BATS_FILE_TMPDIR/cache XDG_CONFIG_HOME=$BATS_FILE_TMPDIR/config
    mkdir -p "$GIMP2_DIRECTORY/plug-ins/nst" "$XDG_CACHE_HOME" "$XDG_CONFIG_HOME"
    for name in brushes dynamics fonts gradients palettes patterns tool-presets; do
        mkdir "$GIMP2_DIRECTORY/$name"
    done
    for name in script-fu file-png file-tiff; do
        ln -s "$gimp/plug-ins/$name" "$GIMP2_DIRECTORY/plug-ins/"
    done
    cp "$build/src/gimp/.libs/nst" "$GIMP2_DIRECTORY/plug-ins/nst/nst"
    ln -s "$build/share" "$GIMP2_DIRECTORY/plug-ins/nst/share" # where it looks for data
    echo "(plug-in-path \"$GIMP2_DIRECTORY/plug-ins\")" >"$GIMP2_DIRECTORY/gimprc"
    # the libraries of GIMP leak
    [ "${SANITIZERS:-no}" = no ] || export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0
    export LD_LIBRARY_PATH=$build/.libs NST_HISTORY=none
    export PACK=$build/share/nst/styles/munch.nststyle
}

setup() {
    [ -z "$(missing)" ] || skip "$(missing)"
    cd "$BATS_TEST_TMPDIR" || return 1
}

# picture FILE WIDTH HEIGHT [SEED]: make a PNG of waves in three colours.
picture() {
    awk -v w="$2" -v h="$3" -v s="${4:-11}" 'BEGIN {
        printf "P3\n%d %d\n255\n", w, h
        for (y = 0; y < h; y++)
            for (x = 0; x < w; x++)
                printf "%d %d %d\n", 127 + 120 * sin(x * s / 17 + y / 5),
                    127 + 120 * cos(y * s / 23), 127 + 120 * sin((x + y) * s / 31)
    }' >"$1.ppm"
    vips copy "$1.ppm" "$1"
}

write_functions() {
    cat >functions.scm <<'SCRIPT'
(define (open file) (car (gimp-file-load RUN-NONINTERACTIVE file file)))
(define (layer image) (car (gimp-image-get-active-drawable image)))
(define (save image file)
    (file-png-save2 RUN-NONINTERACTIVE image (layer image) file file
                    0 6 0 0 0 0 0 0 1))
(define (nst image style size options)
    (plug-in-nst RUN-NONINTERACTIVE image (layer image) style "" -1 size 0 -1 -1 FALSE
                 options))
(define (call image preset strength scale colours)
    (plug-in-nst RUN-NONINTERACTIVE image (layer image) "munch" preset strength 0 scale
                 colours -1 FALSE ""))
SCRIPT
}

# load_scripts SCRIPT...: set $commands to the options with which GIMP runs the scripts
load_scripts() {
    local script number=0
    commands=()
    write_functions
    for script in "$@"; do
        number=$((number + 1))
        { cat functions.scm && echo "$script"; } >"script-$number.scm"
        commands+=(-b "(load \"script-$number.scm\")")
    done
}

# gimp SCRIPT...: run scripts of Script-Fu in GIMP, one after the other, also after one that
# fails. $output has their messages. These functions come before them:
#   (open FILE), (save IMAGE FILE) to a PNG, (layer IMAGE): the active one, and
#   (nst IMAGE STYLE SIZE OPTIONS) and (call IMAGE PRESET STRENGTH SCALE COLOURS), which run
#   the plug-in on the active layer.
gimp() {
    local commands
    load_scripts "$@"
    run timeout 300 gimp-console -i -d -f --batch-interpreter plug-in-script-fu-eval \
        "${commands[@]}" -b '(gimp-quit 1)'
    echo "$output"
}

# well SCRIPT...: as gimp, and none of them fails
well() {
    gimp "$@"
    [[ $output != *"batch command experienced"* ]]
}

# same A B: the pictures have the same pixels
same() {
    [ "$(pixels "$1")" = "$(pixels "$2")" ]
}

# pixels FILE: a digest of its pixels without metadata
pixels() {
    vips rawsave "$1" raw.bin && vipsheader -f width "$1" && vipsheader -f bands "$1" &&
        md5sum <raw.bin
}

# difference A B: the largest difference of two samples
difference() {
    vips subtract "$1" "$2" difference.v && vips abs difference.v absolute.v &&
        vips max absolute.v
}

# mean_difference A B: the mean difference of their samples
mean_difference() {
    difference "$1" "$2" >/dev/null && vips avg absolute.v
}
