#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Exit statuses, the same for all programs: 2 if what the user wrote must change, 1 for any
# other failure; and what a program prints about its command line.
bats_require_minimum_version 1.5.0
load helper

# Files that are named below: none exists nowhere, text is no picture, photo.ppm is one.
eval "$(declare -f setup | sed '1s/setup/setup_helper/')"
setup() {
    setup_helper
    mkdir empty
    echo "this is text" | tee text.png text.safetensors text.nststyle text.jsonl >text.pth
    echo '{"options": {"iterations": ' | tee broken.json >list.json
    bin=$(dirname "$NST")
}

# exits STATUS COMMAND...: it ends with that status and, unless 0, one line of its own.
exits() {
    local wanted=$1 name
    shift
    name=$(basename "$1")
    [ "$name" != env ] || name=$(basename "$3")
    run --separate-stderr timeout 60 "$@" </dev/null
    [ "$status" = "$wanted" ] && { [ "$wanted" = 0 ] || [[ $stderr == "$name: "* ]]; } || {
        echo "$*: $status, not $wanted: $stderr"
        return 1
    }
    if [ "$(grep -vcE "^(Try |nst: [0-9]+ done)" <<<"$stderr")" != 1 ]; then
        echo "$*: $stderr"
        return 1
    fi
}

# each STATUS COMMAND...: read more arguments from each line of standard input.
each() {
    local line
    while read -r line; do
        # shellcheck disable=SC2086 # word splitting is intended
        exits "$@" $line || return
    done
}

# A run that would be possible without what follows.
stylise=(-q -S 32 -n 1)

@test "nst exits with 2 for a mistake in what the user wrote" {
    cat >mistakes <<'END'
--bogus
-S 7 -s style.ppm photo.ppm -o o.png
-s style.ppm photo.ppm -o o.png -p nobody
-s style.ppm photo.ppm -o o.png -p none.json
-s style.ppm photo.ppm -o o.png -p broken.json
-s style.ppm photo.ppm -o o.png --config none.json
-s style.ppm photo.ppm -o o.png --config broken.json
-s style.ppm photo.ppm -o o.png --config empty
-s style.ppm photo.ppm -o o.png -m nobody
-s style.ppm photo.ppm -o o.png -m none.safetensors
-s style.ppm photo.ppm -o o.png -m empty/
-s style.ppm photo.ppm -o o.png -m vgg19-lite --style-layers conv_99
-s nobody photo.ppm -o o.png
-s none.png photo.ppm -o o.png
-s none.nststyle photo.ppm -o o.png
-s empty photo.ppm -o o.png
-s style.ppm --mask none.png photo.ppm -o o.png
-s style.ppm --keep-mask none.png photo.ppm -o o.png
-s style.ppm --init none.png photo.ppm -o o.png
-s style.ppm none.png -o o.png
-s style.ppm photo.ppm/x.png -o o.png
-s style.ppm none/ -o o.png
-s style.ppm empty -o o.png
-s style.ppm --files-from none -o o/
-s style.ppm --files-from empty -o o/
-s style.ppm photo.ppm -o none/o.png
-s style.ppm photo.ppm -o photo.ppm/o.png
-s style.ppm photo.ppm -o photo.ppm/
-s style.ppm photo.ppm -o o.xyz
-s style.ppm photo.ppm -o o
-s style.ppm photo.ppm -o photo.ppm
-s style.ppm photo.ppm -o empty/ --name ../{stem}
-s style.ppm photo.ppm -o empty/ --name {stem}.xyz
-s style.ppm photo.ppm -o new/ --name {stem}.xyz
-s style.ppm photo.ppm style.ppm -o o.png
-s style.ppm photo.ppm -o o.png --format foo
-s style.ppm photo.ppm -o o.png --trace none/t
-s style.ppm photo.ppm -o o.png --trace empty
-s style.ppm photo.ppm -o o.png --checkpoint none/c
-s style.ppm photo.ppm -o o.png --preview none/p.png
-s style.ppm photo.ppm -o o.png --preview p.xyz
-s style.ppm photo.ppm -o o.png --resume none
-s van-gogh photo.ppm -o o.png --colour match
END
    each 2 "$NST" "${stylise[@]}" <mistakes
    [ ! -e o.png ]
    [ -z "$(ls empty)" ]
    rmdir new
    # --dry-run makes the same refusals, and not even a directory
    each 2 "$NST" "${stylise[@]}" --dry-run <mistakes
    [ ! -e new ]
    # the environment is the user's word, too
    for wrong in NST_CPU=z80 NST_BACKEND=abacus NST_HISTORY=none/h; do
        exits 2 env "$wrong" "$NST" "${stylise[@]}" -s style.ppm photo.ppm -o o.png
    done
}

