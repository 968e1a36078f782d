#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The manual says what the program does.
bats_require_minimum_version 1.5.0
load helper

@test "the manual is clean mdoc" {
    needs mandoc
    for page in "${srcdir:?}"/man/*.1; do
        run mandoc -T lint -W warning "$page"
        [ -z "$(grep -v 'outdated mandoc.db' <<<"$output")" ]
    done
}

@test "every option of --help is in the manual, and no other" {
    needs mandoc
    for page in "${srcdir:?}"/man/*.1; do
        program=$(dirname "$NST")/$(basename "$page" .1)
        "$program" --help | grep -oE -- '--[a-z][a-z-]*' | sort -u >help
        mandoc -T ascii "$page" | col -bx | sed -n '/^OPTIONS/,/^[A-NP-Z]/p' |
            grep -oE -- '--[a-z][a-z-]*' | sort -u >manual
        diff help manual
    done
}

@test "every preset of the manual is installed, and no other" {
    needs mandoc
    mandoc -T ascii "${srcdir:?}/man/nst.1" | col -bx | sed -n '/^PRESETS/,/^FORMATS/p' >presets
    for file in "$srcdir"/presets/*.json; do
        name=$(basename "$file" .json)
        grep -qE "^ +$name " presets
        nst -p "$name" -s style.ppm photo.ppm -o out.ppm
    done
}

@test "the examples of the manual run" {
    needs mandoc
    cp style.ppm starry.jpg
    cp style.ppm wave.jpg
    cp photo.ppm photo.jpg
    mkdir bin
    printf '#!/bin/sh\nexec "%s" -q "$@" --size 32 --iterations 2\n' "$NST" >bin/nst
    chmod +x bin/nst
    PATH=$PWD/bin:$(dirname "$NST"):$PATH
    cp photo.ppm left.png
    cp photo.ppm out.png
    cp photo.ppm first.png
    cp photo.ppm cat.gif
    { printf 'P6 32 32 255\n' && head -c 3072 /dev/zero; } >frames.ppm
    { printf 'YUV4MPEG2 W32 H32 Cmono\nFRAME\n' && head -c 1024 /dev/zero; } >film.y4m
    mkdir album
    cp photo.ppm album/
    for page in "${srcdir:?}"/man/*.[157]; do
        # the tutorial is examples from its beginning
        mandoc -T ascii "$page" | col -bx | sed -n '/^EXAMPLES/,/^SEE ALSO/p
            /^NST(7)/,/^SEE ALSO/p' | grep -E '^ {8,}(nst|jq)[a-z-]* (.*-|list|find|prune|info|export)'
    done >examples
    [ "$(wc -l <examples)" -ge 50 ]
    [ "$(grep -c munch examples)" -ge 4 ]
    export NST_HISTORY=$PWD/history
    while read -r line; do
        echo "$line"
        bash -c "$line"
    done <examples
}

@test "--version and --usage answer on standard output" {
    [[ $("$NST" --version) =~ ^nst\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
    "$NST" --usage | grep -q style
}
