#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Films: YUV4MPEG2 and PNM streams and animations, and how stable static areas are.
bats_require_minimum_version 1.5.0
load helper

# film CHROMA FRAMES: a 48x36 stream of grey waves with noise and a moving square.
film() {
    printf 'YUV4MPEG2 W48 H36 F25:1 Ip A1:1 C%s XOURS\n' "$1"
    awk -v frames="$2" -v kind="$1" 'BEGIN {
        srand(3)
        # upper byte of samples above 8 bits: half of their range
        high = kind ~ /10$/ ? 2 : kind ~ /12$/ ? 8 : kind ~ /14$/ ? 32 : 0
        chroma = kind ~ /mono/ ? 0 : kind ~ /444/ ? 2 * 48 * 36 : kind ~ /422/ ? 48 * 36 : 48 * 18 # 411 too
        for (t = 0; t < frames; t++) {
            printf "FRAME\n"
            for (y = 0; y < 36; y++)
                for (x = 0; x < 48; x++) {
                    v = 100 + 30 * sin(x / 4) + 20 * cos(y / 5) + int(3 * rand()) - 1
                    if (x >= 4 + 3 * t && x < 12 + 3 * t && y < 10)
                        v = 120
                    printf "%c", (v > 127 ? 127 : int(v))
                    if (high)
                        printf "%c", high
                }
            for (i = 0; i < chroma; i++) {
                printf "%c", 120
                if (high)
                    printf "%c", high
            }
        }
    }'
}

frames() { # FILE: how many
    grep -ao FRAME "$1" | wc -l
}

# flicker FILE: mean change of luma in the rows that the square never touches.
flicker() {
    tail -c +"$(($(head -n 1 "$1" | wc -c) + 1))" "$1" | od -An -v -tu1 -w1 |
        awk -v size=$((6 + 48 * 36 * 3 / 2)) '{
            i = (NR - 1) % size - 6
            if (i >= 48 * 14 && i < 48 * 36) {
                if (NR > size) { d = $1 - before[i]; sum += d < 0 ? -d : d; n++ }
                before[i] = $1
            }
        } END { print sum / n }'
}

@test "a stream passes through a pipe frame by frame and keeps its header" {
    film 420jpeg 3 >in.y4m
    nst --y4m -S native -s style.ppm - <in.y4m >out.y4m
    [ "$(head -n 1 out.y4m)" = "$(head -n 1 in.y4m)" ]
    [ "$(wc -c <out.y4m)" = "$(wc -c <in.y4m)" ]
    [ "$(frames out.y4m)" = 3 ]
    run ! cmp -s in.y4m out.y4m
    nst --y4m -s style.ppm in.y4m -o small.y4m
    [ "$(head -n 1 small.y4m)" = "YUV4MPEG2 W32 H24 F25:1 Ip A1:1 C420jpeg XOURS" ]
    cat in.y4m | nst --y4m -S native -s style.ppm - -o again.y4m
    cmp out.y4m again.y4m
}

@test "colours survive reading and writing in every frame format" {
    for kind in 420jpeg 420mpeg2 420 422 411 444 mono 420p10 422p12 444p14 mono12; do
        film $kind 1 >in.y4m
        nst --y4m -S native -n 1 --strength 0 -s style.ppm in.y4m -o out.y4m
        [ "$(wc -c <out.y4m)" = "$(wc -c <in.y4m)" ]
        # within one step of 8 bits
        case $kind in
        *10) width=2 step=4 ;;
        *12) width=2 step=16 ;;
        *14) width=2 step=64 ;;
        *) width=1 step=1 ;;
        esac
        paste <(tail -n +2 in.y4m | od -An -v -tu$width -w$width) \
            <(tail -n +2 out.y4m | od -An -v -tu$width -w$width) |
            awk -v s=$step '{ d = $1 - $2; if (d > s || d < -s) n++ } END { exit n > 0 }'
    done
}