@test "nst exits with 1 for a failure of a file or of the machine, 3 for a full disk" {
    printf 'P3\n1 1\n255\n1 2 3\n' >dot.ppm
    each 1 "$NST" "${stylise[@]}" <<'END'
-s style.ppm text.png -o o.png
-s style.ppm dot.ppm -o o.png
-s text.png photo.ppm -o o.png
-s text.nststyle photo.ppm -o o.png
-s style.ppm --mask text.png photo.ppm -o o.png
-s style.ppm --keep-mask text.png photo.ppm -o o.png
-s style.ppm --init text.png photo.ppm -o o.png
-s style.ppm photo.ppm -o o.png -m text.safetensors
-s style.ppm photo.ppm -o o.png --resume text.png
-s style.ppm photo.ppm -o o.png --max-pixels 256
END
    each 3 "$NST" "${stylise[@]}" <<<"-s style.ppm photo.ppm -o /dev/full"
    [ ! -e o.png ]
    [ "$(id -u)" != 0 ] || return 0
    mkdir -m 555 locked
    for dry in "" --dry-run; do
        # shellcheck disable=SC2086 # no word if empty
        each 1 "$NST" "${stylise[@]}" $dry <<'END'
-s style.ppm photo.ppm -o locked/o.png
-s style.ppm photo.ppm -o locked/new/
END
    done
}

@test "a batch exits with 2 if a name was wrong, else with 1; the others are made" {
    run --separate-stderr nst -s style.ppm text.png photo.ppm none.png -o o/
    [ "$status" = 2 ]
    [ "$(ls o)" = photo-style.ppm ]
    # a file that nobody named is not the user's mistake
    mkdir d
    cp photo.ppm d
    ln -s nowhere d/link.png
    run --separate-stderr nst -s style.ppm d -o o2/
    [ "$status" = 1 ]
    [ "$(ls o2)" = photo-style.ppm ]
}

@test "the other programs exit with 2 and 1 by the same rule" {
    each 2 "$bin/nst-compare" <<'END'
--bogus
photo.ppm
none.png photo.ppm
photo.ppm none.png
photo.ppm photo.ppm -s none.png
photo.ppm photo.ppm -s van-gogh
photo.ppm photo.ppm -m nobody
photo.ppm photo.ppm --lpips none.safetensors
END
    each 1 "$bin/nst-compare" <<'END'
text.png photo.ppm
photo.ppm photo.ppm -m text.safetensors
END
    each 2 "$bin/nst-model" <<'END'
--bogus
bogus
info nobody
info none.safetensors
info none.pth
verify vgg19-lite none.png
convert vgg19-lite -o none/m.safetensors
convert vgg19-lite -o m.safetensors --last conv_99
END
    each 1 "$bin/nst-model" <<'END'
info text.safetensors
info text.pth
verify vgg19-lite text.png
END
    each 2 "$bin/nst-style" <<'END'
--bogus
bogus
info nobody
info none.nststyle
info photo.ppm
pack none.png -o p.nststyle
pack photo.ppm -o p.txt
pack photo.ppm -o none/p.nststyle --scales 16
pack photo.ppm -o p.nststyle -m nobody
blend van-gogh nobody -o p.nststyle
END
    each 1 "$bin/nst-style" <<'END'
info text.nststyle
pack text.png -o p.nststyle
END
    "$NST" -q -S 32 -n 1 -s style.ppm photo.ppm -o o.png --history h
    each 2 "$bin/nst-history" --history h <<'END'
--bogus
bogus
show 123456
rerun 123456
rm 123456
prune
prune --keep x
END
    exits 2 "$bin/nst-history" --history none.jsonl list
    exits 2 "$bin/nst-history" --history empty list
    exits 1 "$bin/nst-history" --history h find nothing
    "$bin/nst-history" --history h find photo
    rm photo.ppm
    exits 1 "$bin/nst-history" --history h rerun "$("$bin/nst-history" --history h list | cut -d' ' -f1)"
}

