#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The structure of the tree: a floor includes headers of its own folder and of lower
# floors, never of higher ones; only src/image includes libvips; only backends turn a
# buffer into a pointer; no source files call each other in a circle.
set -u

# Pairs "user used" of the object files of this build, by their symbols. Those of the
# library are in .libs; a program's have its name and a dash before theirs.
uses() {
    find src \( -path '*/.libs/*.o' -o -path 'src/cli/*.o' -o -path 'src/serve/*.o' \) \
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
cd "${srcdir:-.}" || exit 1

floor() {
    case $1 in
    base) echo 0 ;;
    kernels) echo 1 ;;
    backend) echo 2 ;;
    model) echo 3 ;;
    options | style | optim) echo 4 ;;
    session) echo 5 ;;
    image | record | quality) echo 6 ;;
    run) echo 7 ;;
    cli | serve) echo 8 ;;
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
# The programs know the library by its interface alone.
inner=$(grep -E '^#include "' src/cli/*.[ch] src/serve/*.[ch] |
    grep -vE '"(config\.h|nst\.h|(cli|serve)/[a-z_]+\.h)"')
vips=$(grep -rl '<vips/' src | grep -v '^src/image/')
buffers=$(grep -rnE '"backend/host|\(struct nst_buffer \*\)' src --include='*.[ch]' |
    grep -v '^src/backend/')

echo 1..5
[ -z "$bad" ] || printf "not "
echo "ok 1 - no floor includes a header of a floor above it"
[ -z "$bad" ] || echo "$bad" | sed 's/^/# /'
[ -z "$vips" ] || printf "not "
echo "ok 2 - only src/image includes libvips"
[ -z "$vips" ] || echo "$vips" | sed 's/^/# /'
[ -z "$inner" ] || printf "not "
echo "ok 3 - the programs include nothing of the library but nst.h"
[ -z "$inner" ] || echo "$inner" | sed 's/^/# /'
[ -z "$buffers" ] || printf "not "
echo "ok 4 - only backends turn a buffer into a pointer"
[ -z "$buffers" ] || echo "$buffers" | sed 's/^/# /'
[ -n "$used" ] && [ -z "$circles" ] || printf "not "
echo "ok 5 - no source files call each other in a circle"
[ -z "$circles" ] || echo "$circles" | sed 's/^/# /'