@test "static areas of a stream flicker less than half as much as in single frames" {
    film 420jpeg 5 >in.y4m
    header=$(head -n 1 in.y4m)
    size=$((6 + 48 * 36 * 3 / 2))
    for w in 0 10; do
        nst --y4m -S native -n 30 --temporal $w -s munch in.y4m -o $w.y4m
    done
    {
        echo "$header"
        for i in 0 1 2 3 4; do
            { echo "$header"; tail -c +$((${#header} + 2 + i * size)) in.y4m | head -c $size; } |
                nst --y4m -S native -n 30 -s munch - | tail -n +2
        done
    } >own.y4m
    for f in own 0 10; do
        flicker $f.y4m
    done | tr '\n' ' ' >figures
    cat figures
    awk '{ exit !($3 < $1 / 2 && $3 < $2) }' figures
}

# pan FRAMES: a 96x64 grey stream of a pattern that moves 3 pixels to the left per frame.
pan() {
    printf 'YUV4MPEG2 W96 H64 F25:1 Ip A1:1 Cmono\n'
    awk -v frames="$1" 'BEGIN {
        for (t = 0; t < frames; t++) {
            printf "FRAME\n"
            for (y = 0; y < 64; y++)
                for (x = 0; x < 96; x++) {
                    w = x + 3 * t
                    v = 64 + 20 * sin(w / 3.1 + y / 7.3) + 16 * cos(y / 2.7 - w / 11.3)
                    printf "%c", int(v + 20 * sin(w * w / 900 + y * y / 700))
                }
        }
    }'
}

# motion_error FILE: mean change of luma along the motion of pan().
motion_error() {
    tail -c +"$(($(head -n 1 "$1" | wc -c) + 1))" "$1" | od -An -v -tu1 -w1 |
        awk -v size=$((6 + 96 * 64)) '{
            i = (NR - 1) % size - 6
            if (i >= 0) {
                if (NR > size && i % 96 < 93) { d = $1 - before[i + 3]; sum += d < 0 ? -d : d; n++ }
                now[i] = $1
                if (i == size - 7)
                    for (k in now) before[k] = now[k]
            }
        } END { print sum / n }'
}

# flow_files X Y FRAMES: the motion of pan() in flows/, X pixels to the left, Y upwards.
flow_files() {
    mkdir -p flows
    for n in $(seq $(($3 - 1))); do
        perl -e 'print pack("f<l<l<", 202021.25, 96, 64), pack("f<f<", @ARGV) x (96 * 64)' \
            -- "$1" "$2" >flows/backward_$((n + 1))_"$n".flo
        perl -e 'print pack("f<l<l<", 202021.25, 96, 64), pack("f<f<", @ARGV) x (96 * 64)' \
            -- "-$1" "-$2" >flows/forward_"$n"_$((n + 1)).flo
    done
}

@test "with optical flow, what moves changes at most 0.4 times as much" {
    pan 4 >in.y4m
    flow_files 3 0 4
    for flow in none auto flows; do
        nst --y4m -S native -n 20 -s munch --flow $flow in.y4m -o $flow.y4m
        motion_error $flow.y4m
    done | tr '\n' ' ' >figures
    cat figures
    awk '{ exit !($2 < 0.4 * $1 && $3 < 0.4 * $1) }' figures
    nst --y4m -S native -n 20 -j 1 --threads 1 -s munch in.y4m -o one.y4m
    cmp one.y4m auto.y4m
}

@test "flow files must be there, and have the size of the frames" {
    pan 2 >in.y4m
    mkdir empty
    run -2 nst --y4m -S native -n 1 -s munch --flow empty in.y4m -o out.y4m
    [[ $output == *"empty/backward_2_1.flo: No such file or directory"* ]]
    flow_files 3 0 2
    run -1 nst --y4m -S 48 -n 1 -s munch --flow flows in.y4m -o out.y4m
    [[ $output == *"flows/backward_2_1.flo: has the flow of 96x64 pixels, but the frame has 48x32"* ]]
    [ ! -e out.y4m ]
}

@test "frames are resized to sides that their chroma planes divide" {
    size() { # CHROMA WxH OPTION...: of the result
        local w=${2%x*} h=${2#*x}
        printf 'YUV4MPEG2 W%s H%s F25:1 C%s\nFRAME\n' "$w" "$h" "$1" >in.y4m
        head -c $((w * h * 3)) /dev/zero >>in.y4m
        nst --y4m -s style.ppm in.y4m -n 1 "${@:3}" 2>/dev/null | head -n 1 | sed -n 's/YUV4MPEG2 W\(.*\) H\([0-9]*\) .*/\1x\2/p' | tr -d '\n'
        echo " $*"
    }
    {
        size 420 480x200 -S 128 # 53.3
        size 420 98x62 -S 96    # 60.7
        size 420 160x90 -S 48   # 27
        size 420 91x161 -S 49
        size 420 33x17 -S native
        size 422 161x91 -S 48 # 27.1
        size 411 98x62 -S 50  # 31.6
        size 444 98x62 -S 50
        size mono 98x62 -S 51 # 32.3
        size 420 98x62 -S 49 --square
    } >sizes
    cut -d ' ' -f 1 sizes | tr '\n' ' ' >made
    cat sizes
    [ "$(cat made)" = "128x54 96x60 48x28 28x48 33x17 48x27 48x32 50x32 51x32 48x48 " ]
}

@test "a truncated stream gives its complete frames and an error" {
    film 420jpeg 3 >in.y4m
    head -c -100 in.y4m >short.y4m
    status=0
    nst --y4m -S native -s style.ppm - <short.y4m >out.y4m 2>said || status=$?
    [ $status = 1 ]
    [ "$(cat said)" = "nst: standard input: its last frame is cut short" ]
    nst --y4m -S native -s style.ppm - <in.y4m >whole.y4m
    size=$((6 + 48 * 36 * 3 / 2))
    cmp out.y4m <(head -c -$size whole.y4m)
}

@test "a reader that closes the pipe ends a stream quietly by SIGPIPE" {
    film 420jpeg 20 >in.y4m
    { env --default-signal=PIPE "$NST" -S native -n 3 --progress none --y4m -s style.ppm - <in.y4m 2>said || echo $? >status; } | head -c 3000 >/dev/null
    [ "$(cat status)" = 141 ]
    [ ! -s said ]
}

# probe FILE: sides, pixel format, range, frame rate, pixel aspect and number of frames.
probe() {
    ffprobe -v error -count_frames -of csv=p=0 -show_entries \
        stream=width,height,sample_aspect_ratio,pix_fmt,color_range,r_frame_rate,nb_read_frames "$1"
}

@test "films of every kind pass from ffmpeg through nst to ffmpeg" {
    needs ffmpeg
    source() { # SIZE FORMAT RATE ASPECT
        ffmpeg -nostdin -v error -f lavfi -i "testsrc=size=$1:rate=$3,setsar=${4/:/\/}" -frames:v 3 \
            -pix_fmt "$2" -strict -1 -f yuv4mpegpipe -
    }
    while read -r size format rate aspect; do
        source "$size" "$format" "$rate" "$aspect" >in.y4m
        nst --y4m -S native -n 1 -s style.ppm - <in.y4m | tee out.y4m |
            ffmpeg -nostdin -v error -y -i - -c:v ffv1 out.mkv
        echo "$size $format $rate $aspect: $(probe out.y4m)"
        range=tv
        [[ $format == yuv4* ]] || range=pc
        [ "$(probe out.y4m)" = "${size/x/,},$aspect,${format/yuvj/yuv},$range,$rate,3" ]
        [[ $(probe out.mkv) == "${size/x/,},$aspect,${format/yuvj/yuv},"*",3" ]]
        [ "$(head -n 1 out.y4m)" = "$(head -n 1 in.y4m)" ]
        run ! cmp -s in.y4m out.y4m
    done <<END
64x48 yuv420p 5/1 1:1
65x47 yuv420p 25/1 4:3
65x48 yuv420p 30000/1001 1:1
64x47 yuv420p 24000/1001 64:45
65x47 yuvj420p 5/1 1:1
33x17 yuv422p 5/1 1:1
33x17 yuvj422p 5/1 1:1
65x47 yuv411p 5/1 1:1
17x65 yuv444p 120/1 1:1
17x65 yuvj444p 5/1 1:1
65x47 gray 5/1 1:1
65x47 gray10le 5/1 1:1
64x48 gray12le 5/1 1:1
65x47 yuv420p10le 60000/1001 8:9
65x47 yuv420p12le 5/1 1:1
65x47 yuv422p10le 5/1 1:1
64x48 yuv422p12le 5/1 1:1
64x48 yuv444p10le 5/1 1:1
65x47 yuv444p12le 5/1 1:1
END
}

@test "frames of odd width and 10 bits are read right, as ffmpeg writes them and whole" {
    needs ffmpeg
    source() { # ARG...: to ffmpeg
        ffmpeg -nostdin -v error -f lavfi -i "testsrc2=size=65x47:rate=5,hue=s=0" -frames:v 3 -pix_fmt yuv420p10le "$@" -
    }
    # luma FILE: that of the last frame
    luma() { tail -c $((2 * (65 * 47 + 2 * 33 * 24))) "$1" | head -c $((2 * 65 * 47)) | od -An -v -tu2 -w2; }
    source -strict -1 -f yuv4mpegpipe >in.y4m
    source -f rawvideo >wanted
    nst --y4m -S native -n 1 --strength 0 --flow none --temporal 0 -s style.ppm in.y4m -o out.y4m
    nst --y4m -S native -n 1 --strength 0 --flow none --temporal 0 -s style.ppm out.y4m -o again.y4m
    for f in out.y4m again.y4m; do
        # within a step of 8 bits, but for what moves
        paste <(luma wanted) <(luma $f) | awk '{ d = $1 - $2; n += d < -4 || d > 4 } END { print n + 0, NR; exit n > 300 || NR != 65 * 47 }'
    done
    head -c -9 in.y4m >short.y4m
    refused 1 'short.y4m: its last frame is cut short' --y4m -S native -s style.ppm short.y4m -o new.y4m
}

@test "resized films of every sampling can be encoded" {
    needs ffmpeg
    while read -r size format side wanted; do
        ffmpeg -nostdin -v error -f lavfi -i "testsrc=size=$size:rate=30000/1001" -frames:v 2 -pix_fmt "$format" \
            -strict -1 -f yuv4mpegpipe - | nst --y4m -S "$side" -n 1 -s style.ppm - |
            ffmpeg -nostdin -v error -y -i - -c:v mpeg4 out.avi
        echo "$size $format: $(probe out.avi)"
        [[ $(probe out.avi) == "${wanted/x/,},"*",yuv420p,"*",30000/1001,2" ]]
    done <<END
99x41 yuv420p 50 50x20
91x161 yuv420p10le 49 28x48
161x91 yuv422p 48 48x27
161x91 yuv444p 49 49x28
161x91 gray 49 49x28
END
}

@test "a film keeps the range of its samples" {
    needs ffmpeg
    for range in tv pc; do # white in both
        ffmpeg -nostdin -v error -y -f lavfi -i "color=white:s=32x32,scale=out_range=$range" -frames:v 1 \
            -pix_fmt yuv444p -color_range $range -f yuv4mpegpipe in.y4m
        nst --y4m -S native -n 1 --strength 0 -s style.ppm in.y4m -o out.y4m
        tail -c +"$(($(head -n 1 out.y4m | wc -c) + 7))" out.y4m | head -c 1024 | od -An -v -tu1 -w1 | sort -u
    done | xargs >levels
    cat levels
    [ "$(cat levels)" = "235 255" ]
    grep -qa 'XCOLORRANGE=FULL' out.y4m
}

@test "interlaced films are refused with the remedy" {
    needs ffmpeg
    for field in tff bff; do
        ffmpeg -nostdin -v error -y -f lavfi -i "testsrc=s=64x48:r=25,setfield=$field" -frames:v 2 \
            -flags +ildct+ilme -c:v mpeg2video in.mpg
        ffmpeg -nostdin -v error -y -i in.mpg -f yuv4mpegpipe in.y4m
        refused 1 "in.y4m: 'I[tbm]': interlaced frames are not supported; .*bwdif" --y4m -s style.ppm in.y4m -o out.y4m
        ffmpeg -nostdin -v error -y -i in.mpg -vf bwdif -f yuv4mpegpipe - | nst --y4m -n 1 -s style.ppm - -o fine.y4m
        rm fine.y4m
    done
    for tag in It Ib Im; do
        printf 'YUV4MPEG2 W48 H36 %s\n' $tag >bad.y4m
        refused 1 "bad.y4m: '$tag': interlaced frames are not supported; .*bwdif" --y4m -s style.ppm bad.y4m -o out.y4m
    done
    for tag in 'Ip ' 'I? ' ''; do
        printf 'YUV4MPEG2 W48 H36 F25:1 %sCmono\n' "$tag" >fine.y4m
        { printf 'FRAME\n' && head -c 1728 /dev/zero; } >>fine.y4m
        nst --y4m -n 1 -s style.ppm fine.y4m -o out.y4m
    done
}

@test "the line of README.md for films keeps the sound" {
    needs ffmpeg
    mkdir bin
    printf '#!/bin/sh\nexec "%s" "$@" -S 32 -n 1 -q\n' "$NST" >bin/nst
    chmod +x bin/nst
    PATH=$PWD/bin:$PATH
    ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=65x48:r=30000/1001:d=0.4 -f lavfi -i sine=d=0.4 \
        -pix_fmt yuv420p -c:v mpeg4 -c:a aac in.mp4
    sed -n '/^ffmpeg -i in.mp4 .*nst/,/out.mp4$/{s/  *#.*//;p;}' "${srcdir:?}/README.md" >line
    cat line
    [ "$(wc -l <line)" = 2 ]
    bash -eu -o pipefail line </dev/null
    sound() { ffmpeg -nostdin -v error -i "$1" -map 0:a -c copy -f md5 -; }
    [ "$(sound in.mp4)" = "$(sound out.mp4)" ]
    [ "$(ffprobe -v error -select_streams v -count_frames -of csv=p=0 \
        -show_entries stream=width,height,r_frame_rate,nb_read_frames out.mp4)" = 32,24,30000/1001,12 ]
}

@test "an animation keeps its frames, delays, loops and transparency" {
    needs vips
    gif 3 >in.gif
    field() { vipsheader -f "$2" "$1"; }
    nst -S native -s style.ppm in.gif -o a.gif
    nst -S native -s style.ppm in.gif -o a.webp
    nst -S native -s style.ppm a.webp -o b.gif
    nst -s style.ppm - --format webp <in.gif >c.webp
    for f in in.gif a.gif a.webp b.gif c.webp; do
        echo "$f: $(field $f n-pages) frames, $(field $f delay), $(field $f loop) times"
        [ "$(field $f n-pages) $(field $f delay | xargs) $(field $f loop)" = "3 100 200 300 5" ]
        case $f in c.webp) continue ;; esac
        for t in 0 2; do # alpha in the corner and beside it
            [ "$(vips getpoint "${f}[n=-1]" 3 $((36 * t + 3)) | awk '{ print $4 }')" = 0 ]
            [ "$(vips getpoint "${f}[n=-1]" 30 $((36 * t + 20)) | awk '{ print $4 }')" = 255 ]
        done
    done
    # other formats store the first frame only
    nst -S native -s style.ppm in.gif -o one.png
    [ "$(dimensions one.png)" = 48x36 ]
    # -o DIRECTORY and a batch give the same animation
    nst -S native -s style.ppm in.gif photo.ppm -o out/
    cmp a.gif out/in-style.gif
}

@test "progress of a film names the frame and never falls" {
    needs jq
    gif 3 >in.gif
    nst -s style.ppm in.gif -o out.gif --progress-file p.jsonl
    jq -es '[.[].percent] as $p | [.[] | select(.event == "step") | .frame] as $f | [.[].total | numbers] as $t
        | $p == ($p | sort) and $p[-1] == 100 and ($f | unique) == [1, 2, 3] and $f == ($f | sort)
        and all(.[1:][]; .frames == 3) and ($t | unique | length) == 1 and .[-1].done == $t[0]' p.jsonl
    film 420jpeg 3 >in.y4m # of unknown length
    "$NST" -S 32 -n 3 --y4m -s style.ppm in.y4m -o out.y4m --progress plain --progress-file p.jsonl 2>said
    jq -es '[.[].done] as $d | [.[] | select(.event == "step") | .frame] as $f
        | $d == ($d | sort) and ($f | unique) == [1, 2, 3] and all(.total == null)
        and ([.[:-1][].percent | numbers] == []) and .[-1].percent == 100' p.jsonl
    grep -q '^nst: frame 1, 0 steps \[' said
    grep -q '^nst: 100% frame 3, 9 steps \[' said
}

@test "static areas of an animation flicker less than half as much as in single frames" {
    needs vips
    gif 4 >in.gif
    # grey FILE OUTPUT: the frames as grey bytes, one below the other
    grey() { vips colourspace "$1[n=-1]" g.v b-w && vips extract_band g.v g1.v 0 && vips rawsave g1.v "$2"; }
    nst -S native -n 30 -s munch in.gif -o film.webp
    for t in 0 1 2 3; do
        vips copy "in.gif[page=$t]" frame.png
        nst -S native -n 30 -s munch frame.png -o $t.webp
    done
    vips arrayjoin "0.webp 1.webp 2.webp 3.webp" own.webp --across 1
    for f in own film; do
        grey $f.webp $f.raw
        [ "$(wc -c <$f.raw)" = $((4 * 48 * 36)) ]
        od -An -v -tu1 -w1 $f.raw | awk '{ # rows below the square
            i = (NR - 1) % (48 * 36)
            if (i >= 48 * 14) {
                if (NR > 48 * 36) { d = $1 - b[i]; s += d < 0 ? -d : d; n++ }
                b[i] = $1
            }
        } END { print s / n }'
    done | tr '\n' ' ' >figures
    cat figures
    awk '{ exit !($2 < $1 / 2) }' figures
}

@test "an interrupt ends a stream that waits for its next frame" {
    film 420jpeg 1 >one.y4m
    mkfifo pipe
    sleep 20 >pipe 3>&- & # holds it open
    keeper=$!
    env --default-signal=INT "$NST" --y4m -S native -n 3 --progress json -s style.ppm - <pipe -o out.y4m 2>progress 3>&- &
    pid=$!
    cat one.y4m >pipe
    wait_until "grep -q '\"done\":3,' progress"
    sleep 0.3
    kill -INT $pid
    status=0
    wait $pid || status=$?
    alive=no
    kill $keeper && alive=yes
    [ $alive = yes ]
    [ "$status" = 130 ]
    [ "$(wc -c <out.y4m)" = "$(wc -c <one.y4m)" ]
}

@test "the history records a film, and rerun repeats it" {
    needs jq
    film 422 3 >in.y4m
    nst --y4m -S native -s style.ppm in.y4m -o out.y4m --history h.jsonl
    jq -e '.format == "y4m" and .frames == 3 and .iterations == 9' h.jsonl
    id=$("$(dirname "$NST")"/nst-history --history h.jsonl list | cut -d' ' -f1)
    PATH=$(dirname "$NST"):$PATH NST_HISTORY=none "$(dirname "$NST")"/nst-history --history h.jsonl rerun "$id" -o again.y4m
    cmp out.y4m again.y4m
}

@test "an invalid stream is refused with its reason in one line" {
    film 420jpeg 2 >good.y4m
    size=$(wc -c <good.y4m)
    head -c $((size - 10)) good.y4m >short.y4m
    refused 1 'short.y4m: its last frame is cut short' --y4m -s style.ppm short.y4m -o out.y4m
    refused 1 'photo.ppm: is not a YUV4MPEG2 stream' --y4m -s style.ppm photo.ppm -o out.y4m
    bad() {
        echo "$1" >bad.y4m
        refused 1 "$2" --y4m -s style.ppm bad.y4m -o out.y4m
    }
    bad 'YUV4MPEG2 W48 H36 It' "'It': interlaced frames"
    bad 'YUV4MPEG2 W48 H36 C410' "'C410': frames are not"
    bad 'YUV4MPEG2 W48 H36 C444alpha' "'C444alpha': frames are not"
    bad 'YUV4MPEG2 W48 H36 C420p17' "'C420p17': frames are not"
    bad 'YUV4MPEG2 W48' 'does not say the size'
    bad 'YUV4MPEG2 W-3 H36' "'W-3': no width"
    bad 'YUV4MPEG2 W8 H8' 'too small'
    bad 'YUV4MPEG2 W900000 H900000' 'too large'
    bad 'YUV4MPEG2 W48 H36' 'bad.y4m: contains no frame'
    refused 1 'standard input: is empty; did its writer fail' --y4m -s style.ppm - -o out.y4m </dev/null
    refused 1 'standard input: is empty; did its writer fail' -s style.ppm - -o out.png </dev/null
    refused 1 'standard input: contains no frame' --y4m -s style.ppm - -o out.y4m <bad.y4m
    bad "YUV4MPEG2 W48 H36
nonsense" 'no frame where one should begin'
    bad "YUV4MPEG2 W48 H36 X$(head -c 2000 /dev/zero | tr '\0' x)" 'is not a YUV4MPEG2 stream'
    refused 2 '--format and --y4m are mutually exclusive' --y4m --format png -s style.ppm good.y4m -o out.y4m
    refused 2 'checkpoint: works for one image' --y4m --checkpoint c -s style.ppm good.y4m -o out.y4m
}

@test "--format overrides the suffix of the output" {
    nst -s style.ppm photo.ppm --format jpg >out
    [ "$(head -c 3 out | od -An -tx1 | tr -d ' ')" = ffd8ff ]
    nst -s style.ppm photo.ppm --format ppm | head -c 2 | grep -q P6
    nst -s style.ppm photo.ppm --format webp -o out.png
    [ "$(head -c 4 out.png)" = RIFF ]
    nst -s style.ppm photo.ppm style.ppm --format png -o made/
    [ "$(ls made)" = "$(printf '%s\n' photo-style.png style-style.png)" ]
    refused 2 "format: 'bmpx' cannot be written" -s style.ppm photo.ppm --format bmpx -o out2.png
}

@test "an interrupt ends a stream after a complete frame" {
    film 420jpeg 6 >in.y4m
    env --default-signal=INT "$NST" --y4m -S native -n 300 --progress json -s style.ppm in.y4m -o out.y4m 2>progress 3>&- &
    pid=$!
    wait_until "grep -q '\"done\":31[0-9],' progress" # of the second frame
    kill -INT $pid
    status=0
    wait $pid || status=$?
    [ "$status" = 130 ]
    n=$(frames out.y4m)
    [ "$n" -ge 2 ] && [ "$n" -lt 6 ]
    [ "$(wc -c <out.y4m)" = $(($(head -n 1 in.y4m | wc -c) + n * (6 + 48 * 36 * 3 / 2))) ]
}

# stream KIND FRAMES: concatenated 48x36 PNMs with waves and a moving square. KIND is
# MAGIC:SAMPLES:MAXIMUM, for instance P6:3:255.
stream() {
    local magic bands max
    IFS=: read -r magic bands max <<<"$1"
    for ((t = 0; t < $2; t++)); do
        if [ "$magic" = P7 ]; then
            printf 'P7\n# frame\nWIDTH 48\nHEIGHT 36\nDEPTH %d\nMAXVAL %d\nTUPLTYPE X\nENDHDR\n' "$bands" "$max"
        else
            printf '%s\n# frame\n48 36\n%d\n' "$magic" "$max"
        fi
        awk -v t=$t -v bands="$bands" -v max="$max" 'BEGIN {
            for (y = 0; y < 36; y++)
                for (x = 0; x < 48; x++)
                    for (k = 0; k < bands; k++) {
                        v = int(64 + 40 * sin(x / 4 + k) + 20 * cos(y / 5))
                        if (x >= 4 + 3 * t && x < 12 + 3 * t && y < 10)
                            v = 120
                        printf "%c", v
                        if (max > 255)
                            printf "%c", 7
                    }
        }'
    done
}

