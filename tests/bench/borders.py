#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""borders.py NST STYLE PHOTO... [-- OPTION...] - how saturated pictures are at their border.

Paints each photograph at 192 pixels and prints, for rings of pixels by their distance from
the border, the mean saturation (the largest channel less the smallest, of 255) and the share
of pixels above 180. A padding that leaves no trace has about equal figures in all rings.
"""
import os
import subprocess
import sys
import tempfile

RINGS = ((0, 1), (1, 2), (2, 4), (4, 8), (8, 16), (16, 32), (32, 96))
STRONG = 180


def read_ppm(path):
    """Width, height and bytes of a PPM file without comments between its numbers."""
    with open(path, 'rb') as f:
        data = f.read()
    magic, rest = data.split(b'\n', 1)
    assert magic == b'P6', path
    numbers = []
    while len(numbers) < 3:
        line, rest = rest.split(b'\n', 1)
        if not line.startswith(b'#'):
            numbers += [int(n) for n in line.split()]
    return numbers[0], numbers[1], rest


def add_rings(path, sums):
    width, height, rgb = read_ppm(path)
    for y in range(height):
        for x in range(width):
            distance = min(x, y, width - 1 - x, height - 1 - y)
            pixel = rgb[3 * (y * width + x):3 * (y * width + x) + 3]
            saturation = max(pixel) - min(pixel)
            for ring, (first, end) in zip(sums, RINGS):
                if first <= distance < end:
                    ring[0] += 1
                    ring[1] += saturation
                    ring[2] += saturation > STRONG


def main():
    arguments = sys.argv[1:]
    options = []
    if '--' in arguments:
        at = arguments.index('--')
        arguments, options = arguments[:at], arguments[at + 1:]
    if len(arguments) < 3:
        sys.exit(__doc__)
    nst, style, *photos = arguments
    sums = [[0, 0, 0] for _ in RINGS]
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, 'out.ppm')
        for photo in photos:
            subprocess.run([nst, '-q', '--config', 'none', '--history', 'none', '-S', '192',
                            '-s', style, photo, '-o', out, *options], check=True)
            add_rings(out, sums)
    print('distance  saturation  above %d' % STRONG)
    for (first, end), (count, total, strong) in zip(RINGS, sums):
        if count:
            print('%3d to %2d  %10.1f  %8.1f %%'
                  % (first, end - 1, total / count, 100 * strong / count))


if __name__ == '__main__':
    main()
