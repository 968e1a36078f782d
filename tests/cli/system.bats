#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What the system refuses or changes: memory, file sizes, special files, modes, the locale.
bats_require_minimum_version 1.5.0
load helper

# in_memory KB COMMAND...: run it in this much address space. Sets $status and $stderr.
in_memory() {
    local kb=$1
    shift
    run --separate-stderr timeout 60 bash -c 'ulimit -v "$0"; exec "$@"' "$kb" "$@"
}

@test "an image that does not fit into memory is refused in every role, and the others are made" {
    needs vips
    needs_plain_build
    vips black big.png[interlace] 8000 7680 --bands 3 # cannot be decoded row by row
    for role in "-s big.png photo.ppm" "-s style.ppm --mask big.png photo.ppm" \
        "-s style.ppm --keep-mask big.png photo.ppm" "-s style.ppm --init big.png photo.ppm" \
        "-s style.ppm big.png"; do
        # shellcheck disable=SC2086 # word splitting is intended
        in_memory 400000 "$NST" -q $role -o out.png -S 64 -n 1
        echo "$role: $status $stderr"
        [ "$status" = 1 ]
        [[ $stderr == *"big.png: out of memory"* ]]
        [ ! -e out.png ]
    done
    mkdir d
    in_memory 400000 "$NST" -q -s style.ppm big.png photo.ppm -o d/ -n 1 -S 64
    [ "$status" = 1 ]
    [ "$(ls d)" = photo-style.ppm ]
}

@test "nst starts and ends in little memory" {
    needs_plain_build
    for kb in 200000 250000 300000; do
        in_memory $kb "$NST" --version
        echo "$kb: $status $stderr"
        [ "$status" = 0 ]
    done
    # OpenBLAS, which LAPACK brings, starts threads that retry an allocation for ever.
    run ! grep -iE 'lib[a-z]*(blas|lapack)' <(ldd "$NST")
}

# little_memory INPUT OUTPUT: run nst under many limits. It must end by itself, with one
# line or with the image, and name memory as the reason.
little_memory() {
    local kb step=12000 did=
    [ -z "${NST_TEST_ALL:-}" ] || step=1000
    for kb in $(seq 110000 $step 320000); do
        rm -f "$2"
        in_memory "$kb" "$NST" -q -s style.ppm "$1" -o "$2" -n 1 -S 32
        [[ $stderr != *"error while loading shared libraries"* ]] || continue
        echo "$1 $2 $kb: $status $stderr"
        if [ "$status" = 0 ]; then
            [ -s "$2" ] && [ -z "$stderr" ]
            continue
        fi
        did+=refused
        [ "$status" = 1 ]
        [ ! -e "$2" ]
        [[ $stderr == nst:\ * && $stderr != *$'\n'* ]]
        grep -qE 'out of memory|need at least .* are available' <<<"$stderr"
    done
    [ -n "$did" ]
}

@test "little address space ends no run by a signal, and none hangs" {
    needs_plain_build
    little_memory photo.ppm out.png
    little_memory photo.ppm out.jpg
}

@test "nor do encoders and decoders that start threads of their own" {
    needs_plain_build
    local format made=
    for format in heic avif jxl; do
        nst -s style.ppm photo.ppm -o "in.$format" 2>/dev/null || continue
        made+=$format
        little_memory photo.ppm "out.$format"
        little_memory "in.$format" out.png
    done
    [ -n "$made" ] || skip "this libvips has neither HEIC nor JPEG XL"
}

@test "few threads end no run by a signal, and none hangs" {
    needs_plain_build
    needs setpriv
    [ "$(id -u)" = 0 ] || skip "the limit counts all processes of this user"
    local as=(setpriv --reuid=61234 --clear-groups) n format
    "${as[@]}" "$NST" --version >/dev/null || skip "others cannot run nst here"
    for n in $(seq 3 $((3 * $(nproc) + 12))); do
        for format in png heic jxl; do
            # shellcheck disable=SC2016 # $0 and $@ are of the inner shell
            run --separate-stderr timeout 60 "${as[@]}" bash -c \
                'ulimit -u "$0"; exec "$@" >/dev/null' "$n" \
                "$NST" -q -s munch - -o - --format $format -n 1 -S 32 <photo.ppm
            echo "$n $format: $status $stderr"
            [ "$status" = 0 ] && [ -z "$stderr" ] && continue
            [ "$status" = 1 ]
            [[ $stderr == nst:\ *threads* && $stderr != *$'\n'* ]]
        done
    done
    [ "$status" = 0 ]
}