@test "a PNM stream passes through a pipe and keeps its format, bit depth and samples" {
    for kind in P6:3:255 P6:3:65535 P7:3:255 P7:4:255 P7:4:65535 P7:1:255 P5:1:255; do
        stream $kind 3 >in
        nst --pnm -S native -n 1 --strength 0 -s style.ppm - <in >out
        echo "$kind: $(wc -c <in) bytes to $(wc -c <out)"
        IFS=: read -r magic bands max <<<$kind
        # grey images become coloured
        [ "$bands" -ge 3 ] || bands=3
        [ $magic != P5 ] || magic=P6
        [ "$(head -c 2 out)" = $magic ]
        body=$((48 * 36 * bands * (max > 255 ? 2 : 1)))
        headers=$(($(wc -c <out) - 3 * body))
        [ $((headers % 3)) = 0 ] && [ $headers -gt 30 ] && [ $headers -lt 270 ]
        case $kind in *:65535 | *:1:*) continue ;; esac
        # with strength 0 the first frame is unchanged
        for f in in out; do
            tail -c +$((($(wc -c <$f) - 3 * body) / 3 + 1)) $f | head -c $body | od -An -v -tu1 -w1 >$f.samples
        done
        paste in.samples out.samples | awk '{ d = $1 - $2; n += d < -1 || d > 1 }
            END { exit n > 0 || NR < 5000 }'
    done
}

