#!/bin/sh
# SPDX-License-Identifier: MIT
#
# nst against float64 figures from PyTorch, on the full VGG19. The figures, the pictures
# and the network are not part of the project: they are looked for in $NST_SHARED, or in
# shared/ beside the source tree, and without them everything here is skipped.
#
# The first cases are run through the default optimiser as well, 300 evaluations each;
# all of them with NST_TEST_ALL=1, which takes several minutes.
set -u
shared=${NST_SHARED:-${srcdir:-.}/../shared}
check=$shared/checks/reference
if [ ! -x "$check" ] || ! command -v python3 >/dev/null; then
    echo "1..0 # SKIP the reference figures ($check) or python3 are not here"
    exit 0
fi
if [ "${NST_TEST_ALL:-0}" = 1 ]; then
    "$check" --nst "$NST"
else
    "$check" --nst "$NST" --skip-optimiser
    "$check" --nst "$NST" --only a128-tutorial-1e6
    "$check" --nst "$NST" --only b-gatys-avg
fi | awk '
    /^ok / { sub(/^ok +/, ""); print "ok " ++n " - " $0 }
    /^NOT OK / { sub(/^NOT OK +/, ""); print "not ok " ++n " - " $0 }
    END {
        if (!n)
            print "not ok " ++n " - the reference checker says something"
        print "1.." n
    }'