@test "nst-serve exits with 2 and 1 by the same rule" {
    needs_serve
    echo short >token
    each 2 "$bin/nst-serve" --data data <<'END'
--bogus
--listen bogus
--listen 0.0.0.0:0
--token-file none
--token-file token
--styles none
--styles photo.ppm
--web none
--model nobody
--model none.safetensors
--worker
--queue bogus --listen 127.0.0.1:0
--log none/log
--data photo.ppm/data
END
    each 1 "$bin/nst-serve" --data data <<<"--listen 192.0.2.1:5000"
}

@test "help that cannot be written is an error of every program" {
    [ -w /dev/full ] || skip "there is no /dev/full"
    for program in nst nst-compare nst-history nst-model nst-style nst-serve; do
        [ -x "$bin/$program" ] || continue
        for option in --help --usage --version; do
            run --separate-stderr bash -c "'$bin/$program' $option >/dev/full"
            [ "$status" = 1 ]
            [ "$stderr" = "$program: cannot write to standard output" ]
        done
    done
    for option in --list-presets --list-devices --show-config --dump-options; do
        run --separate-stderr bash -c "'$NST' $option >/dev/full"
        [ "$status" = 1 ]
        [ "$stderr" = "nst: cannot write to standard output" ]
    done
}

@test "--version names the program" {
    [[ $("$NST" --version) == nst\ [0-9]* ]]
    [[ $("$bin/nst-model" --version) == nst-model\ [0-9]* ]]
}

@test "a mistake in the options is followed by where to look" {
    run --separate-stderr nst -s style.ppm photo.ppm -o o.png -w many
    [ "${stderr_lines[1]}" = "$TRY" ]
    [ "${#stderr_lines[@]}" = 2 ]
    run --separate-stderr nst -s style.ppm none.png -o o.png # the file is the mistake
    [ "${#stderr_lines[@]}" = 1 ]
}

@test "nst alone says what to type first, and --help begins with that" {
    run --separate-stderr "$NST" </dev/null
    [ "$status" = 2 ]
    [ "${#stderr_lines[@]}" = 3 ]
    [[ ${stderr_lines[0]} == "nst: "*"nst -s van-gogh photo.jpg -o out.png" ]]
    "$NST" --help | head -n 10 | grep -q 'nst -s van-gogh photo.jpg -o out.png '
    # a configuration with a style makes a filter of it
    mkdir nst
    echo '{"options": {"style": "munch", "iterations": 1, "size": 32}}' >nst/config.json
    XDG_CONFIG_HOME=$PWD "$NST" -q <photo.ppm >out
    XDG_CONFIG_HOME=$PWD "$NST" <photo.ppm 2>said >out
    [ "$(dimensions out)" = 32x24 ]
}

@test "--json prints one line" {
    [ "$("$NST" --list-devices --json | wc -l)" = 1 ]
    [ "$(nst -s style.ppm photo.ppm --dry-run --json | wc -l)" = 1 ]
}

@test "--color and --optimizer are --colour and --optimiser" {
    nst -s style.ppm photo.ppm -o a.ppm --colour content --optimiser adam
    nst -s style.ppm photo.ppm -o b.ppm --color content --optimizer=adam
    cmp a.ppm b.ppm
    echo '{"options": {"color": "content", "optimizer": "adam"}}' >us.json
    nst -s style.ppm photo.ppm -o b.ppm -p us.json
    cmp a.ppm b.ppm
}

@test "--dry-run prints durations for people" {
    duration() { nst -s style.ppm photo.ppm --dry-run "$@" | sed -n 's/^estimated time   //p'; }
    [[ $(duration) =~ ^[0-9]\.[0-9]\ s$ ]]
    [[ $(duration -n 1000000 -S 256) =~ ^[0-9]+\ (h\ [0-9]+\ min|days\ [0-9]+\ h)$ ]]
    nst -s style.ppm photo.ppm --dry-run --json -n 1000000 -S 64 | grep -qE '"seconds":[0-9.]+[,}]'
}
