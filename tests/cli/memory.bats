#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Plans, tiles and memory limits.
bats_require_minimum_version 1.5.0
load helper

# nearly_equal FILE FILE: a few samples of 8 bits may differ by rounding.
nearly_equal() { # FILE FILE, PPM
    paste <(tail -n +4 "$1" | od -An -v -tu1 -w1) <(tail -n +4 "$2" | od -An -v -tu1 -w1) |
        awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > most) most = d; sum += d; n++ }
            END { print "largest difference " most ", mean " sum / n
                exit most > 2 || sum / n > 0.05 || !n }'
}

@test "a tiled run makes the same image up to rounding" {
    nst -s style.ppm photo.ppm -o whole.ppm -S 160
    nst -s style.ppm photo.ppm -o tiles.ppm -S 160 --tile 48
    run nearly_equal whole.ppm tiles.ppm
    echo "$output"
    [ "$status" = 0 ]
}

@test "tiles give the same bytes for any number of threads" {
    for t in 1 2 3; do
        nst -s style.ppm photo.ppm -o $t.png -S 160 --tile 48 -t $t
    done
    cmp 1.png 2.png
    cmp 1.png 3.png
}

@test "--dry-run prints the plan and writes nothing" {
    needs jq
    nst -s style.ppm photo.ppm -o out.png --dry-run >table
    grep -q '^size  *32 x 24$' table
    grep -q '^tiles  *none$' table
    grep -q '^peak memory  *[0-9]* MiB of [0-9]* MiB$' table
    grep -qE '^estimated time   ([0-9]+ (s|min [0-9]+ s|h [0-9]+ min)|[0-9]\.[0-9] s)$' table
    nst -p classic -s style.ppm photo.ppm -o out.png --dry-run --json --tile 16 -S 200 \
        --max-evaluations 5 >plan
    jq -e '.size == [200, 150] and .scales == [200] and .tile == 16 and
        .tiles == [13, 10] and .curvature_pairs == 20 and .evaluations == 4 and
        .peak_memory > 0 and .seconds > 0' plan
    [ ! -e out.png ]
    nst -s style.ppm photo.ppm -o new/ --dry-run
    [ ! -e new ]
    # several images are named
    nst -q -s munch photo.ppm style.ppm -o new/ --dry-run | grep '^picture' >names
    diff - names <<-END
	picture          photo.ppm
	picture          style.ppm
	END
    nst -q -s munch photo.ppm style.ppm -o new/ --dry-run --json >plans
    jq -es 'map([.picture, .size]) ==
        [["photo.ppm", [32, 24]], ["style.ppm", [32, 26]]]' plans
}

@test "--dry-run reads only the headers of images" {
    needs jq
    plan() { # the same for each file
        nst -s style.ppm --mask "$1" --keep-mask "$1" "$1" -o out.png --dry-run --json |
            jq -c 'del(.seconds, .peak_memory, .memory_limit)'
    }
    nst -s style.ppm photo.ppm -S native --strength 0 -o whole.png
    nst -s style.ppm photo.ppm -S native --strength 0 -o whole.jpg
    for format in png jpg; do
        head -c -200 whole.$format >cut.$format
        [ "$(plan cut.$format)" = "$(plan whole.$format)" ]
        run ! nst -s style.ppm cut.$format -o out.png
    done
    needs exiftool
    # orientation 6 swaps width and height
    exiftool -q -overwrite_original -n -Orientation=6 whole.jpg
    nst -s style.ppm whole.jpg -o out.png --dry-run --json | jq -e '.size == [24, 32]'
    # an option that depends on pixels reads them
    run ! nst -s style.ppm --adaptive parameters cut.png -o out.png --dry-run
}

@test "the planned memory is what the run takes" {
    needs jq
    needs_plain_build
    for options in "-S 448" "-p classic -S 448 --tile 96" "-S 384 -p gatys" "-S 640 -t 1"; do
        # shellcheck disable=SC2086 # word splitting is intended
        nst -s style.ppm photo.ppm $options --dry-run --json >plan
        # shellcheck disable=SC2086
        nst -s style.ppm photo.ppm -o out.png $options -n 22 --history h.jsonl
        jq -s '.[0].peak_memory / .[1].peak_memory' plan <(tail -n 1 h.jsonl) >ratio
        echo "$options: $(cat ratio)"
        awk '{ exit $1 < 0.85 || $1 > 1.15 }' ratio
    done
}

@test "the average that Adam returns takes no extra memory" {
    needs jq
    needs_plain_build
    set -- -p classic -S 1500 --tile 192 --optimiser adam
    nst -s style.ppm photo.ppm "$@" --dry-run --json >plan
    nst -s style.ppm photo.ppm -o out.ppm "$@" -n 1 --history h.jsonl
    jq -s '.[0].peak_memory / .[1].peak_memory' plan h.jsonl >ratio
    cat ratio
    awk '{ exit $1 < 0.97 }' ratio
}

