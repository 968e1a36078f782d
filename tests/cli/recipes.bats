#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The recipes of docs/recipes, run as shown.
bats_require_minimum_version 1.5.0
load helper

setup_file() {
    export RECIPES=${srcdir:?}/docs/recipes
    PATH=$(dirname "$NST"):$PATH
}

# album: five images, and an nst in the path that makes small results quickly.
album() {
    mkdir album bin
    printf '#!/bin/sh\nexec "%s" "$@" --size 32 --iterations 2 --progress none\n' "$NST" >bin/nst
    chmod +x bin/nst
    PATH=$PWD/bin:$PATH
    export NST_HISTORY=$PWD/history.jsonl
    for i in 1 2 3 4 5; do
        picture p.ppm 40 30 $((i + 2))
        nst -q --history none -s style.ppm --strength 0 p.ppm -o "album/a photo $i.jpg"
    done
}

# recipe NAME: the lines of a recipe.
recipe() {
    awk -v name="$1" '$0 == "```" { on = 0 } on { print } $0 == "```sh " name { on = 1 }' "$RECIPES/README.md"
}

@test "the recipe for find makes missing results only" {
    album
    recipe find >script
    grep -q files-from script
    sh -eu script
    [ "$(find made -name '*-munch.jpg' | wc -l)" = 5 ]
    [ "$(wc -l <history.jsonl)" = 5 ]
    rm "made/album-a photo 3-munch.jpg"
    before=$(stat -c %Y.%i made/*1-munch.jpg)
    sh -eu script
    [ "$(wc -l <history.jsonl)" = 6 ]
    [ "$(stat -c %Y.%i made/*1-munch.jpg)" = "$before" ]
}

@test "the recipe for GNU parallel repeats failed jobs only" {
    needs parallel
    album
    recipe parallel >script
    echo damaged >"album/a photo 6.jpg"
    run sh -eu script
    [ "$status" = 2 ] # two of the jobs failed
    [ "$(find made -name '*.png' | wc -l)" = 10 ]
    [ "$(awk 'NR > 1 && $7 != 0' made/log | wc -l)" = 2 ]
    cp "album/a photo 5.jpg" "album/a photo 6.jpg"
    sh -eu script
    [ "$(find made -name '*.png' | wc -l)" = 12 ]
    [ "$(wc -l <history.jsonl)" = 12 ]
}

@test "the recipe for GNU parallel works on another machine" {
    needs parallel
    needs ssh
    [ -x /usr/sbin/sshd ] || skip "sshd is not installed"
    album
    for f in album/*; do # that is what parallel and rsync agree upon
        mv "$f" "${f// /-}"
    done
    ssh-keygen -q -t ed25519 -N '' -f host
    ssh-keygen -q -t ed25519 -N '' -f key
    # the remote user has the quick nst in the path
    printf 'Port 32222\nListenAddress 127.0.0.1\nHostKey %s\nPidFile %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nSetEnv PATH=%s NST_HISTORY=none LD_LIBRARY_PATH=%s\n' \
        "$PWD/host" "$PWD/pid" "$PWD/key.pub" "$PATH" "${LD_LIBRARY_PATH:-}" >sshd.conf
    mkdir -p /run/sshd 2>/dev/null || true
    /usr/sbin/sshd -f "$PWD/sshd.conf" -D -e 2>sshd.log 3>&- &
    sshd=$!
    printf '#!/bin/sh\nexec ssh -p 32222 -i %s -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes "$@"\n' "$PWD/key" >bin/ssh-there
    chmod +x bin/ssh-there
    WAIT_SECONDS=5 wait_until 'ssh-there 127.0.0.1 true 2>/dev/null' || {
        kill $sshd
        skip "sshd lets nobody in here"
    }
    recipe remote >script
    status=0
    PARALLEL_SSH=ssh-there PARALLEL_RSYNC_OPTS="-rlDzR -e ssh-there" HOSTS=127.0.0.1 sh -eu script || status=$?
    kill $sshd
    cat sshd.log
    [ $status = 0 ]
    [ "$(find . -name '*-munch.png' | wc -l)" = 5 ]
}

@test "the recipe for make repeats only what has changed" {
    album
    # make does not support spaces in names
    for f in album/*; do
        mv "$f" "${f// /-}"
    done
    recipe make >script
    cp style.ppm night.ppm
    sh -eu script
    [ "$(find made -name '*.png' | wc -l)" = 10 ]
    sh -eu script
    [ "$(wc -l <history.jsonl)" = 10 ]
    touch album/a-photo-2.jpg
    sh -eu script
    [ "$(wc -l <history.jsonl)" = 12 ]
    sed -i 's/-t 1/-t 2/' script
    sh -eu script
    [ "$(wc -l <history.jsonl)" = 22 ]
}

@test "the recipe for a film keeps the sound, at any size and bit depth" {
    needs ffmpeg
    mkdir bin
    printf '#!/bin/sh\nexec "%s" "$@" -S 64 -n 1 --history none\n' "$NST" >bin/nst
    chmod +x bin/nst
    PATH=$PWD/bin:$PATH
    recipe film >script
    for kind in 96x40:yuv420p 98x62:yuv420p 192x80:yuv420p10le 80x45:yuv422p; do
        ffmpeg -nostdin -v error -y -f lavfi -i "testsrc=s=${kind%:*}:r=5:d=0.4" -f lavfi -i sine=d=0.4 \
            -pix_fmt "${kind#*:}" -c:a aac in.mp4 || skip "ffmpeg lacks an encoder"
        sh -eu script
        [ "$(ffprobe -v error -show_entries stream=codec_type -of csv=p=0 out.mp4 | tr '\n' ' ')" = "video audio " ]
        "$RECIPES/film" in.mp4 film.mp4 -q -s munch
        cmp out.mp4 film.mp4
    done
    echo text >in.mp4
    run -1 --separate-stderr "$RECIPES/film" in.mp4 film.mp4 -q -s munch
    grep -q 'nst: standard input: is empty; did its writer fail?' <<<"$stderr"
    grep -q 'film: failed to decode,stylise,encode' <<<"$stderr"
    [ ! -e film.mp4 ]
}

@test "make with gallery.mk makes an interrupted picture again" {
    mkdir album made
    cp photo.ppm album/photo.png
    make -f "$RECIPES/gallery.mk" STYLES=munch OPTIONS="-q -S 64 -n 100000 --trace trace.jsonl" 2>said 3>&- &
    pid=$!
    wait_until '[ -s trace.jsonl ]'
    kill -TERM "$(pgrep -P $pid)"
    status=0
    wait $pid || status=$?
    [ $status = 2 ]
    [ ! -e made/photo-munch.png ]
    make -f "$RECIPES/gallery.mk" STYLES=munch OPTIONS="-q -S 32 -n 1"
    [ -s made/photo-munch.png ]
}

@test "the recipe for a watched folder makes each image that arrives" {
    needs inotifywait
    album
    mkdir incoming
    cp "album/a photo 1.jpg" incoming/
    setsid "$RECIPES/watch" incoming made -s munch 2>log 3>&- &
    pid=$!
    made() { # N: wait for as many
        wait_until "[ \"\$(find made -name '*-munch.jpg' 2>/dev/null | wc -l)\" = $1 ]"
    }
    made 1
    echo damaged >incoming/bad.jpg
    cp "album/a photo 2.jpg" incoming/
    { head -c 300 "album/a photo 3.jpg"; sleep 0.5; tail -c +301 "album/a photo 3.jpg"; } >incoming/slow.jpg
    mv "album/a photo 4.jpg" incoming/
    status=0
    made 4 || status=$?
    kill -- -$pid
    cat log
    [ $status = 0 ]
    [ "$(grep -c 'bad.jpg' log)" = 1 ]
    cmp "made/a photo 1-munch.jpg" <(bin/nst -q --history none -s munch "album/a photo 1.jpg" --format jpg)
}
