#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The tree's one structural rule: a floor includes headers of its own folder and of the
# floors below it, never of those above, and only src/image includes libvips.
set -u
cd "${srcdir:-.}" || exit 1

floor() {
    case $1 in
    base) echo 0 ;;
    kernels) echo 1 ;;
    backend) echo 2 ;;
    model) echo 3 ;;
    style | optim) echo 4 ;;
    job) echo 5 ;;
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

echo 1..3
[ -z "$bad" ] || printf "not "
echo "ok 1 - no floor includes a header of a floor above it"
[ -z "$bad" ] || echo "$bad" | sed 's/^/# /'
[ -z "$vips" ] || printf "not "
echo "ok 2 - only src/image includes libvips"
[ -z "$vips" ] || echo "$vips" | sed 's/^/# /'
[ -z "$inner" ] || printf "not "
echo "ok 3 - the programs include nothing of the library but nst.h"
[ -z "$inner" ] || echo "$inner" | sed 's/^/# /'