@test "--max-memory leads to tiles, then to fewer curvature pairs, and is not exceeded" {
    needs jq
    needs_plain_build
    nst -p classic -s style.ppm photo.ppm -S 1500 -o out.png --max-memory 450M -n 2 \
        --history h.jsonl 2>said
    cat said
    grep -q 'nst: using [0-9]* x [0-9]* tiles to stay within 450 MiB' said
    grep -q 'nst: keeping [0-9]* of 20 curvature pairs to stay within 450 MiB' said
    jq -e '.peak_memory < 450 * 1048576 and .options.tile > 0' h.jsonl
}

# peak_below MIB: in the latest run
peak_below() {
    jq -s "last | .peak_memory / 1048576" h.jsonl
    jq -es "last | .peak_memory < $1 * 1048576" h.jsonl >/dev/null
}

@test "large images are read within --max-memory, one and several" {
    needs jq vips
    needs_plain_build
    vips black big.png 6000 4000 --bands 3
    vips copy big.png big.jpg
    vips copy big.png big.tif
    for format in png jpg tif; do
        nst -s munch big.$format -o out.png -S 64 -n 1 --max-memory 100M --history h.jsonl
        peak_below 100
    done
    # it takes 72 MB to decode, and 288 as floats
    refused 1 'big.png: out of memory: to read 6000x4000 pixels takes [0-9]+ MiB, and [0-9]+ MiB are left' \
        -s munch big.png -o out.png -S native --tile 64 --max-memory 300M
    refused 1 'big.png: out of memory: to read 6000x4000 pixels takes' \
        -s munch big.png -o out.png -S native --tile 64 --max-memory 300M --dry-run
    refused 1 'big.png: out of memory: to read 6000x4000 pixels takes' \
        -s big.png photo.ppm -o out.png -S native --tile 64 --max-memory 300M
    for i in 1 2 3 4 5 6; do cp big.jpg "$i.jpg"; done
    nst -s munch [1-6].jpg -o d/ -S 300 -n 1 -j 4 --max-memory 180M --history h.jsonl
    peak_below 180
    [ "$(ls d | wc -l)" = 6 ]
}

@test "what a decoder holds at once counts in --max-memory" {
    needs jq vips
    needs_plain_build
    vips black 'big.png[interlace]' 6000 4000 --bands 3 # 72 MB, where rows would take 1
    refused 1 'big.png: out of memory: to read 6000x4000 pixels takes [0-9]+ MiB' \
        -s munch big.png -o out.png -S 64 -n 1 --max-memory 90M
    nst -s munch big.png -o out.png -S 64 -n 1 --max-memory 200M --history h.jsonl
    peak_below 200
}

# animation WIDTH HEIGHT FRAMES: make big.gif
animation() {
    needs jq vips
    needs_plain_build
    vips black roll.v "$1" $(($2 * $3)) --bands 3
    vips copy roll.v frames.v
    vips gifsave frames.v big.gif --page-height "$2" 2>/dev/null || skip "no GIF"
}

@test "an animation is read frame by frame" {
    animation 1000 1000 30 # 114 MB as RGBA
    nst -s munch big.gif -o out.gif -S 16 -n 1 --max-memory 90M --history h.jsonl
    peak_below 90
    [ "$(vipsheader -f n-pages out.gif)" = 30 ]
}

@test "animations in parallel stay within --max-memory" {
    animation 400 400 50
    for i in 1 2 3; do cp big.gif "$i.gif"; done
    nst -p classic -s munch [1-3].gif -o g/ -S 16 -n 1 -j 3 --max-memory 80M --history h.jsonl
    peak_below 80
}

@test "the frames of the result count in --max-memory" {
    animation 400 20 2000 # 64 MB of results
    refused 1 'need at least [0-9]+ MiB, but 100 MiB are allowed' \
        -s munch big.gif -o out.gif -S 400 --scales none -n 1 --max-memory 100M
}

@test "an animation with a damaged frame is refused before work begins" {
    needs jq vips
    vips gaussnoise frames.v 64 1280
    vips webpsave frames.v film.webp --page-height 64 --lossless 2>/dev/null || skip "no WebP"
    printf '\377%.0s' $(seq 300) | dd of=film.webp bs=1 conv=notrunc 2>/dev/null \
        seek="$(($(wc -c <film.webp) * 3 / 4))"
    run ! "$NST" -s munch film.webp -o out.webp -S 64 -n 1
    [ "$output" = 'nst: film.webp: is damaged or cut short: unable to read pixels' ]
    [ ! -e out.webp ]
}

@test "what a progressive JPEG holds at once counts in --max-memory" {
    needs jq vips
    needs_plain_build
    vips black black.png 6000 4000 --bands 3
    vips jpegsave black.png 'big.jpg' --interlace # its coefficients take 144 MB
    refused 1 'big.jpg: out of memory: to read 6000x4000 pixels takes [0-9]+ MiB' \
        -s munch big.jpg -o out.png -S 64 -n 1 --max-memory 120M
    nst -s munch big.jpg -o out.png -S 64 -n 1 --max-memory 250M --history h.jsonl
    peak_below 250
}