@test "a PNM stream of one frame equals a single image, and rerun repeats a stream" {
    stream P6:3:255 1 >in.ppm
    nst --pnm -S native -s style.ppm in.ppm -o out.ppm
    nst -S native -s style.ppm in.ppm -o single.ppm
    cmp out.ppm single.ppm
    stream P6:3:255 4 >in
    nst --pnm -S native -s style.ppm in -o out --history h.jsonl
    [ "$(wc -c <out)" = $((4 * $(wc -c <out.ppm))) ]
    jq -e '.format == "pnm" and .frames == 4' h.jsonl
    id=$("$(dirname "$NST")"/nst-history --history h.jsonl list | cut -d' ' -f1)
    NST_HISTORY=none "$(dirname "$NST")"/nst-history --history h.jsonl rerun "$id" -o again
    cmp out again
}

@test "single images can be read and written as PAM" {
    stream P7:4:65535 1 >in.pam
    nst -S native -s style.ppm in.pam -o out.pam
    [ "$(head -n 1 out.pam)" = P7 ]
    [ "$(wc -c <out.pam)" -gt $((48 * 36 * 8)) ]
    # the alpha channel, every fourth 16-bit sample, is unchanged
    for f in in out; do
        tail -c $((48 * 36 * 8)) $f.pam | od -An -v -tx2 -w8 | awk '{ print $4 }' >$f.alpha
    done
    cmp in.alpha out.alpha
    nst -s style.ppm - <in.pam | head -c 4 | grep -aq PNG
    nst -s style.ppm photo.ppm --format pam | head -n 1 | grep -qx P7
    mkdir folder
    cp in.pam folder/
    nst -s style.ppm folder -o made/
    [ -s made/in-style.pam ]
}