@test "a file that may not grow is an error of one image" {
    needs_plain_build
    mkdir d
    run --separate-stderr bash -c 'ulimit -f 4; exec "$@"' - "$NST" -q -s style.ppm photo.ppm \
        photo.ppm -o d/ -n 1 -S 512 --name '{index}.ppm'
    [ "$status" = 1 ]
    [ "$(grep -c 'File too large' <<<"$stderr")" = 2 ]
    [ -z "$(ls -A d)" ]
}

@test "a FIFO in a directory is passed over; one that is named is read" {
    mkdir d
    cp photo.ppm d
    mkfifo d/pipe.ppm
    timeout 60 "$NST" -q -s style.ppm d -o out/ -n 1 -S 32
    [ "$(ls out)" = photo-style.ppm ]
    timeout 60 "$NST" -q -s style.ppm d -o out/ --dry-run -S 32 >/dev/null
    cat photo.ppm >d/pipe.ppm &
    timeout 60 "$NST" -q -s style.ppm d/pipe.ppm -o named.png -n 1 -S 32
    [ "$(dimensions named.png)" = 32x24 ]
}

@test "capital suffixes name the same formats in Turkish" {
    needs localedef
    [ -e /usr/share/i18n/locales/tr_TR ] || skip "the sources of locales are not installed"
    mkdir locales d
    localedef -i tr_TR -f UTF-8 locales/tr_TR.UTF-8
    export LOCPATH=$PWD/locales LC_ALL=tr_TR.UTF-8
    nst -s style.ppm photo.ppm -o d/A.TIFF -n 1
    cp d/A.TIFF d/B.TIF
    cp photo.ppm d/C.PPM
    nst -s style.ppm d -o out/ -n 1
    [ "$(find out -type f | wc -l)" = 3 ]
    nst -s style.ppm photo.ppm -o O.GIF -n 1
    [ "$(head -c 3 O.GIF)" = GIF ]
}

@test "a result replaces a file where modes, fsync or links are refused" {
    needs gcc
    needs_plain_build
    cat >shim.c <<'C'
#include <errno.h>
#include <stdlib.h>
#include <string.h>
static int refuse(const char *name, int error)
{
    const char *refused = getenv("REFUSED");

    errno = error;
    return refused && strcmp(refused, name) == 0 ? -1 : 0;
}
int fchmod(int fd, unsigned mode) { (void)fd, (void)mode; return refuse("fchmod", EPERM); }
int fsync(int fd) { (void)fd; return refuse("fsync", EINVAL); }
C
    gcc -shared -fPIC -o shim.so shim.c
    printf '#include <errno.h>\nint linkat(int a, const char *b, int c, const char *d, int e)\n{ (void)a, (void)b, (void)c, (void)d, (void)e; errno = EPERM; return -1; }\n' >link.c
    gcc -shared -fPIC -o link.so link.c
    "$NST" -q -s style.ppm photo.ppm -o good.ppm -n 1 -S 32
    for case in shim.so:fchmod shim.so:fsync link.so:; do
        for file in new.ppm new.ppm; do # a new file, and one that exists
            REFUSED=${case#*:} LD_PRELOAD=$PWD/${case%:*} "$NST" -q -s style.ppm photo.ppm \
                -o $file -n 1 -S 32
        done
        cmp good.ppm new.ppm
        [ "$(stat -c %a new.ppm)" = "$(stat -c %a good.ppm)" ]
        rm new.ppm
    done
    [ -z "$(find . -name '.nst-*')" ]
}

# modules_of COMMAND...: the modules of libvips that it loads
modules_of() {
    LD_DEBUG=files "$@" 2>&1 | grep -o 'file=[^ ]*vips-modules[^ ]*' | sort -u
}

@test "a module of libvips is loaded for a format that needs it, and only then" {
    needs_plain_build
    for suffix in png jpg webp tif; do
        [ -z "$(modules_of "$NST" -q -s style.ppm photo.ppm -o "out.$suffix" -S 32 -n 1)" ]
    done
    run --separate-stderr "$NST" -q -s style.ppm photo.ppm -o out.avif -S 32 -n 1
    [ "$status" = 0 ] || skip "this libvips writes no AVIF"
    [ -n "$(modules_of "$NST" -q -s style.ppm out.avif -o out.png -S 32 -n 1)" ] ||
        skip "this libvips has AVIF built in"
    [ -s out.png ]
}