@test "a run that cannot fit into memory is refused before work begins" {
    REFUSAL_MS=5000 refused 1 'need at least [0-9]+ MiB, but 32 MiB are allowed' \
        -s style.ppm photo.ppm -o out.png -S 700 --max-memory 32M
    refused 2 "max-memory: 'lots' is not a size from 16M" \
        -s style.ppm photo.ppm -o out.png --max-memory lots
    refused 2 "max-memory: '3Q' is not a size" \
        -s style.ppm photo.ppm -o out.png --max-memory 3Q
    refused 2 "tile: '5' is not a whole number between 16" \
        -s style.ppm photo.ppm -o out.png --tile 5
}

@test "the plan obeys ulimit -v" {
    needs jq
    needs_plain_build
    (ulimit -v 1500000 && nst -s style.ppm photo.ppm --dry-run --json) >plan
    jq -e '.memory_limit < 1500000 * 1024' plan
}

@test "a film goes without optical flow if there is no memory for it" {
    printf 'YUV4MPEG2 W1280 H1280 F25:1 Cmono\nFRAME\n' >film.y4m
    head -c $((1280 * 1280)) /dev/zero >>film.y4m
    plan() { nst --y4m -S native --optimiser adam -s munch --dry-run --json "$@" film.y4m -o out.y4m; }
    plan --max-memory 290M 2>message
    grep -q 'without optical flow, which takes [0-9]* MiB, to stay within 290 MiB' message
    plan --max-memory 290M --flow none 2>message
    [ ! -s message ]
    plan --max-memory 500M 2>message
    [ ! -s message ]
}

@test "parallel jobs together stay within --max-memory" {
    needs jq
    needs_plain_build
    for i in 1 2 3 4; do
        picture p$i.ppm 48 36 $((i + 3))
    done
    one=$(nst -s style.ppm p1.ppm -S 640 --dry-run --json | jq .peak_memory)
    limit=$((one * 5 / 4))
    nst -s style.ppm p?.ppm -S 640 -j 4 -t 4 --max-memory $limit -o out/ --history h.jsonl 2>said
    grep -q "4 done" said
    jq -se "length == 4 and all(.[]; .options.tile == \"auto\" and .peak_memory < $limit)" h.jsonl
    # without the limit they do not wait for each other
    nst -s style.ppm p?.ppm -S 640 -j 4 -t 4 -o out/ --history free.jsonl
    jq -se "map(.peak_memory) | max > $limit" free.jsonl
}

@test "a batch stays within the memory limit of its cgroup" {
    needs_plain_build
    local limit peak group
    if [ -d /sys/fs/cgroup/memory ]; then
        group=/sys/fs/cgroup/memory/nst-test-$$ limit=memory.limit_in_bytes peak=memory.max_usage_in_bytes
    else
        group=/sys/fs/cgroup/nst-test-$$ limit=memory.max peak=memory.peak
    fi
    mkdir $group 2>/dev/null || skip "no cgroup can be made here"
    if ! echo 250M 2>/dev/null >$group/$limit || [ ! -r $group/$peak ]; then
        rmdir $group
        skip "no cgroup can be given a limit here"
    fi
    for i in 1 2; do
        picture p$i.ppm 48 36 $((i + 3))
    done
    status=0
    sh -c 'echo $$ >'$group'/cgroup.procs && exec "$@"' - "$NST" -p classic -S 900 -n 3 -t 4 --progress none \
        -s style.ppm p?.ppm -o out/ 2>said || status=$?
    cat said
    cat $group/$peak
    [ $status = 0 ] && grep -q '^nst: 2 done' said && [ "$(cat $group/$peak)" -lt 262144000 ] || status=1
    rmdir $group
    [ $status = 0 ]
}

@test "a batch under ulimit -v makes all of its images" {
    needs_plain_build
    for i in 1 2 3 4; do
        picture p$i.ppm 48 36 $((i + 3))
    done
    for limit in 350000 700000; do
        (ulimit -v $limit && nst -p classic -s style.ppm p?.ppm -S 640 -t 2 -o out/ 2>said)
        grep -q '^nst: 4 done' said
        rm -r out
    done
}

@test "memory does not grow from 3 images to many" {
    needs jq
    needs_plain_build
    local many=40
    [ -z "${NST_TEST_ALL:-}" ] || many=100
    for i in $(seq $many); do
        picture p$i.ppm $((40 + i % 5)) $((36 - i % 3)) $((i + 3))
    done
    # In parallel, the peaks of two jobs may not have coincided among the first three.
    while read -r jobs most; do
        nst -s style.ppm p*.ppm -S 96 --scales 48,96 -n 2 -t 2 -j "$jobs" -o out/ \
            --history h.jsonl
        jq -s '.[2].peak_memory, last.peak_memory' h.jsonl | tr '\n' ' ' >peaks
        cat peaks
        awk -v most="$most" '{ exit $2 > most * $1 }' peaks
        rm h.jsonl
    done <<<$'1 1.1\n2 1.25'
}
