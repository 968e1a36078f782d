#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The default's look, held by figures: Tuebingen in the manner of three paintings, made
# with the bundled network, beside the pictures that neural-style published of the same
# pairs. Both distances are those of nst-compare with the full VGG19, which made none of
# ours. The style is no further from the painting than in the published picture (of The
# Scream, four times as far at most), and the content 1.4 times as far at most. Pictures
# and network are no part of the project; without them everything is skipped.
set -u
shared=${NST_SHARED:-${srcdir:-.}/../shared}
judge=$shared/weights/vgg19-conv5_1.safetensors
if [ ! -f "$judge" ] || [ ! -d "$shared/peers" ] || ! command -v jq >/dev/null; then
    echo "1..0 # SKIP the pictures ($shared/peers), the network, or jq are not here"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compare=$(dirname "$NST")/nst-compare
photo=$shared/images/tubingen.jpg

# pair NUMBER PEER PAINTING TIMES
pair() {
    "$NST" -q --config none --history none -m vgg19-lite -s "$shared/images/$3.jpg" \
        "$photo" -o "$work/ours.png"
    for picture in "$work/ours.png" "$shared/peers/$2.png"; do
        "$compare" --json -m "$judge" -s "$shared/images/$3.jpg" "$photo" "$picture"
    done | jq -rs --argjson times "$4" --arg say "$1 - $3" '
        (.[0].content_distance <= 1.4 * .[1].content_distance and
         .[0].style_distance <= $times * .[1].style_distance) as $good
        | "\(if $good then "ok" else "not ok" end) \($say): content "
          + "\(.[0].content_distance) (published \(.[1].content_distance)), style "
          + "\(.[0].style_distance) (\(.[1].style_distance))"'
}

echo 1..3
pair 1 tubingen_starry starry_night 1
pair 2 tubingen_composition_vii composition_vii 1
pair 3 tubingen_scream the_scream 4
