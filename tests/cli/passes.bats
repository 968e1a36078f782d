#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# How little a film flickers: zooms, noise, all kinds of streams; --passes; flow files.
bats_require_minimum_version 1.5.0
load helper

# luma KIND FRAMES: grey bytes of 96x64 frames. KIND is pan, by 3 pixels to the left per
# frame, sway, by 2.5 pixels to the left in one half of the film and back in the other, zoom,
# by 2 % per frame, or still, with noise.
luma() {
    awk -v kind="$1" -v frames="$2" 'BEGIN {
        srand(5)
        for (t = 0; t < frames; t++)
            for (y = 0; y < 64; y++)
                for (x = 0; x < 96; x++) {
                    z = kind == "zoom" ? 1.02 ^ -t : 1
                    u = (x - 47.5) * z + (kind == "pan" ? 3 * t : 0) + 50
                    if (kind == "sway")
                        u += 2.5 * (2 * t < frames ? t : frames - 1 - t)
                    w = (y - 31.5) * z + 40
                    v = 64 + 20 * sin(u / 3.1 + w / 7.3) + 16 * cos(w / 2.7 - u / 11.3)
                    v += 20 * sin(u * u / 900 + w * w / 700)
                    printf "%c", int(v + (kind == "still" ? 8 * rand() - 4 : 0))
                }
    }'
}

# film KIND FRAMES: luma as a stream.
film() {
    luma "$1" "$2" >luma
    printf 'YUV4MPEG2 W96 H64 F25:1 Ip A1:1 Cmono\n'
    for ((t = 0; t < $2; t++)); do
        printf 'FRAME\n'
        tail -c +$((t * 6144 + 1)) luma | head -c 6144
    done
}

# grey_frames FILE: the grey bytes of a stream of film().
grey_frames() {
    tail -c +"$(($(head -n 1 "$1" | wc -c) + 1))" "$1" | od -An -v -tu1 -w1 |
        awk '{ if ((NR - 1) % 6150 >= 6) print }'
}

# change KIND: mean change of grey values, one a line, along the motion of luma().
# Between pixels Catmull-Rom splines interpolate, which lose little detail.
change() {
    awk -v kind="$1" 'function weights(t, k) {
        k[-1] = ((2 - t) * t - 1) * t / 2
        k[0] = ((3 * t - 5) * t * t + 2) / 2
        k[1] = ((4 - 3 * t) * t + 1) * t / 2
        k[2] = (t - 1) * t * t / 2
    }
    {
        i = (NR - 1) % 6144
        now[i] = $1
        if (i < 6143)
            next
        if (NR > 6144)
            for (y = 4; y < 60; y++)
                for (x = 4; x < 92; x++) {
                    z = kind == "zoom" ? 1 / 1.02 : 1
                    u = (x - 47.5) * z + 47.5 + (kind == "pan" ? 3 : 0)
                    w = (y - 31.5) * z + 31.5
                    if (u > 93)
                        continue
                    weights(u - int(u), across)
                    weights(w - int(w), down)
                    d = now[y * 96 + x]
                    for (j = -1; j < 3; j++)
                        for (k = -1; k < 3; k++)
                            d -= down[j] * across[k] * before[(int(w) + j) * 96 + int(u) + k]
                    sum += d < 0 ? -d : d
                    n++
                }
        for (k in now)
            before[k] = now[k]
    } END { print sum / n }'
}

@test "in a zoom and a pan, flow leaves at most 0.4 of the change" {
    for kind in zoom pan; do
        film $kind 4 >in.y4m
        for flow in none auto; do
            nst --y4m -S native -n 20 -s munch --flow $flow in.y4m -o out.y4m
            grey_frames out.y4m | change $kind
        done | tr '\n' ' ' >figures
        echo "$kind: $(cat figures)"
        awk '{ exit !($1 > 3 && $2 <= 0.4 * $1) }' figures
    done
}

@test "a still scene with noise changes at most by 1.5 of 255" {
    film still 4 >in.y4m
    nst --y4m -S native -n 20 -s munch in.y4m -o out.y4m
    for f in in.y4m out.y4m; do
        grey_frames $f | change still
    done | tr '\n' ' ' >figures
    cat figures
    awk '{ exit !($1 > 1.5 && $2 <= 1.5) }' figures
}

# style_distance FRAME...: of frames from out.y4m, which is painted in the style of photo.ppm
style_distance() {
    local t
    for t; do
        for f in in.y4m out.y4m; do
            { printf 'P5\n96 64\n255\n'; tail -c +$(($(head -n 1 $f | wc -c) + (t - 1) * 6150 + 7)) $f | head -c 6144; } >$f.pgm
        done
        "$(dirname "$NST")"/nst-compare -s photo.ppm --json in.y4m.pgm out.y4m.pgm | jq .style_distance
    done | tr '\n' ' '
}

@test "a film that ends where it begins ends as it begins, in style, too" {
    needs jq
    film sway 24 >in.y4m
    nst --y4m -S native -n 40 -s photo.ppm in.y4m -o out.y4m
    style_distance 1 2 12 24 >figures
    cat figures
    awk '{ exit !($1 > 0 && $2 <= 1.1 * $1 && $4 <= 1.1 * $1) }' figures
}

