# SPDX-License-Identifier: MIT
# Made by scripts/make-completions from what the programs say of their options.

_nst_words() {
    case $1 in
    preset) nst --list-presets 2>/dev/null | cut -d" " -f1 ;;
    style) nst-style list 2>/dev/null | cut -d" " -f1 ;;
    model) nst-model list 2>/dev/null | cut -d" " -f1 ;;
    layer) echo conv1_1 relu1_1 conv1_2 relu1_2 conv2_1 relu2_1 conv2_2 relu2_2 conv3_1 relu3_1 conv3_2 relu3_2 conv3_3 relu3_3 conv3_4 relu3_4 conv4_1 relu4_1 conv4_2 relu4_2 conv4_3 relu4_3 conv4_4 relu4_4 conv5_1 relu5_1 conv5_2 relu5_2 conv5_3 relu5_3 conv5_4 relu5_4 conv_1 conv_2 conv_3 conv_4 conv_5 conv_6 conv_7 conv_8 conv_9 conv_10 conv_11 conv_12 conv_13 conv_14 conv_15 conv_16  ;;
    esac
}

# What the option that stands before the word takes: words in braces, or a kind.
_nst_kind() {
    case $1:$2 in
    nst:--files-from) echo "file" ;;
    nst:--format) echo "{png jpg webp tiff heic avif jxl gif jp2 ppm hdr}" ;;
    nst:--keep-mask) echo "file" ;;
    nst:--layers) echo "layer" ;;
    nst:--mask) echo "file" ;;
    nst:--max-pixels) echo "{}" ;;
    nst:--name) echo "{}" ;;
    nst:--output | nst:-o) echo "file" ;;
    nst:--quality) echo "{auto}" ;;
    nst:--scale-mode) echo "{progressive blend}" ;;
    nst:--scales) echo "{none auto}" ;;
    nst:--style-scale) echo "{}" ;;
    nst:--style | nst:-s) echo "style" ;;
    nst:--size | nst:-S) echo "{native}" ;;
    nst:--colour) echo "{style content match}" ;;
    nst:--content-layers) echo "layer" ;;
    nst:--content-weight | nst:-c) echo "{}" ;;
    nst:--moment-weight) echo "{}" ;;
    nst:--model | nst:-m) echo "model" ;;
    nst:--padding) echo "{zero replicate reflect}" ;;
    nst:--pooling) echo "{max avg}" ;;
    nst:--preset | nst:-p) echo "preset" ;;
    nst:--strength) echo "{}" ;;
    nst:--style-layers) echo "layer" ;;
    nst:--temporal) echo "{}" ;;
    nst:--tv-weight) echo "{}" ;;
    nst:--style-weight | nst:-w) echo "{}" ;;
    nst:--adaptive) echo "{none parameters weights both}" ;;
    nst:--compat) echo "{none tutorial}" ;;
    nst:--curvature-pairs) echo "{}" ;;
    nst:--device) echo "{auto cpu cuda}" ;;
    nst:--init) echo "file content noise" ;;
    nst:--jobs | nst:-j) echo "{auto}" ;;
    nst:--learning-rate) echo "{}" ;;
    nst:--max-evaluations) echo "{none}" ;;
    nst:--max-memory) echo "{auto}" ;;
    nst:--iterations | nst:-n) echo "{}" ;;
    nst:--optimiser) echo "{lbfgs adam}" ;;
    nst:--precision) echo "{auto fp32 tf32 fp16}" ;;
    nst:--scale-iterations) echo "{auto}" ;;
    nst:--seed) echo "{}" ;;
    nst:--tile) echo "{auto}" ;;
    nst:--threads | nst:-t) echo "{auto}" ;;
    nst:--checkpoint) echo "file" ;;
    nst:--config) echo "file none" ;;
    nst:--history) echo "file none" ;;
    nst:--preview) echo "file" ;;
    nst:--progress) echo "{auto bar plain json none}" ;;
    nst:--resume) echo "file" ;;
    nst:--save-every) echo "{}" ;;
    nst:--trace) echo "file" ;;
    nst-compare:--lpips) echo "file" ;;
    nst-compare:--lpips-heads) echo "file" ;;
    nst-compare:--model | nst-compare:-m) echo "model" ;;
    nst-compare:--style | nst-compare:-s) echo "style" ;;
    nst-history:--history) echo "file" ;;
    nst-history:--keep) echo "{}" ;;
    nst-history:--output | nst-history:-o) echo "file" ;;
    nst-model:--last) echo "layer" ;;
    nst-model:--normalise) echo "file" ;;
    nst-model:--output | nst-model:-o) echo "file" ;;
    nst-serve:--data) echo "file" ;;
    nst-serve:--listen | nst-serve:-l) echo "{}" ;;
    nst-serve:--model | nst-serve:-m) echo "model" ;;
    nst-serve:--prefix) echo "{}" ;;
    nst-serve:--styles) echo "file" ;;
    nst-serve:--web) echo "file" ;;
    nst-serve:--allow-origin) echo "{}" ;;
    nst-serve:--host) echo "{}" ;;
    nst-serve:--token-file) echo "file" ;;
    nst-serve:--grace) echo "{}" ;;
    nst-serve:--lease) echo "{}" ;;
    nst-serve:--max-connections) echo "{}" ;;
    nst-serve:--max-history-images) echo "{}" ;;
    nst-serve:--max-pixels) echo "{}" ;;
    nst-serve:--max-queue) echo "{}" ;;
    nst-serve:--max-size) echo "{}" ;;
    nst-serve:--max-styles) echo "{}" ;;
    nst-serve:--max-tasks) echo "{}" ;;
    nst-serve:--max-upload) echo "{}" ;;
    nst-serve:--min-steps) echo "{}" ;;
    nst-serve:--monitor) echo "{}" ;;
    nst-serve:--rate) echo "{}" ;;
    nst-serve:--retries) echo "{}" ;;
    nst-serve:--task-memory) echo "{}" ;;
    nst-serve:--task-seconds) echo "{}" ;;
    nst-serve:--queue) echo "{}" ;;
    nst-serve:--log) echo "file" ;;
    nst-serve:--log-format) echo "{text json}" ;;
    nst-style:--artist) echo "{}" ;;
    nst-style:--from) echo "{}" ;;
    nst-style:--model | nst-style:-m) echo "model" ;;
    nst-style:--output | nst-style:-o) echo "file" ;;
    nst-style:--preview) echo "file" ;;
    nst-style:--previews) echo "file" ;;
    nst-style:--scales) echo "{}" ;;
    nst-style:--style-layers) echo "layer" ;;
    nst-style:--title) echo "{}" ;;
    nst-style:--year) echo "{}" ;;
    esac
}

