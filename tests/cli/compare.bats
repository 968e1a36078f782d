#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The metrics and messages of nst-compare.
bats_require_minimum_version 1.5.0
load helper

setup_file() {
    export COMPARE=${NST%/nst}/nst-compare
}

figure() { # of a line of JSON on standard input
    jq -r ".$1"
}

near() {
    echo "$1, expected $2"
    awk -v a="$1" -v b="$2" -v e="${3:-1e-6}" 'BEGIN { d = a - b; exit !(d < e && d > -e) }'
}

# plainly FILE FILE: SSIM, PSNR and colour consistency of two P3 images, by definition.
plainly() {
    cat "$1" "$2" | awk '
        { for (i = 1; i <= NF; i++) v[n++] = $i }
        function luma(p, x, y,   at) {
            at = p * (4 + 3 * w * h) + 4 + 3 * (y * w + x)
            return (0.299 * v[at] + 0.587 * v[at + 1] + 0.114 * v[at + 2]) / 255
        }
        END {
            w = v[1]; h = v[2]; size = 4 + 3 * w * h
            for (i = -5; i <= 5; i++) for (j = -5; j <= 5; j++)
                total += g[i, j] = exp(-(i * i + j * j) / 4.5)
            for (y = 5; y < h - 5; y++) for (x = 5; x < w - 5; x++) {
                a = b = aa = bb = ab = 0
                for (i = -5; i <= 5; i++) for (j = -5; j <= 5; j++) {
                    k = g[i, j] / total; p = luma(0, x + j, y + i); q = luma(1, x + j, y + i)
                    a += k * p; b += k * q; aa += k * p * p; bb += k * q * q; ab += k * p * q
                }
                ssim += (2 * a * b + 0.0001) * (2 * (ab - a * b) + 0.0009) / \
                    ((a * a + b * b + 0.0001) * (aa - a * a + bb - b * b + 0.0009))
            }
            for (i = 4; i < size; i++) { d = (v[i] - v[size + i]) / 255; square += d * d }
            for (i = 4; i < size; i += 3) {
                one[int(v[i] / 256 * 8) int(v[i + 1] / 256 * 8) int(v[i + 2] / 256 * 8)]++
                j = size + i
                two[int(v[j] / 256 * 8) int(v[j + 1] / 256 * 8) int(v[j + 2] / 256 * 8)]++
            }
            for (c in one) common += one[c] < two[c] ? one[c] : two[c]
            printf "%.9f %.9f %.9f\n", ssim / ((w - 10) * (h - 10)),
                -10 * log(square / (3 * w * h)) / log(10), common / (w * h)
        }'
}

@test "SSIM, PSNR and colour consistency match their definitions" {
    needs jq
    picture other.ppm 48 36 13
    "$COMPARE" --json photo.ppm other.ppm >figures.json
    read -r ssim psnr colour < <(plainly photo.ppm other.ppm)
    near "$(figure ssim <figures.json)" "$ssim"
    near "$(figure psnr <figures.json)" "$psnr" 1e-5
    near "$(figure colour_consistency <figures.json)" "$colour"
}

@test "an image compared with itself has the best value of every metric" {
    needs jq
    "$COMPARE" --json photo.ppm photo.ppm | jq -e '.ssim == 1 and .psnr == null and
        .colour_consistency > 0.999999 and .perceptual_distance == 0 and
        .content_distance == 0 and .style_distance == null'
    "$COMPARE" photo.ppm photo.ppm | grep -qE '^SSIM +1\.0000$'
}

@test "more strength moves the result away from the content and closer to the style" {
    needs jq
    for strength in 0 0.5 1; do
        nst -s style.ppm photo.ppm -S 48 -n 60 -o $strength.png --strength $strength
        "$COMPARE" --json -s style.ppm photo.ppm $strength.png >>figures.json
    done
    jq -es 'def rises(f): map(f) | . == sort and .[0] < .[-1];
        rises(.perceptual_distance) and rises(.content_distance) and rises(-.ssim) and
        rises(-.style_distance)' figures.json
}