@test "the first frame of a film is painted as far as the next ones" {
    needs jq
    for n in 1 2; do
        film still $n >in.y4m
        nst --y4m -S native -n 24 --scales 24,48,96 --temporal 0 -s photo.ppm in.y4m -o out.y4m --trace t.jsonl
        jq 'select(.final).style_loss' t.jsonl
    done | tr '\n' ' ' >figures
    cat figures
    awk '{ exit !($2 > 0 && $1 <= 1.6 * $2) }' figures
}

@test "PNM streams and animations follow the motion as well" {
    needs vips
    luma pan 4 >luma
    for t in 0 1 2 3; do
        { printf 'P5\n96 64\n255\n'; tail -c +$((t * 6144 + 1)) luma | head -c 6144; } >$t.pgm
    done
    cat ?.pgm >in.pnm
    vips arrayjoin '0.pgm 1.pgm 2.pgm 3.pgm' roll.v --across 1
    vips webpsave roll.v in.webp --page-height 64 --lossless
    for flow in none auto; do
        nst --pnm -S native -n 20 -s munch --flow $flow in.pnm -o out.pnm
        for t in 0 1 2 3; do
            size=$(($(wc -c <out.pnm) / 4))
            tail -c +$((t * size + 1)) out.pnm | head -c $size >o$t.ppm
        done
        vips arrayjoin 'o0.ppm o1.ppm o2.ppm o3.ppm' pnm.v --across 1
        nst -S native -n 20 -s munch --flow $flow in.webp -o out.webp --quality 100
        nst -S native -n 20 -s munch --flow $flow in.webp -o out.gif
        for kind in pnm.v 'out.webp[n=-1]' 'out.gif[n=-1]'; do
            vips colourspace "$kind" g.v b-w && vips extract_band g.v g1.v 0 && vips rawsave g1.v g.raw
            [ "$(wc -c <g.raw)" = $((4 * 6144)) ]
            od -An -v -tu1 -w1 g.raw | change pan
        done
    done | tr '\n' ' ' >figures
    cat figures
    # the encoders of animations add their own error
    awk '{ exit !($1 > 3 && $4 <= 0.4 * $1 && $5 <= 0.6 * $2 && $6 <= 0.7 * $3) }' figures
}

@test "several passes make a film calmer, keep its frames, and are recorded" {
    needs jq
    film pan 5 >in.y4m
    for passes in 1 3; do
        nst --y4m -S native -n 20 -s munch --passes $passes in.y4m -o $passes.y4m --history h.jsonl
        grey_frames $passes.y4m | change pan
    done | tr '\n' ' ' >figures
    cat figures
    awk '{ exit !($2 > 0 && $2 < 0.9 * $1) }' figures
    [ "$(wc -c <3.y4m)" = "$(wc -c <1.y4m)" ]
    jq -es '.[1].options.passes == 3 and .[1].frames == 5 and .[1].iterations > .[0].iterations' h.jsonl
    nst --y4m -S native -n 20 -s munch --passes 3 --threads 1 in.y4m -o one.y4m
    cmp one.y4m 3.y4m
}

@test "passes go through the frames by turns, and an animation keeps its times" {
    needs jq
    film pan 3 >in.y4m
    nst --y4m -S native -n 2 -s munch --passes 3 in.y4m -o out.y4m --progress-file p.jsonl
    order=$(jq -r 'select(.event == "step") | .frame' p.jsonl | uniq | tr -d '\n')
    echo "$order"
    [ "$order" = 1232123 ]
    jq -es '[.[].percent | numbers] as $p | $p == ($p | sort) and $p[-1] == 100' p.jsonl
    gif 3 >in.gif
    nst -S native -n 2 -s munch --passes 2 in.gif -o out.webp --progress-file p.jsonl
    [ "$(vipsheader -f delay out.webp | xargs)" = "100 200 300" ]
    jq -es '.[-1].done == .[-1].total' p.jsonl
}

@test "several passes refuse a pipe, and a folder without room for their frames" {
    film pan 2 >in.y4m
    refused 2 'passes: 2 passes read a film more than once, and standard input is read once only; give a file, or --passes 1' \
        --y4m -s munch --passes 2 - -o out.y4m <in.y4m
    mkfifo pipe
    refused 2 'and pipe is read once only' --y4m -s munch --passes 2 pipe -o out.y4m
    export TMPDIR=$PWD/none
    refused 1 "passes: no work file in $TMPDIR: No such file" --y4m -s munch --passes 2 in.y4m -o out.y4m
    refused 2 "passes: '0' is not a whole number between 1 and 100" --passes 0 -s munch in.y4m -o out.y4m
    [ ! -e out.y4m ]
}

