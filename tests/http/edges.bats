#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The edges of nst-serve: limits that there is no way around, and two things at once.
bats_require_minimum_version 1.5.0
load helper

@test "steps and the style's weight are bounded by whatever name they are asked for" {
    serve
    upload photo.png
    while IFS='|' read -r json pattern; do
        post /api/style-transfer \
            "{\"content_image\": \"$content\", \"style_image\": \"munch\", $json}"
        refused 400 "$pattern"
    done <<'END'
"iterations": 5000|iterations
"style-weight": 1e12|style-weight
"scale_iterations": [1001]|scale_iterations: 1001 .* 1 to 1000
"scales": [16, 32], "scale-iterations": [3, 100000]|scale_iterations: 100000 .* 1 to 1000
END
    transfer '{scales: [16, 32], scale_iterations: [3, 2]}'
    until_state completed
}
