#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# scripts/nst-film: whole films, around ffmpeg.
bats_require_minimum_version 1.5.0
load helper

# film.mkv has three scenes of six frames, sound, subtitles, chapters and tags; film.mp4 has the
# same but in MP4. through is an nst that changes no frame.
setup_file() {
    export FILM=${srcdir:?}/scripts/nst-film MISSING="" NST_HISTORY=none
    command -v ffmpeg >/dev/null || MISSING="ffmpeg is not installed"
    [ -z "$MISSING" ] || return 0
    cd "$BATS_FILE_TMPDIR" || return 1
    printf '1\n00:00:00,100 --> 00:00:01,000\nA line.\n' >lines.srt
    printf ';FFMETADATA1\ntitle=A film\n[CHAPTER]\nTIMEBASE=1/10\nSTART=0\nEND=6\ntitle=One\n[CHAPTER]\nTIMEBASE=1/10\nSTART=6\nEND=18\ntitle=Two\n' >tags
    pictures 6 6 -f lavfi -i sine=d=1.8 -i lines.srt -i tags -map '[v]' -map 1:a -map 2:s -map_metadata 3 \
        -map_chapters 3 -metadata:s:v language=fra -c:v libx264 -bf 2 -colorspace smpte170m \
        -color_primaries bt709 -color_trc bt709 -c:a aac -c:s srt film.mkv &&
        ffmpeg -nostdin -v error -i film.mkv -map 0 -c copy -c:s mov_text film.mp4 || MISSING="ffmpeg lacks an encoder"
    {
        echo '#!/bin/sh'
        # shellcheck disable=SC2016 # for that script
        echo 'for word; do case $word in --help | --version) exec "$REAL" "$word" ;; --dry-run) cat >/dev/null; exit ;; esac; done'
        echo 'exec cat'
    } >through
    chmod +x through
    export REAL=$NST
}

# pictures A B ARG...: run ffmpeg with scenes of A, B and 6 frames as [v], 64x48 at 10 a second
pictures() {
    local a=$1 b=$2
    shift 2
    ffmpeg -nostdin -v error -y -f lavfi -i "testsrc2=s=64x48:r=10,trim=end_frame=${a}[a];
        mandelbrot=s=64x48:r=10,trim=end_frame=${b},negate[b]; color=s=64x48:r=10,trim=end_frame=6,
        drawgrid=w=9:h=9:c=yellow[c]; [a][b][c]concat=n=3,format=yuv420p[out0]" "${@/'[v]'/0:v}"
}

# film ARG...: run nst-film, quickly
film() {
    [ -z "$MISSING" ] || skip "$MISSING"
    "$FILM" -s munch -n 2 -S 32 "$@"
}

# through ARG...: run nst-film with an nst that changes no frame
through() {
    [ -z "$MISSING" ] || skip "$MISSING"
    NST=$BATS_FILE_TMPDIR/through "$FILM" -q -s munch "$@"
}

md5() { # FILE STREAM: of its packets
    ffmpeg -nostdin -v error -i "$1" -map "0:$2" -c copy -f md5 -
}

frames() { # FILE: a checksum per decoded frame
    ffmpeg -nostdin -v error -i "$1" -map 0:v -fps_mode passthrough -f framemd5 - | grep -v '^#' | sed 's/.*,//'
}

# probe FILE ENTRY,...: of the pictures, separated by commas
probe() {
    ffprobe -v error -count_frames -select_streams v -of csv=p=0 -show_entries "stream=$2" "$1"
}

# is_refused STATUS PATTERN ARG...: with one line, and no file is left
is_refused() {
    local status=$1 pattern=$2
    shift 2
    local before=(* .*)
    run "-$status" --separate-stderr film "$@"
    echo "$stderr"
    stderr=${stderr%$'\n'"Try 'nst-film --help' or 'man nst-film' for more information."}
    [ -z "$output" ] && [[ $stderr == nst-film:* ]] && [[ $stderr != *$'\n'* ]]
    grep -qE -- "$pattern" <<<"$stderr"
    local after=(* .*)
    [ "${before[*]}" = "${after[*]}" ]
}

