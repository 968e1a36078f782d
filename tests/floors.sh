#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The structure of the tree: a floor includes headers of its own folder and of lower
# floors, never of higher ones; only src/image includes libvips; only backends turn a
# buffer into a pointer; no source files call each other in a circle; helpers, of which
# programs and library each have a copy, have no state; the HTTP server of nst-serve and
# its queue are independent; a release contains every source file.
set -u

# Pairs "user used" of the object files of this build, by their symbols. Those of the
# library are in .libs; a program's have its name and a dash before theirs.
uses() {
    find src \( -path '*/.libs/*.o' -o -path 'src/cli/*.o' -o -path 'src/serve/*.o' -o -path 'src/gimp/*.o' \) \
        ! -name 'tests_*' -exec nm -A -g {} + 2>/dev/null | awk '
        {
            file = $1
            sub(/:.*/, "", file)
            sub(/\/\.libs/, "", file)
            sub(/[^\/]*-/, "", file)
            if ($(NF - 1) == "U")
                needs[file " " $NF]
            else
                owner[$NF] = file
        }
        END {
            for (need in needs) {
                split(need, part, " ")
                if (part[2] in owner && owner[part[2]] != part[1])
                    print part[1], owner[part[2]]
            }
        }' | sort -u
}

used=$(uses)
circles=$(echo "$used" | tsort 2>&1 >/dev/null)
state=
[ "${SANITIZERS:-no}" != no ] || # their objects have variables of their own
    state=$(objdump -t .libs/libnst-util.a src/options/*.o src/record/*.o |
        grep -E ' O \.(bss|data|tbss|tdata)[[:space:]]')
cd "${srcdir:-.}" || exit 1

floor() {
    case $1 in
    base) echo 0 ;;
    kernels) echo 1 ;;
    flow | backend) echo 2 ;;
    model) echo 3 ;;
    net | options | style | optim) echo 4 ;;
    session) echo 5 ;;
    image | record | quality) echo 6 ;;
    run | train) echo 7 ;;
    cli | gimp | serve) echo 8 ;;
    *) echo unknown ;;
    esac
}

bad=$(find src -name '*.[ch]' | while read -r file; do
    from=${file#src/}
    from=${from%%/*}
    sed -n 's/^#include "\([a-z_]*\)\/.*/\1/p' "$file" | while read -r to; do
        [ "$from" = "$to" ] || [ "$(floor "$to")" -lt "$(floor "$from")" ] ||
            echo "$file includes $to"
    done
done)
# The programs know the library by its interface alone, and the helpers of which they
# have a copy.
helpers=$(sed -n '/^libnst_util_la_SOURCES/,/[^\\]$/p; /^nst[a-z_]*_SOURCES/,/[^\\]$/p; /^EXIT = /p' \
    src/local.mk | grep -oE '(base|model|options|record)/[a-z_0-9/]+\.h' | paste -sd '|')
inner=$(grep -rE '^#include "' src/cli src/serve src/gimp --include='*.[ch]' |
    grep -vE '"(config\.h|nst\.h|(cli|serve|gimp)/[a-z_/]+\.h|'"$helpers"')"')
# The HTTP server of nst-serve and its queue do not know each other.
wings=$(grep -r '^#include "serve/queue/' src/serve/http
    grep -r '^#include "serve/http/' src/serve/queue)
vips=$(grep -rl '<vips/' src | grep -v '^src/image/')
buffers=$(grep -rnE '"backend/host|\(struct nst_buffer \*\)' src --include='*.[ch]' |
    grep -v '^src/backend/')

echo 1..8
[ -z "$bad" ] || printf "not "
echo "ok 1 - no floor includes a header of a floor above it"
[ -z "$bad" ] || echo "$bad" | sed 's/^/# /'
[ -z "$vips" ] || printf "not "
echo "ok 2 - only src/image includes libvips"
[ -z "$vips" ] || echo "$vips" | sed 's/^/# /'
[ -z "$inner" ] || printf "not "
echo "ok 3 - the programs include nothing of the library but nst.h and their helpers"
[ -z "$inner" ] || echo "$inner" | sed 's/^/# /'
[ -z "$buffers" ] || printf "not "
echo "ok 4 - only backends turn a buffer into a pointer"
[ -z "$buffers" ] || echo "$buffers" | sed 's/^/# /'
[ -n "$used" ] && [ -z "$circles" ] || printf "not "
echo "ok 5 - no source files call each other in a circle"
[ -z "$circles" ] || echo "$circles" | sed 's/^/# /'
[ -z "$state" ] || printf "not "
echo "ok 6 - helpers have no state, which would exist twice"
[ -z "$state" ] || echo "$state" | sed 's/^/# /'
[ -z "$wings" ] || printf "not "
echo "ok 7 - the HTTP server of nst-serve and its queue do not include each other"
[ -z "$wings" ] || echo "$wings" | sed 's/^/# /'
lost=$(find src -name '*.[ch]' ! -path 'src/web/*' | sort | while read -r file; do
    grep -qF "%D%/${file#src/}" src/local.mk || echo "$file"
done)
[ -z "$lost" ] || printf "not "
echo "ok 8 - src/local.mk names each source file, so that a release contains it"
[ -z "$lost" ] || echo "$lost" | sed 's/^/# /'
