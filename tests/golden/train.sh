#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A training of 100 steps against PyTorch, from the same start: the losses of each step
# are equal to 1 %.
set -u
for python in python3 /usr/bin/python3 ''; do # there may be another one before Debian's
    [ -n "$python" ] && "$python" -c 'import torch, numpy' 2>/dev/null && break
done
if [ -z "$python" ]; then
    echo "1..0 # SKIP Python's torch or numpy is not installed"
    exit 0
fi
program=$PWD/tests/golden/train
model=$(realpath "${srcdir:-.}/models/vgg19-lite.safetensors")
script=$(realpath "${srcdir:-.}/tests/golden/train.py")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" && "$program" "$model" 100 >losses && "$python" "$script" "$model" losses
