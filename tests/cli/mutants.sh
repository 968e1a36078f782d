#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Damaged files: images of each format, streams, networks of both kinds, checkpoints, packs, presets
# and histories with bytes changed, removed, repeated or missing at the end. The program
# reads each or refuses it with a message, within 2 seconds of processor time and 20 in
# all, because the machine may be busy. Four of each kind, or 1000 in all with
# $NST_TEST_ALL. Prints a seed; $NST_TEST_SEED repeats it.
set -u
. "${srcdir:-.}/tests/cli/helper.bash"
command -v perl >/dev/null || {
    echo "1..0 # SKIP perl is not installed"
    exit 0
}
source=$(cd "${srcdir:-.}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export NST_HISTORY=none
seed=${NST_TEST_SEED:-$RANDOM}
echo "# NST_TEST_SEED=$seed"
bin=$(dirname "$NST")
limit=2
[ "${SANITIZERS:-no}" = no ] || limit=20 # they take their time

picture style.ppm 40 32 5
picture photo.ppm 48 36 11
for format in png jpg gif tif webp; do
    nst -q -s style.ppm photo.ppm -o good."$format"
done
nst -q -s style.ppm photo.ppm -o /dev/null --format png --checkpoint good.ck
cp "$source/samples/content.svg" good.svg
cp photo.ppm good.ppm
{ printf 'YUV4MPEG2 W32 H32 F25:1 Ip C420p10\nFRAME\n' && head -c 3072 /dev/zero; } >good.y4m
nst -q -s style.ppm good.png -o good.pam
{ cat good.pam && nst -q -s style.ppm photo.ppm --format ppm; } >good.pnm
if "$bin/nst-model" --help | grep -q libarchive; then
    echo "# without checkpoints of PyTorch: nst-model is built without libarchive"
else
    cp "$source/tests/data/tiny-zip.pth" good.zip.pth
    cp "$source/tests/data/tiny-plain.pth" good.plain.pth
fi
if command -v python3 >/dev/null; then
    python3 -B "$source/tests/cli/net.py" write nstnet 2 1 good.nstnet title=A
    "$bin/nst-model" --help | grep -q libarchive ||
        python3 -B "$source/tests/cli/net.py" write legacy 2 1 good.net.pth
fi
cp "$source/styles/munch.nststyle" good.nststyle
"$bin/nst-style" pack style.ppm --scales 16,32 --style-layers relu1_1,relu2_1,relu3_1,relu4_1,relu5_1 \
    --preview photo.ppm --artist A --title B -o good.small.nststyle
cp "$source/presets/poster.json" good.json
"$bin/nst-model" convert --last conv_2 "$source/models/vgg19-lite.safetensors" -o good.safetensors
nst -q -s style.ppm photo.ppm -o out.png --history good.jsonl

# mutate FILE SEED: print FILE damaged in one to four places, mostly near the beginning,
# because headers are there.
mutate() {
    perl -e '
        my ($file, $seed) = @ARGV;
        srand($seed);
        open(my $f, "<:raw", $file) or die;
        local $/;
        my $d = <$f>;
        for (0 .. int(rand(4))) {
            my $n = length($d) or last;
            my $at = int($n * rand() ** (1 + int(rand(4))));
            my $k = int(rand(6));
            if ($k < 3) { substr($d, $at, 1) = chr(int(rand(256))) }
            elsif ($k == 3) { substr($d, $at, 1 + int(rand(8))) = "" }
            elsif ($k == 4) { substr($d, $at, 0) = substr($d, int(rand($n)), 1 + int(rand(64))) }
            else { $d = substr($d, 0, $at) }
        }
        print $d' "$1" "$2"
}

# read_it KIND FILE: run the program that reads such a file.
read_it() {
    case $1 in
    pnm) nst --pnm -s style.ppm "$2" -o out.pnm ;;
    y4m) nst --y4m -s style.ppm "$2" -o out.y4m ;;
    gif | webp) nst -s style.ppm "$2" -o out."$1" ;;
    pth) "$bin/nst-model" verify "$2" ;;
    safetensors) nst -m "$2" --content-layers conv_1 --style-layers conv_2 -s style.ppm photo.ppm -o out.png ;;
    nststyle) nst -s "$2" photo.ppm -o out.png ;;
    nstnet) "$NST" --progress none -s "$2" photo.ppm -o out.png ;;
    json) nst -p "$2" -s style.ppm --dry-run photo.ppm -o out.png --size 64 --scales none >/dev/null ;;
    ck) nst --resume "$2" -s style.ppm photo.ppm -o out.png ;;
    jsonl) "$bin/nst-history" --history "$2" list >/dev/null ;;
    *) nst -s style.ppm "$2" -o out.png ;;
    esac
}

files=(good.*)
count=$((${#files[@]} * 4))
[ -z "${NST_TEST_ALL:-}" ] || count=1000
wrong=0 refused=0
for good in "${files[@]}"; do # as they are, they are read
    read_it "${good##*.}" "$work/$good" >said 2>&1 || {
        wrong=$((wrong + 1))
        echo "# $good, which is sound: $(cat said)"
    }
done
for ((i = 0; i < count; i++)); do
    good=${files[i % ${#files[@]}]}
    bad=bad.${good##*.}
    mutate "$good" $((seed * 1000 + i)) >"$bad"
    begin=$(date +%s%N)
    (ulimit -t $limit && read_it "${good##*.}" "$work/$bad") >said 2>&1 &
    pid=$!
    ( sleep 60; kill -9 $pid ) 2>/dev/null &
    timer=$!
    wait $pid
    status=$?
    kill $timer 2>/dev/null
    took=$((($(date +%s%N) - begin) / 1000000))
    lines=$(grep -c '^nst[a-z-]*: ' said)
    [ $status = 0 ] || refused=$((refused + 1))
    if [ $status -gt 2 ] || [ $took -gt $((limit * 10000)) ] ||
        { [ $status != 0 ] && [ "$lines" -lt 1 ]; } || grep -q 'Sanitizer\|runtime error' said; then
        wrong=$((wrong + 1))
        echo "# $good, seed $seed, number $i: status $status in $took ms"
        sed 's/^/#   /' said | head -n 20
    fi
done 2>/dev/null
echo "# $count files, $refused refused"
echo 1..1
[ $wrong = 0 ] && echo "ok 1 - each of $count damaged files is read, or refused in a line" ||
    echo "not ok 1 - $wrong of $count damaged files, or of the sound ones"