@test "the original is resized to the size of the result" {
    nst -s style.ppm photo.ppm -S 32 -o small.png --strength 0
    "$COMPARE" photo.ppm small.png | grep -qE '^SSIM +0\.99|^SSIM +1\.0'
}

@test "the style image is resized to the size that nst uses for the result" {
    needs jq
    picture painting.ppm 96 64 5
    nst -s painting.ppm painting.ppm -S 48 --strength 0 -o small.ppm
    nst -s style.ppm photo.ppm -S 48 -o out.png
    distance() { "$COMPARE" --json -s "$1" photo.ppm out.png | jq .style_distance; }
    echo "$(distance small.ppm) and $(distance painting.ppm)"
    awk -v a="$(distance small.ppm)" -v b="$(distance painting.ppm)" \
        'BEGIN { exit !(b < 1.02 * a && b > 0.98 * a) }'
}

@test "a style pack is refused because it lacks the compared layers" {
    for pack in munch munch.nststyle; do
        cp "${srcdir:?}/styles/munch.nststyle" .
        run --separate-stderr "$COMPARE" -s $pack photo.ppm style.ppm
        [ "$status" = 2 ]
        [[ $stderr == *"style '$pack': is a style pack, which lacks the layers"* ]]
    done
}

@test "invalid arguments are refused with a message" {
    for bad in photo.ppm "photo.ppm none.ppm" "photo.ppm style.ppm photo.ppm" \
        "-m nosuch photo.ppm style.ppm"; do
        # shellcheck disable=SC2086 # word splitting is intended
        run --separate-stderr "$COMPARE" $bad
        echo "$status $stderr"
        [ "$status" -gt 0 ]
        [ -z "$output" ]
        grep -qE '^nst-compare: ' <<<"$stderr"
    done
}

@test "the manual is valid mdoc and lists every option" {
    needs mandoc
    run mandoc -T lint -W warning "${srcdir:?}/man/nst-compare.1"
    [ -z "$(grep -v 'outdated mandoc.db' <<<"$output")" ]
    "$COMPARE" --help | grep -oE -- '--[a-z]+' | sort -u >help
    mandoc -T ascii "$srcdir/man/nst-compare.1" | col -bx | grep -oE -- '--[a-z]+' | sort -u >manual
    diff help manual
}

# PyTorch computed the expected values in float64 from these weights and images.
@test "LPIPS matches PyTorch for both networks and requires weights" {
    needs jq
    picture a.ppm 70 66 11
    picture b.ppm 70 66 5
    for case in alex:0.9385918873 vgg:1.6965660633; do
        "$(dirname "$NST")/nst-compare" a.ppm b.ppm --json \
            --lpips "${srcdir:?}/tests/data/tiny-lpips-${case%:*}.safetensors" |
            jq -e --arg network "${case%:*}" --argjson wanted "${case#*:}" '.lpips |
                .network == $network and (.distance / $wanted - 1 | fabs) < 1e-5'
    done
    "$(dirname "$NST")/nst-compare" a.ppm b.ppm --json | jq -e 'has("lpips") | not'
    run "$(dirname "$NST")/nst-compare" a.ppm b.ppm --lpips "$srcdir/models/vgg19-lite.safetensors"
    [ "$status" = 1 ]
    [[ $output == *lin0.model.1.weight* ]]
    run "$(dirname "$NST")/nst-compare" photo.ppm style.ppm --lpips-heads x
    [ "$status" = 2 ]
}

@test "the overall score is 1 for equal images and follows the manual's formula" {
    needs jq
    "$(dirname "$NST")/nst-compare" photo.ppm photo.ppm --json | jq -e '.overall == 1'
    "$(dirname "$NST")/nst-compare" photo.ppm style.ppm --json | jq -e '
        (0.4 * .ssim + 0.3 * ([1 - .perceptual_distance / 4, 0] | max)
         + 0.3 * .colour_consistency - .overall | fabs) < 1e-6'
}