_nst_options() {
    case $1 in
    nst) echo "--null --files-from --format --keep-mask --layers --mask --max-pixels --name --output --pnm --quality --recursive --scale-mode --scales --skip-done --square --style-scale --style --size --y4m --colour --content-layers --content-weight --moment-weight --model --padding --pooling --preset --strength --style-layers --temporal --tv-weight --style-weight --adaptive --compat --curvature-pairs --device --init --jobs --learning-rate --max-evaluations --max-memory --iterations --optimiser --precision --scale-iterations --seed --tile --threads --checkpoint --config --dry-run --dump-options --history --json --list-devices --list-presets --preview --progress --quiet --resume --save-every --show-config --trace --verbose --help --usage --version" ;;
    nst-compare) echo "--json --lpips --lpips-heads --model --style --help --usage --version" ;;
    nst-history) echo "--history --json --keep --output --help --usage --version" ;;
    nst-model) echo "--f16 --json --last --normalise --output --help --usage --version" ;;
    nst-serve) echo "--data --listen --model --prefix --styles --web --allow-origin --behind-proxy --host --insecure --token-file --grace --lease --max-connections --max-history-images --max-pixels --max-queue --max-size --max-styles --max-tasks --max-upload --min-steps --monitor --rate --retries --task-memory --task-seconds --queue --worker --log --log-format --help --usage --version" ;;
    nst-style) echo "--artist --from --json --model --output --preview --previews --scales --style-layers --title --year --help --usage --version" ;;
    esac
}

_nst_commands() {
    case $1 in
    nst-history) echo "list find show rerun rm prune export" ;;
    nst-model) echo "info verify convert list" ;;
    nst-style) echo "pack blend info list" ;;
    esac
}

_nst() {
    local program=${COMP_WORDS[0]##*/} word=${COMP_WORDS[COMP_CWORD]} kind= before= list=
    [ "$COMP_CWORD" = 0 ] || before=${COMP_WORDS[COMP_CWORD - 1]}
    # "--name=word" comes as three words
    if [ "$word" = = ]; then
        word=
    elif [ "$before" = = ] && [ "$COMP_CWORD" -gt 2 ]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    kind=$(_nst_kind "$program" "$before")
    COMPREPLY=()
    case $kind in
    "{}") return ;;
    "{"*) list=${kind#?} list=${list%?} ;;
    "") case $word in
        -*) list=$(_nst_options "$program") ;;
        *) [ "$COMP_CWORD" != 1 ] || list=$(_nst_commands "$program") ;;
        esac ;;
    file*) list=${kind#file} ;;
    *) list=$(_nst_words "$kind") ;;
    esac
    # in a list of layers, the last is to be completed
    if [ "$kind" = layer ] && [ "$word" != "${word%,*}" ]; then
        mapfile -t COMPREPLY < <(compgen -P "${word%,*}," -W "$list" -- "${word##*,}")
    else
        mapfile -t COMPREPLY < <(compgen -W "$list" -- "$word")
    fi
    case $kind in
    "" | file* | style | model | preset)
        case $word in -*) return ;; esac
        compopt -o filenames 2>/dev/null
        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$word") ;;
    esac
}
complete -F _nst nst nst-compare nst-history nst-model nst-serve nst-style