@test "a film keeps its sound, subtitles, chapters, tags, rate and frames" {
    for suffix in mkv mp4; do
        in=$BATS_FILE_TMPDIR/film.$suffix
        film -q -o out.$suffix "$in"
        for stream in a s; do
            [ "$(md5 out.$suffix $stream)" = "$(md5 "$in" $stream)" ]
        done
        entries=r_frame_rate,nb_read_frames,color_space,color_transfer,color_primaries,pix_fmt
        [ "$(probe out.$suffix $entries)" = "$(probe "$in" $entries)" ]
        [ "$(probe out.$suffix width,height)" = 32,24 ]
        said() { ffprobe -v error -show_chapters -show_entries chapter=start_time,end_time:format_tags=title:stream_tags=language -of csv "$1" |
            awk -F, '/^chapter/ { $2 = sprintf("%.1f", $2); $3 = sprintf("%.1f", $3) } { print }'; } # a part of a frame
        said "$in" >wanted
        diff <(said out.$suffix) wanted
        grep -q 'A film' wanted
        grep -q 'fra' wanted
    done
    # subtitles take the form of the output, and OUT is replaced
    film -q -o out.mp4 "$BATS_FILE_TMPDIR/film.mkv"
    [ "$(ffprobe -v error -select_streams s -show_entries stream=codec_name -of csv=p=0 out.mp4)" = mov_text ]
    film -o out.avi "$BATS_FILE_TMPDIR/film.mkv" --scene-threshold 1 2>said
    grep -q 'AVI cannot hold its subtitles' said
    [ "$(probe out.avi nb_read_frames)" = 18 ]
    [ "$(ls)" = "$(printf '%s\n' out.avi out.mkv out.mp4 photo.ppm said style.ppm wanted)" ]
}

@test "each scene is a run of its own" {
    film --list-scenes -o out.mkv "$BATS_FILE_TMPDIR/film.mkv" >list
    diff list <(printf '1\t1\t6\t0.000\n2\t7\t6\t0.600\n3\t13\t6\t1.200\n')
    film -q --scene 2 -o out.mkv "$BATS_FILE_TMPDIR/film.mkv"
    ffmpeg -nostdin -v error -i "$BATS_FILE_TMPDIR/film.mkv" -vf 'trim=start_frame=6:end_frame=12,setpts=PTS-STARTPTS' \
        -f yuv4mpegpipe - | "$NST" --y4m -q -s munch -n 2 -S 32 - >alone.y4m
    cmp <(frames alone.y4m) <(frames out.mkv.nst-film/0002.mkv)
    film --list-scenes --scene-threshold 1 -o one.mkv "$BATS_FILE_TMPDIR/film.mkv" >list
    [ "$(cut -f 1-3 list)" = "$(printf '1\t1\t18')" ]
}

@test "scenes of an array of tasks, joined, are the film that one run makes" {
    in=$BATS_FILE_TMPDIR/film.mkv
    film -q -o whole.mkv "$in" --keep-work
    film --list-scenes -o parts.mkv "$in" | while read -r n _; do
        [ "$n" = 1 ] || film -q --scene "$n" -o parts.mkv "$in" </dev/null
    done
    run -1 --separate-stderr film --join -o parts.mkv "$in"
    [[ $stderr == *"1 of 3 scenes are missing; the first is scene 1" ]]
    [ ! -e parts.mkv ]
    film -q --scene 1-2 -o parts.mkv "$in"
    film -q --join -o parts.mkv "$in"
    cmp whole.mkv parts.mkv
    [ ! -e parts.mkv.nst-film ]
    # several scenes at the same time
    film -q -j 2 -o jobs.mkv "$in" --keep-work
    cmp whole.mkv jobs.mkv
    for n in 1 2 3; do
        cmp whole.mkv.nst-film/000$n.mkv jobs.mkv.nst-film/000$n.mkv
    done
}