@test "an interrupt in a later pass writes all frames, and no work file is left" {
    film pan 4 >in.y4m
    mkdir work
    TMPDIR=$PWD/work env --default-signal=INT "$NST" --y4m -S native -n 60 -s munch --passes 50 \
        --progress json in.y4m -o out.y4m 2>progress 3>&- &
    pid=$!
    wait_until "[ \"\$(grep -c '\"frame\":2' progress)\" -gt 90 ]"
    [ "$(ls work)" = "" ]
    kill -INT $pid
    status=0
    wait $pid || status=$?
    [ "$status" = 130 ]
    [ "$(grep -ao FRAME out.y4m | wc -l)" = 4 ]
}

@test "a changed flow file is not skipped" {
    gif 2 >in.gif
    mkdir flows
    for name in backward_2_1 forward_1_2; do
        perl -e 'print pack("f<l<l<", 202021.25, 48, 36), pack("f<f<", 0, 0) x (48 * 36)' >flows/$name.flo
    done
    again() {
        run -0 "$NST" -S native -n 1 -s munch --flow flows --skip-done in.gif -o out.webp --progress none
        echo "$output"
    }
    again
    [[ "$(again)" == *"is up to date; skipped"* ]]
    touch -d '2001-02-03' flows/backward_2_1.flo
    [[ "$(again)" != *"skipped"* ]]
    [[ "$(again)" == *"skipped"* ]]
}

# series FRAMES: the frames of a pan as the pictures in/1.pgm, in/2.pgm and so on.
series() {
    luma pan "$1" >luma
    mkdir -p in
    for ((t = 0; t < $1; t++)); do
        { printf 'P5\n96 64\n255\n'; tail -c +$((t * 6144 + 1)) luma | head -c 6144; } >in/$((t + 1)).pgm
    done
}

@test "--frames paints a series of pictures as the same frames in a stream" {
    needs jq
    series 3
    cat in/?.pgm >in.pnm
    for colour in style match; do
        nst --frames -S native -n 20 -s style.ppm --colour $colour in/?.pgm -o out/ --name '{stem}.ppm' --history h.jsonl
        nst --pnm -S native -n 20 -s style.ppm --colour $colour in.pnm -o out.pnm
        cat out/?.ppm | cmp - out.pnm
    done
    tail -c 18432 out.pnm | od -An -v -tu1 -w3 | # grey like the film, in the last frame, too
        awk '{ d = $1 - $3; sum += d < 0 ? -d : d } END { print sum / NR; exit !(sum / NR < 12) }'
    jq -es 'all(.[]; .options.frames) and [.[0:3][].iterations] == [28, 8, 8]' h.jsonl
    nst --frames -j 4 -S native -n 20 -s style.ppm --colour match in -o four/ --name '{stem}.ppm'
    cat four/?.ppm | cmp - out.pnm
}

@test "--frames continues with --skip-done, and after a frame that cannot be read" {
    series 4
    nst --frames -S native -n 20 -s munch in -o whole/ --name '{stem}.png'
    mkdir out
    cp whole/[12].png out/
    run --separate-stderr nst --frames --skip-done -S native -n 20 -s munch in -o out/ --name '{stem}.png'
    [ "$status" = 0 ]
    [ "$(grep -c 'is up to date; skipped' <<<"$stderr")" = 2 ]
    cmp whole/1.png out/1.png
    for t in 3 4; do # files are rounded, so not quite the same; a frame for itself differs by more
        nst -S native -n 20 -s munch in/$t.pgm -o alone$t.png
        for f in out/$t.png alone$t.png; do
            nst -S native --strength 0 -n 1 -s munch $f -o d.ppm
            nst -S native --strength 0 -n 1 -s munch whole/$t.png -o e.ppm
            paste <(tail -c 18432 d.ppm | od -An -v -tu1 -w1) <(tail -c 18432 e.ppm | od -An -v -tu1 -w1) |
                awk '{ d = $1 - $2; sum += d < 0 ? -d : d } END { print sum / NR }'
        done | tr '\n' ' ' >figures
        cat figures
        awk '{ exit !($1 < $2 / 3) }' figures
    done
    echo no picture >in/2.pgm
    picture in/3b.ppm 40 30 7
    run --separate-stderr nst -q --frames -S native -n 20 -s munch in -o gap/ --name '{stem}.png'
    [ "$status" = 1 ]
    grep -q '^nst: in/2.pgm: is not an image' <<<"$stderr"
    grep -q '^nst: in/3b.ppm: has 40x30 pixels, and the frames before it 96x64; all frames of a film have one size' <<<"$stderr"
    [ "$(echo gap/*)" = "gap/1.png gap/3.png gap/4.png" ]
    nst -q --frames -S native -n 20 -s munch in/3b.ppm -o gap/ --name '{stem}.png'
    rm gap/4.png
    run nst -q --frames --skip-done -S native -n 20 -s munch in/[134]*.p?m -o gap/ --name '{stem}.png'
    cat <<<"$output"
    [ "$status" = 0 ] && [ -e gap/4.png ] # 3b is done, but no frame of this film
}

@test "--frames refuses streams and several passes" {
    series 2
    cat in/?.pgm >in.pnm
    refused 2 'frames: takes pictures, and --pnm reads a stream; give one of the two' --frames --pnm -s munch in.pnm -o out.pnm
    refused 2 'passes: a film of several files \(--frames\) has one pass' --frames --passes 2 -s munch in -o out/
}