@test "an invalid or truncated PNM stream is refused" {
    stream P6:3:255 2 >good
    head -c -10 good >short
    refused 1 'short: is cut short' --pnm -s style.ppm short -o out
    echo GIF >gif
    refused 1 'gif: is not a stream of PBM, PGM' --pnm -s style.ppm gif -o out
    printf 'P6\n48 36\n' >header
    refused 1 'header: 48 x 36 pixels of 3 samples to 0' --pnm -s style.ppm header -o out
    printf 'P7\nWIDTH 48\n' >header
    refused 1 'header: a header is cut short' --pnm -s style.ppm header -o out
    printf 'P7\nWIDTH 99999999\nHEIGHT 99999999\nDEPTH 3\nMAXVAL 255\nENDHDR\n' >huge.pam
    refused 1 'huge.pam: 99999999x99999999 pixels is too large' --pnm -s style.ppm huge.pam -o out
    refused 1 'huge.pam: 99999999x99999999 pixels is too large' -s style.ppm huge.pam -o out.png
    printf 'P7\nWIDTH 48\nHEIGHT 36\nDEPTH 9\nMAXVAL 255\nENDHDR\n' >deep.pam
    refused 1 'deep.pam: 48 x 36 pixels of 9' -s style.ppm deep.pam -o out.png
    picture small.ppm 32 32 1
    picture large.ppm 96 80 2
    for order in small,large large,small; do
        cat ${order%,*}.ppm ${order#*,}.ppm >mixed
        run --separate-stderr nst -q --pnm -S native -n 1 -s style.ppm mixed -o out
        [ "$status" = 1 ]
        [[ $stderr == "nst: mixed: frame 2 has "*"; all frames of a film have one size" ]]
    done
    refused 2 '--pnm and --y4m are mutually exclusive' --pnm --y4m -s style.ppm good -o out
    refused 2 '--format and --pnm are mutually exclusive' --pnm --format png -s style.ppm good -o out
}
