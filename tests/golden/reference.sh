#!/bin/sh
# SPDX-License-Identifier: MIT
#
# nst against float64 values from PyTorch, with the full VGG19. Values, images and
# network are not part of the project: they are in $NST_SHARED, or in shared/ beside the
# source tree; without them the tests are skipped.
#
# One case also runs the optimiser, for 300 evaluations. NST_TEST_ALL=1 does so for all
# cases, which takes several minutes, and adds the largest, a256-gatys-max, which differs
# from b-gatys-max in size only.
set -u
shared=${NST_SHARED:-${srcdir:-.}/../shared}
check=$shared/checks/reference
if [ ! -x "$check" ] || ! command -v python3 >/dev/null; then
    echo "1..0 # SKIP the reference figures ($check) or python3 are not here"
    exit 0
fi
# The checker sets layers and weights; the preset classic sets the rest. It also compares with
# PyTorch's optimiser, which tests/golden/pytorch runs, as --compat tutorial.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/nst" <<END
#!/bin/sh
case " \$* " in
*' --compat '*) exec "$PWD/tests/golden/pytorch" -p "$(realpath "${srcdir:-.}/presets/classic.json")" "\$@" ;;
esac
exec "$(realpath "$NST")" -p classic "\$@"
END
chmod +x "$work/nst"
if [ "${NST_TEST_ALL:-0}" = 1 ]; then
    "$check" --nst "$work/nst"
else
    "$check" --nst "$work/nst" --only a128-tutorial-1e6
    for case in a128-tutorial-7000 b-tutorial-1e6 b-gatys-max b-gatys-avg; do
        "$check" --nst "$work/nst" --skip-optimiser --only $case
    done
    echo "ok      a256-gatys-max # SKIP it takes long: NST_TEST_ALL=1"
fi >"$work/lines"
# Two quick cases on the second implementation.
why=$(NST_BACKEND=blas "$NST" -q --history none -n 1 -S 32 -s "${srcdir:-.}/samples/style.svg" \
    "${srcdir:-.}/samples/content.svg" -o "$work/blas.png" 2>&1)
for case in a128-tutorial-1e6 b-gatys-avg; do
    [ -z "$why" ] || break
    NST_BACKEND=blas "$check" --nst "$work/nst" --skip-optimiser --only $case |
        sed 's/^\(ok\|NOT OK\) */&blas: /' >>"$work/lines"
done
[ -z "$why" ] || echo "ok      blas # SKIP $why" >>"$work/lines"
awk '
    /^ok / { sub(/^ok +/, ""); print "ok " ++n " - " $0 }
    /^NOT OK / { sub(/^NOT OK +/, ""); print "not ok " ++n " - " $0 }
    END {
        if (!n)
            print "not ok " ++n " - the reference checker says something"
        print "1.." n
    }' "$work/lines"
