#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Completions, as the shells themselves produce them.
bats_require_minimum_version 1.5.0
load helper

setup_file() {
    export DIR=${srcdir:?}/completions
    PATH=$(dirname "$NST"):$PATH:$srcdir/scripts
}

@test "the installed completions match the options of the programs" {
    needs jq
    needs_serve
    mkdir made
    "$srcdir/scripts/make-completions" made
    diff -r "$DIR" made
}

# one_run: a history of one run, whose ID is $id
one_run() {
    export NST_HISTORY=$PWD/h.jsonl
    nst -s style.ppm photo.ppm -o made.png
    id=$(nst-history list | cut -d' ' -f1)
}

# in_bash WORD...: the completions of the last word; = is a word of its own. Any line on
# standard error fails.
in_bash() {
    bash -c 'exec 2>errors; . "$DIR/nst.bash"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _nst
        printf "%s\n" "${COMPREPLY[@]}"' - "$@" | sort
    [ ! -s errors ] || cat errors
}

@test "bash completes options, values, style packs, presets, models and layers" {
    [ "$(in_bash nst --style-sc)" = --style-scale ]
    [ "$(in_bash nst --colour = con)" = content ]
    [ "$(in_bash nst -p dra)" = draft ]
    [ "$(in_bash nst --preset = '' | grep -c -e '^gatys$' -e '^fine$')" = 2 ]
    [ "$(in_bash nst -s kan)" = kandinsky ]
    [ "$(in_bash nst -s sty)" = style.ppm ]
    [ "$(in_bash nst -m vgg19-l)" = vgg19-lite ]
    [ "$(in_bash nst --style-layers conv_1,relu5_)" = "conv_1,relu5_1
conv_1,relu5_2
conv_1,relu5_3
conv_1,relu5_4" ]
    [ "$(in_bash nst --threads = a)" = auto ]
    [ "$(in_bash nst --scales a)" = auto ]
    [ "$(in_bash nst --device cu)" = cuda ]
    [ "$(in_bash nst --init = n)" = noise ]
    [ "$(in_bash nst --init pho)" = photo.ppm ]
    [ "$(in_bash nst --history n)" = none ]
    [ "$(in_bash nst --preview pho)" = photo.ppm ]
    [ -z "$(in_bash nst --seed '')" ]
    [ "$(in_bash nst pho)" = photo.ppm ]
    [ "$(in_bash nst-film --scene-)" = --scene-threshold ]
    [ "$(in_bash nst-film --dry-)" = "" ]
    [ "$(in_bash nst-film -p dra)" = draft ]
    [ "$(in_bash nst-film -o pho)" = photo.ppm ]
    [ "$(in_bash nst-style bl)" = blend ]
    [ "$(in_bash nst-history r)" = "rerun
rm" ]
    one_run
    [ "$(in_bash nst-history show '')" = "$id" ]
    [ "$(in_bash nst-history --json rm "$id" "${id:0:2}")" = "$id" ]
    in_bash nst-style info '' | grep -qx van-gogh
    in_bash nst-model info '' | grep -qx vgg19-lite
    [ "$(in_bash nst-model convert pho)" = photo.ppm ]
    [ "$(in_bash nst-model convert --la)" = --last ]
    [ "$(in_bash nst-serve --max-hist)" = --max-history-images ]
    [ "$(in_bash nst-serve --log-format = j)" = json ]
    [ "$(in_bash nst-serve -m vgg19-l)" = vgg19-lite ]
    [ "$(in_bash nst-serve --token-file pho)" = photo.ppm ]
}

@test "fish completes options, values, style packs, models and layers" {
    needs fish
    in_fish() {
        fish --no-config -c 'source $DIR/nst.fish; complete -C "$argv"' "$1" 2>errors | cut -f1
        [ ! -s errors ] || cat errors
    }
    : >x # a pattern of one letter would match it
    one_run
    [ "$(in_fish 'nst-history show ' | grep -vx -e '.*\..*' -e x -e errors)" = "$id" ]
    in_fish 'nst-history rm ' | grep -qx "$id"
    in_fish 'nst-model info ' | grep -qx vgg19-lite
    in_fish 'nst-style blend ' | grep -qx van-gogh
    in_fish 'nst -' | grep -qx -e '-?'
    [ "$(in_fish 'nst --style-sc')" = --style-scale ]
    [ "$(in_fish 'nst --colour=con')" = --colour=content ]
    [ "$(in_fish 'nst -p dra')" = draft ]
    in_fish 'nst -s kan' | grep -qx kandinsky
    in_fish 'nst --init noi' | grep -qx noise
    in_fish 'nst --preview pho' | grep -qx photo.ppm
    in_fish 'nst -m vgg19-l' | grep -qx vgg19-lite
    [ "$(in_fish 'nst --content-layers relu5_4')" = relu5_4 ]
    in_fish 'nst-style bl' | grep -qx blend
    in_fish 'nst-compare --lp' | grep -qx -e --lpips-heads
    in_fish 'nst-serve --log-format ' | grep -qx json
    in_fish 'nst-serve --max-hist' | grep -qx -e --max-history-images
}

@test "zsh completes options, values, style packs, models and layers" {
    needs zsh
    needs_terminal
    # the command lines that these become after a tab, in one interactive shell
    in_zsh() {
        cat >ask.zsh <<'END'
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'exec 2>errors; PROMPT=; PS2=; unset zle_bracketed_paste; fpath=($DIR $fpath); autoload -Uz compinit; compinit -u -D'
zpty -w shell 'show() { print -r -- "<<$BUFFER>>"; BUFFER= ; zle accept-line }; zle -N show; bindkey "^X" show; print re""ady'
until [[ $line == *ready* ]]; do zpty -r shell line || exit 1; done
for begun; do
    zpty -w -n shell "$begun"$'\t\x18'
    until [[ $line == *'>>'* ]]; do zpty -r shell line || exit 1; done
    line=${line#*<<}
    print -r -- ${line%>>*}
    line=
done
END
        timeout 60 zsh -f ask.zsh "$@" | sed 's/ *$//'
        cat errors
    }
    one_run
    while IFS='|' read -r begun completed; do
        begin+=("$begun")
        echo "$completed"
    done >wanted <<END
nst --style-sc|nst --style-scale=
nst --colour=con|nst --colour=content
nst -p dra|nst -p draft
nst -s kan|nst -s kandinsky
nst --init=noi|nst --init=noise
nst --init=pho|nst --init=photo.ppm
nst --preview=pho|nst --preview=photo.ppm
nst -m vgg19-l|nst -m vgg19-lite
nst --content-layers relu5_4|nst --content-layers relu5_4,
nst-style bl|nst-style blend
nst-history show ${id:0:2}|nst-history show $id
nst-model info vgg19-l|nst-model info vgg19-lite
nst-style info kan|nst-style info kandinsky
nst-serve --max-hist|nst-serve --max-history-images=
nst-serve --log-format=j|nst-serve --log-format=json
END
    in_zsh "${begin[@]}" >made
    diff wanted made
}
