#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The manual pages agree with the programs.
bats_require_minimum_version 1.5.0
load helper

@test "the manual pages are valid mdoc" {
    needs mandoc
    for page in "${srcdir:?}"/man/*.[158]; do
        run mandoc -T lint -W warning "$page"
        [ -z "$(grep -v 'outdated mandoc.db' <<<"$output")" ]
    done
}

@test "the manual pages list exactly the options of --help" {
    needs mandoc
    for page in "${srcdir:?}"/man/*.[18]; do
        program=$(basename "$page")
        program=$(dirname "$NST")/${program%.*}
        [ "${program##*/}" != nst-film ] || program=${srcdir:?}/scripts/nst-film
        [ "$program" != "$(dirname "$NST")/nst-serve" ] || [ -x "$program" ] || continue # not built
        "$program" --help | grep -oE -- '--[a-z][a-z-]*' | sort -u >help
        mandoc -T ascii "$page" | col -bx | sed -n '/^OPTIONS/,/^[A-NP-Z]/p' |
            grep -oE -- '--[a-z][a-z-]*' | sort -u >manual
        diff help manual
    done
}

@test "--help names every choice of an option" {
    needs jq
    "$NST" --dump-options | jq -r '.[] | (.argument + " " + .help) as $said | .name as $name
        | (.choices // [])[] | select(. as $word | $said | test("\\b\($word)\\b") | not)
        | "--\($name): \(.)"' >unsaid
    diff /dev/null unsaid
}

@test "nst-serve(8) lists exactly the routes of nst-serve" {
    needs mandoc
    sed -nE 's/^ +\{(GET|POST|PATCH|DELETE), "([^"]*)".*/\1 \2/p' "${srcdir:?}/src/serve/routes.c" | sort >routes
    mandoc -T ascii "$srcdir/man/nst-serve.8" | col -bx | sed -n '/^INTERFACE/,/^ACCESS/p' |
        sed -nE 's/^ +(GET|POST|PATCH|DELETE) +(\/[^ ]*).*/\1 \2/p' | sed -E 's/(ID|KEY|NAME|TOKEN)/*/' | sort >manual
    [ "$(wc -l <routes)" -ge 20 ]
    diff routes manual
}

@test "every installed preset is in the manual and works" {
    needs mandoc
    mandoc -T ascii "${srcdir:?}/man/nst.1" | col -bx | sed -n '/^PRESETS/,/^FORMATS/p' >presets
    for file in "$srcdir"/presets/*.json; do
        name=$(basename "$file" .json)
        grep -qE "^ +$name " presets
        nst -p "$name" -s style.ppm photo.ppm -o out.ppm
    done
}

# quick_programs: make the inputs of examples, and put programs that are quick into PATH.
quick_programs() {
    cp style.ppm starry.jpg
    cp style.ppm wave.jpg
    cp photo.ppm photo.jpg
    mkdir bin
    # a network that paints in one pass takes no iterations
    printf '#!/bin/sh\ncase $* in *fast-*) ;; *) set -- "$@" --iterations 2 ;; esac\nexec "%s" -q "$@" --size 32\n' \
        "$NST" >bin/nst
    printf '#!/bin/sh\n[ "$1" != pack ] || set -- "$@" --scales 32\nexec "%s" "$@"\n' \
        "$(dirname "$NST")/nst-style" >bin/nst-style
    printf '#!/bin/sh\nNST=%s exec "%s" -q "$@"\n' "$PWD/bin/nst" "${srcdir:?}/scripts/nst-film" >bin/nst-film
    chmod +x bin/nst bin/nst-style bin/nst-film
    PATH=$PWD/bin:$(dirname "$NST"):$PATH
}

@test "the commands of README.md run" {
    quick_programs
    for file in face.jpg sky.png cat.gif mine.jpg; do
        cp photo.ppm $file
    done
    mkdir album
    cp photo.ppm album/
    # those of the section Use, and in the text
    sed -n '/^## Use/,/^## Networks/p' "${srcdir:?}/README.md" >use
    { sed -n '/^```$/,/^```$/p' use && grep -oE '`nst-(style pack|compare) [^`]*`' use; } |
        tr -d '`' | sed '/|  *#/{N;s/  *#[^\n]*\n//}' | grep . >commands
    echo "nst --resume=run.ck" >>commands
    [ "$(grep -cE '^(nst|ffmpeg)' commands)" -ge 20 ]
    if command -v ffmpeg && ffmpeg -v error -f lavfi -i testsrc2=s=64x36:r=5:d=0.4 -pix_fmt yuv420p in.mp4; then
        grep -q ^ffmpeg commands
    else
        sed -i '/^ffmpeg\|^nst-film/d' commands
    fi
    while read -r line; do
        echo "$line"
        bash -o pipefail -c "$line" </dev/null
    done <commands
    head -c 3 out.gif | grep GIF
    [ -s album/photo.ppm ] && [ -s made/photo-starry.ppm ] && [ -s mine.nststyle ]
}

@test "the examples of the manual pages run" {
    needs mandoc
    quick_programs
    cp photo.ppm left.png
    cp photo.ppm sky.png # the examples let ImageMagick make it
    cp photo.ppm out.png
    cp photo.ppm first.png
    cp photo.ppm cat.gif
    { printf 'P6 32 32 255\n' && head -c 3072 /dev/zero; } >frames.ppm
    { printf 'YUV4MPEG2 W32 H32 Cmono\nFRAME\n' && head -c 1024 /dev/zero; } >film.y4m
    mkdir album
    cp photo.ppm album/
    for page in "${srcdir:?}"/man/*.[157]; do
        # nst(7) has examples from its beginning
        mandoc -T ascii "$page" | col -bx | sed -n '/^EXAMPLES/,/^SEE ALSO/p
            /^NST(7)/,/^SEE ALSO/p' | grep -E '^ {8,}(nst|jq)[a-z-]* (.*-|list|find|prune|info|export)'
    done | grep -v nst-train >examples # that one takes minutes: train.bats
    [ "$(wc -l <examples)" -ge 50 ]
    # a film of two scenes
    if command -v ffmpeg && ffmpeg -v error -f lavfi -i testsrc2=s=64x36:r=5:d=0.4 -f lavfi -i color=s=64x36:r=5:d=0.4 \
        -filter_complex '[0][1]concat' -pix_fmt yuv420p in.mp4; then
        [ "$(grep -c ^nst-film < <(sed 's/^ *//' examples))" -ge 5 ]
    else
        sed -i '/^ *nst-film/d' examples
    fi
    [ "$(grep -c munch examples)" -ge 4 ]
    export NST_HISTORY=$PWD/history
    bin/nst -s starry.jpg photo.jpg -o made.png # a run that nst-history finds
    while read -r line; do
        echo "$line"
        bash -c "$line"
    done <examples
}

# nst-serve ARG...: start a server of the examples on $port, in the background; the next
# call ends it.
nst-serve() {
    end_server
    "$(dirname "$NST")/nst-serve" --listen "127.0.0.1:$port" --min-steps 1 "$@" 2>>log 3>&- &
    server=$!
    wait_until 'curl -sfo /dev/null "http://127.0.0.1:$port/health"' || {
        cat log
        return 1
    }
}

teardown() {
    end_server
}

end_server() {
    if [ -n "${server:-}" ]; then
        kill "$server"
        wait "$server"
        server=
    fi
}

@test "the examples of nst-serve(8) run" {
    needs mandoc
    needs curl
    needs jq
    needs_serve
    mkdir -p srv/paintings
    "$NST" -q -s munch photo.ppm -o photo.jpg -S 32 -n 2
    cp photo.jpg srv/paintings/
    while port=$((RANDOM % 20000 + 20000)) && : 2>/dev/null <"/dev/tcp/127.0.0.1/$port"; do :; done
    mandoc -T ascii "${srcdir:?}/man/nst-serve.8" | col -bx | sed -n "/^EXAMPLES/,/^SEE ALSO/p" |
        sed -nE "/^ {8,}/{ s/^ +//; s/:5000/:$port/g; s|/srv/|srv/|g; s/0\.0\.0\.0/127.0.0.1/
            s/\"size\": 400/\"size\": 32, \"num_steps\": 2/; p }" >script
    [ "$(grep -c "^nst-serve " script)" = 3 ]
    [ "$(grep -c curl script)" -ge 6 ]
    set -o pipefail
    . ./script
    end_server
    [ "$(dimensions made.png)" = 32x24 ]
    grep -q "ended" log
}

@test "--version and --usage print on standard output" {
    for program in "$NST" "$NST"-*; do
        name=$(basename "$program")
        [[ $("$program" --version) =~ ^$name\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
    done
    "$NST" --usage | grep -q style
}