# begin ARG...: run film in a session of its own, $pid
begin() {
    [ -z "$MISSING" ] || skip "$MISSING"
    env --default-signal=INT setsid "$FILM" -q -s munch -n 2 -S 32 "$@" 2>said 3>&- &
    pid=$!
}

@test "a film that was killed continues, and ends with the same bytes" {
    in=$BATS_FILE_TMPDIR/film.mkv
    film -q -o whole.mkv "$in"
    work=out.mkv.nst-film
    for point in "$work/scenes*.part" "$work/0001.*.part" "$work/0002.*.part" "$work/0003.*.part" ".out.mkv.*.part.mkv"; do
        kept=$(stat -c '%n %i %Y' $work/000?.mkv 2>/dev/null) || true
        begin -o out.mkv "$in"
        # the check of the encoder makes a .part.mkv before there are scenes
        wait_until "compgen -G '$point' >/dev/null && { [[ '$point' != .out* ]] || [ -e $work/list ]; } || ! kill -0 $pid 2>/dev/null"
        kill -9 $pid || true
        wait $pid || true
        wait_until "! pgrep -s $pid >/dev/null" # what it started ends, too
        echo "killed at $point:" $work/*
        if [ -e out.mkv ]; then # it was joined before the signal came
            cmp whole.mkv out.mkv
            rm -rf out.mkv $work
            film -q --scene 1-3 -o out.mkv "$in"
            continue
        fi
        # finished scenes are those before it, and stay
        [ -z "$kept" ] || [ "$(stat -c '%n %i %Y' $work/000?.mkv | head -n "$(wc -l <<<"$kept")")" = "$kept" ]
    done
    [ "$(ls $work/000?.mkv | wc -l)" = 3 ]
    # a broken unfinished file is not taken for a scene
    rm $work/0002.mkv
    head -c 100 /dev/urandom >$work/0002.here.1.part
    film -q -o out.mkv "$in"
    cmp whole.mkv out.mkv
    [ "$(ls -A)" = "$(printf '%s\n' out.mkv photo.ppm said style.ppm whole.mkv)" ]
}

@test "an interrupt ends all that was started, and the film continues later" {
    in=$BATS_FILE_TMPDIR/film.mkv
    begin -o out.mkv "$in" -j 2 -n 3000
    wait_until "compgen -G 'out.mkv.nst-film/0002.*.part' >/dev/null"
    run -1 --separate-stderr film -n 3000 -o out.mkv "$in"
    [[ $stderr == *"out.mkv.nst-film: another nst-film works there" ]]
    kill -INT $pid
    status=0
    wait $pid || status=$?
    [ $status = 130 ]
    [ -z "$(pgrep -s $pid)" ]
    [ -z "$(ls out.mkv.nst-film | grep part)" ]
    [ ! -e out.mkv ]
    # other options would mix two looks, once there is a scene
    film -q --scene 1 -o out.mkv "$in" -n 1
    run -2 --separate-stderr film -o out.mkv "$in"
    [[ $stderr == *"out.mkv.nst-film: has scenes of another film or other options ("*"iterations"*"differs); remove it, or choose another with --work" ]]
    film -q -o out.mkv "$in" --work elsewhere
    [ -s out.mkv ]
}

@test "a scene that fails is named with the reason, and the others are kept" {
    [ -z "$MISSING" ] || skip "$MISSING"
    in=$BATS_FILE_TMPDIR/film.mkv
    # fails in the second scene, killed and with a message
    cat >failing <<'END'
#!/bin/sh
case " $* " in *" --dry-run "* | *" --help "* | *" --show-config "* | *" --version "*) exec "$BATS_FILE_TMPDIR/through" "$@" ;; esac
[ -e out.mkv.nst-film/0001.mkv ] || exec cat
[ ! -e dead ] || kill -9 $$
echo "nst: out of memory" >&2
exit 1
END
    chmod +x failing
    export BATS_FILE_TMPDIR
    run -1 --separate-stderr env NST="$PWD/failing" "$FILM" -q -s munch -o out.mkv "$in"
    [ "$stderr" = "nst-film: scene 2 (frames 7 to 12) failed: nst: out of memory" ]
    touch dead
    run -1 --separate-stderr env NST="$PWD/failing" "$FILM" -q -s munch -o out.mkv "$in"
    echo "$stderr"
    [[ $stderr == "nst-film: scene 2 (frames 7 to 12) failed: "?* ]]
    [ "$(ls out.mkv.nst-film/00*)" = out.mkv.nst-film/0001.mkv ]
    [ ! -e out.mkv ]
    through -o out.mkv "$in"
    [ "$(probe out.mkv nb_read_frames)" = 18 ]
}

@test "every frame arrives at its place, in every container" {
    [ -z "$MISSING" ] || skip "$MISSING"
    kinds=("mp4 -c:v libx264 -g 200" "ts -c:v libx264 -bf 3" "mpg -r 25 -c:v mpeg2video -bf 2")
    [ "${NST_TEST_ALL:-0}" = 0 ] || kinds+=("avi -c:v mpeg4 -bf 2" "mkv -c:v libx264 -g 30")
    for kind in "${kinds[@]}"; do
        # shellcheck disable=SC2086 # options
        pictures 75 30 -f lavfi -i sine=d=11 -map '[v]' -map 1:a -c:a mp2 ${kind#* } in.${kind%% *}
        in=in.${kind%% *}
        through -o out.mkv "$in" --keep-work --encode "-c:v ffv1" -j 2
        echo "$kind: $(frames $in | wc -l) frames, $(xargs <out.mkv.nst-film/scenes)"
        cmp <(frames $in) <(frames out.mkv)
        [ "$(sed 1d out.mkv.nst-film/scenes | wc -l)" = 3 ]
        [ "$(md5 $in a)" = "$(md5 out.mkv a)" ]
        # sound and pictures start as far apart, but for a frame's half
        starts() { ffprobe -v error -show_entries stream=start_time -of csv=p=0 "$1" | grep . | head -n 2 | xargs | tr -d ,; }
        paste -d ' ' <(starts $in) <(starts out.mkv) | awk '{ d = ($1 - $2) - ($3 - $4); print; exit d > 0.11 || d < -0.11 }'
        rm -r out.mkv*
    done
}

@test "films of all kinds get what players expect" {
    [ -z "$MISSING" ] || skip "$MISSING"
    make() { # FILE ARG...
        ffmpeg -nostdin -v error -y -f lavfi -i testsrc=s=65x48:r=25:d=0.2 "${@:2}" "$1"
    }
    # ENTRY,... FILE: of the pictures
    look() { probe "$2" "$1" | sed 's/,*$//'; }
    make odd.mkv -c:v ffv1 -pix_fmt yuv444p10le
    make grey.mkv -c:v ffv1 -pix_fmt gray
    make rgb.mkv -c:v ffv1 -pix_fmt bgr0
    make full.mkv -c:v ffv1 -pix_fmt yuv420p -vf scale=out_range=pc -color_range pc
    make fields.mpg -vf scale=64:48,setfield=tff -c:v mpeg2video -flags +ilme+ildct
    make upright.mp4 -vf scale=64:48 -pix_fmt yuv420p
    ffmpeg -nostdin -v error -i upright.mp4 -c copy -metadata:s:v rotate=90 turned.mp4
    make hd.mp4 -vf scale=1280:720 -frames:v 1 -pix_fmt yuv420p
    for f in odd.mkv grey.mkv rgb.mkv full.mkv fields.mpg turned.mp4 hd.mp4; do
        NST=$BATS_FILE_TMPDIR/through "$FILM" -s munch -o out.mp4 $f 2>said
        echo "$f: $(look width,height,pix_fmt,color_range,color_space,field_order,nb_read_frames out.mp4)"
        grep -v frames said || true
    done >made
    cat made
    diff made - <<'END'
odd.mkv: 64,48,yuv420p,unknown,unknown,progressive,5
grey.mkv: 64,48,yuvj420p,pc,unknown,progressive,5
rgb.mkv: 64,48,yuv420p,unknown,unknown,progressive,5
full.mkv: 64,48,yuvj420p,pc,unknown,progressive,5
fields.mpg: 64,48,yuv420p,unknown,unknown,progressive,5
nst-film: fields.mpg: is interlaced; it is deinterlaced (bwdif)
turned.mp4: 48,64,yuv420p,unknown,unknown,progressive,5
hd.mp4: 1280,720,yuv420p,tv,bt709,progressive,1
END
    # a message when the size changes unasked, of the frames as they are shown
    "$FILM" -s munch --list-scenes -o new.mp4 turned.mp4 2>&1 >list | grep 'turned.mp4: 48 x 64 pixels, painted at 384 x 512; -S native'
    # a variable rate
    make in.mkv -vf "scale=64:48,select='lt(n,3)+eq(n,4)'" -fps_mode vfr -pix_fmt yuv420p
    NST=$BATS_FILE_TMPDIR/through "$FILM" -s munch -o out.mp4 in.mkv 2>said
    cat said
    grep -q 'in.mkv: has a variable frame rate; the result has 25/1 frames a second: 1 are repeated and 0 dropped' said
    [ "$(look r_frame_rate,nb_read_frames out.mp4)" = 25/1,5 ]
    through --rate 5 -o out.mp4 in.mkv
    [ "$(look r_frame_rate,nb_read_frames out.mp4)" = 5/1,2 ]
}

@test "names may have spaces, dashes, quotes and colons" {
    [ -z "$MISSING" ] || skip "$MISSING"
    mkdir -- "-a 'b'" "out:100%d"
    cp "$BATS_FILE_TMPDIR/film.mkv" "./-a 'b'/-it's: 5%d.mkv"
    cp "$BATS_FILE_TMPDIR/film.mkv" ./-film.mkv
    through -o "out:100%d/- it's \$1.mkv" -- "-a 'b'/-it's: 5%d.mkv"
    through -o "-out.mkv" --encode "-c:v libx264 -metadata 'title=my film'" -- -film.mkv
    [ "$(probe ./-out.mkv nb_read_frames)" = 18 ]
    [ "$(probe "file:out:100%d/- it's \$1.mkv" nb_read_frames)" = 18 ]
    [ "$(ffprobe -v error -show_entries format_tags=title -of csv=p=0 ./-out.mkv)" = "my film" ]
    cp style.ppm "a style.ppm"
    style() { "$FILM" -q -s "a style.ppm:2" -n1 -S32 --output="by style.mp4" "$BATS_FILE_TMPDIR/film.mkv" "$@"; }
    style --scene 1
    cp photo.ppm "a style.ppm"
    run -2 --separate-stderr style
    [[ $stderr == *"by style.mp4.nst-film: has scenes of another film or other options ('file: a style.ppm, "*"' differs)"* ]]
    rm -r "by style.mp4.nst-film"
    style
    [ -s "by style.mp4" ]
}

@test "what cannot work is refused in one line before the work" {
    [ -z "$MISSING" ] || skip "$MISSING"
    in=$BATS_FILE_TMPDIR/film.mkv
    echo text >text.mp4
    ffmpeg -nostdin -v error -f lavfi -i sine=d=0.2 sound.wav
    ffmpeg -nostdin -v error -f lavfi -i testsrc=d=0.2 -f lavfi -i sine=d=0.2 -c:a pcm_s16le pcm.mkv
    cp "$in" in.mkv
    is_refused 2 'no-film.mkv: No such file' -o out.mkv no-film.mkv
    is_refused 1 'text.mp4: is not a film that ffmpeg can read' -o out.mkv text.mp4
    is_refused 1 'sound.wav: has no moving pictures' -o out.mkv sound.wav
    is_refused 2 'in.mkv: is the film itself' -o in.mkv in.mkv
    is_refused 2 'output: name the film' "$in"
    is_refused 2 "style 'nosuch': no such file, style pack or network" -s nosuch -o out.mkv "$in"
    is_refused 2 "out.nosuch: ffmpeg cannot write it so: .*'.nosuch'" -o out.nosuch "$in"
    is_refused 2 "'out' has no suffix" -o out "$in"
    is_refused 2 "out.mkv: ffmpeg cannot write it so: Unknown encoder 'nosuch'" --encode '-c:v nosuch' -o out.mkv "$in"
    is_refused 2 'out.mp4: ffmpeg cannot write it so: .*pcm_s16le.*\.mkv' -o out.mp4 pcm.mkv
    is_refused 2 "iterations: '0'" -n 0 -o out.mkv "$in"
    is_refused 2 '--nosuch: unknown option' --nosuch -o out.mkv "$in"
    is_refused 2 '--checkpoint: does not apply to a film' --checkpoint x -o out.mkv "$in"
    is_refused 2 "flow: 'there': .*each scene is a run" --flow there -o out.mkv "$in"
    is_refused 2 "jobs: '0' is not a whole number between 1 and 64" -j 0 -o out.mkv "$in"
    is_refused 2 "scene-threshold: '2'" --scene-threshold 2 -o out.mkv "$in"
    is_refused 2 "one film at a time" -o out.mkv "$in" "$in"
    is_refused 2 "/nowhere: is not a directory" -o /nowhere/out.mkv "$in"
    mkdir bin
    for tool in bash dirname sed awk; do
        ln -s "$(command -v $tool)" bin/
    done
    run -1 --separate-stderr env PATH="$PWD/bin" "$FILM" -s munch -o out.mkv "$in"
    [ "$stderr" = "nst-film: ffmpeg was not found; install ffmpeg" ]
    # no style, and a film without frames
    run -2 --separate-stderr "$FILM" -o out.mkv "$in"
    [ "$stderr" = "nst-film: no style is given; use -s FILE, or -s NAME of nst-style list" ]
    head -c "$(grep -abo -m 1 $'\x1f\x43\xb6\x75' "$in" | head -n 1 | cut -d: -f1)" "$in" >empty.mkv
    run -1 --separate-stderr film -o out.mkv empty.mkv
    echo "$stderr"
    [[ ${stderr_lines[-1]} == "nst-film: empty.mkv: "* ]]
    [ ! -e out.mkv ]
    run -2 --separate-stderr film --scene 9 -o out.mkv "$in"
    [ "$stderr" = "nst-film: scene: '9': the film has 3 scenes" ]
}

@test "progress is a line now and then, a bar on a terminal, or nothing" {
    in=$BATS_FILE_TMPDIR/film.mkv
    film -o out.mkv "$in" 2>said
    cat said
    grep -qx 'nst-film:   0% 0/18 frames \[00:0.<?, ? s/frame\]' said
    [[ $(tail -n 1 said) =~ ^nst-film:\ 100%\ 18/18\ frames\ \[.*\<00:00,\ .*\ s/frame\]$ ]]
    film -q -o out.mkv "$in" 2>said
    [ ! -s said ]
    needs_terminal
    TERM=xterm script -qec "'$FILM' -s munch -n 1 -S 32 -o out.mkv '$in'" /dev/null >said
    grep -q '100%|#*| 18/18 frames' said
}
