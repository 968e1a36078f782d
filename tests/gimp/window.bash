# SPDX-License-Identifier: MIT
# window.bash - GIMP with windows on a screen of its own, and a user that presses keys.
# After helper.bash.

SCREEN=1280x1000
gimp='' xvfb='' # their process IDs

# no_window: print why there can be no test; nothing if there can
no_window() {
    local program
    missing
    for program in Xvfb xdotool ffmpeg; do
        command -v "$program" >/dev/null || echo "the program $program is not installed"
    done
}

# start SCRIPT...: start GIMP, which runs the scripts, as gimp() does. An image that a script
# makes is closed unsaved at the end.
start() {
    local commands
    load_scripts "$@"
    Xvfb -displayfd 3 -screen 0 ${SCREEN}x24 -nolisten tcp 3>display >xvfb.log 2>&1 &
    xvfb=$!
    await test -s display
    DISPLAY=:$(cat display)
    export DISPLAY
    rm -rf "$GIMP2_DIRECTORY/backups"
    env -u DBUS_SESSION_BUS_ADDRESS gimp -n -s -d -f \
        --batch-interpreter plug-in-script-fu-eval "${commands[@]}" >gimp.log 2>&1 3>&- &
    gimp=$!
}

# stop: end GIMP, which may have changed images, and the screen. GIMP ends its plug-ins.
stop() {
    [ -z "$gimp" ] || kill -9 "$gimp" || true
    [ -z "$xvfb" ] || kill "$xvfb" || true
    gimp='' xvfb=''
}

# await COMMAND...: until it succeeds, for at most three minutes
await() {
    local end=$((SECONDS + 180))
    until "$@"; do
        if [ "$SECONDS" -ge "$end" ]; then
            echo "waited in vain: $*"
            [ ! -f gimp.log ] || grep -v -e "theme engine" -e "^$" gimp.log
            [ -z "$DISPLAY" ] || cp "$(shot)" "$BATS_FILE_TMPDIR/failed.png"
            return 1
        fi
        sleep 0.2
    done
}

# window NAME: the number of the window with that title, once it is there
window() {
    await seen "$1" >&2
    xdotool search --onlyvisible --name "$1" | tail -n 1
}

seen() {
    xdotool search --onlyvisible --name "$1" >/dev/null 2>&1
}

unseen() {
    ! seen "$1"
}

# keys WINDOW KEY...: press keys there
keys() {
    xdotool windowfocus --sync "$1" key --delay 60 "${@:2}"
}

# enter WINDOW KEY TEXT: write text into the field that the key selects
enter() {
    keys "$1" "$2" ctrl+a
    xdotool type --delay 40 "$3"
}

# shot [WINDOW]: a picture of the screen, or of its part at a window; print its name
shot() {
    local X=0 Y=0 WIDTH=${SCREEN%x*} HEIGHT=${SCREEN#*x}
    [ -z "${1:-}" ] || eval "$(xdotool getwindowgeometry --shell "$1" | grep -E '^(X|Y|WIDTH|HEIGHT)=')"
    ffmpeg -v error -y -f x11grab -draw_mouse 0 -video_size "${WIDTH}x$HEIGHT" \
        -i "$DISPLAY+$X,$Y" -frames:v 1 shot.png && echo shot.png
}

# magenta [WINDOW]: how many pixels of the screen or the window are magenta
magenta() {
    local all
    rm -f shot.png
    shot "${1:-}" >/dev/null || return 1
    vips extract_band shot.png red.v 0 && vips extract_band shot.png green.v 1 &&
        vips extract_band shot.png blue.v 2
    vips relational_const red.v a.v more 250 && vips relational_const green.v b.v less 5 &&
        vips relational_const blue.v c.v more 250
    vips boolean a.v b.v ab.v and && vips boolean ab.v c.v abc.v and
    all=$(($(vipsheader -f width abc.v) * $(vipsheader -f height abc.v)))
    awk -v mean="$(vips avg abc.v)" -v all="$all" 'BEGIN { printf "%d\n", mean / 255 * all + 0.5 }'
}

# has_magenta, has_none [WINDOW]: whether there is a picture in that colour
has_magenta() {
    [ "$(magenta "$1")" -gt 5000 ]
}

has_none() {
    [ "$(magenta "$1")" -lt 100 ]
}
