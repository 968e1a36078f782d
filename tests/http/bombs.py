#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bombs.py - small files that cost a decoder minutes or gigabytes.

bombs.py DIRECTORY: write them there, each named by what it has too much of.
"""
import os
import struct
import sys
import zlib


def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data
            + struct.pack(">I", zlib.crc32(kind + data)))


def png(extra, width=64, height=64):
    rows = b"".join(b"\0" + bytes([x % 256 for x in range(width * 3)]) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def slow_png(width, height):
    """16 bits, all zero: a thousandth of what it inflates to. Needs no seconds to make."""
    block = (width * 6 + 1) * 100
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    size = block * (height // 100)
    adler = (size % 65521) << 16 | 1
    data = b"\x78\xda" + packed * (height // 100) + b"\x03\0" + struct.pack(">I", adler)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data)
            + chunk(b"IEND", b""))


def jpeg(segments=b"", scans=1):
    """16x16, grey, progressive; each further scan is one of no coefficients."""
    huffman = b"\xff\xc4\0\x14" + b"\0" + b"\1" + bytes(15) + b"\0"
    ac = b"\xff\xc4\0\x14" + b"\x10" + b"\1" + bytes(15) + b"\0"
    quantisers = b"\xff\xdb\0\x43\0" + b"\1" * 64
    frame = b"\xff\xc2\0\x0b\x08" + struct.pack(">HH", 16, 16) + b"\1\1\x11\0"
    dc_scan = b"\xff\xda\0\x08\1\1\0\0\0\0" + b"\x0f"
    ac_scan = b"\xff\xda\0\x08\1\1\0\1\x3f\0" + b"\x0f"
    return (b"\xff\xd8" + segments + quantisers + frame + huffman + ac + dc_scan
            + ac_scan * scans + b"\xff\xd9")


def riff(kind, data):
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def webp(frames):
    size = b"\x0f\0\0" * 2
    pixels = riff(b"VP8L", b"\x2f\x0f\xc0\x03\0\0\0\0\0\0")
    frame = riff(b"ANMF", bytes(6) + size + bytes(4) + pixels)
    data = (b"WEBP" + riff(b"VP8X", b"\2\0\0\0" + size) + riff(b"ANIM", bytes(6))
            + frame * frames)
    return riff(b"RIFF", data)


def tag(number, kind, value, count=1):
    return struct.pack("<HHI", number, kind, count) + struct.pack(
        "<HH" if kind == 3 else "<I", *((value, 0) if kind == 3 else (value,)))


def directory(at, tags, last=False, following=None):
    size = 2 + 12 * len(tags) + 4
    if following is None:
        following = 0 if last else at + size
    return struct.pack("<H", len(tags)) + b"".join(tags) + struct.pack("<I", following)


def picture(strips=8):
    return [tag(256, 3, 16), tag(257, 3, 16), tag(258, 3, 8), tag(259, 3, 1),
            tag(262, 3, 1), tag(273, 4, strips), tag(277, 3, 1), tag(278, 3, 16),
            tag(279, 4, 256)]


def tiff(directories=1, tags=(), loop=False):
    head = b"II*\0" + struct.pack("<I", 8 + 256) + bytes(256)
    out, at = [head], len(head)
    for i in range(directories):
        part = directory(at, picture() + list(tags), i + 1 == directories,
                         8 + 256 if loop else None)
        out.append(part)
        at += len(part)
    return b"".join(out)


def overlapping_tiff(strips):
    """Each of its strips is the whole file."""
    size = 8 + 2 + 12 * 9 + 4 + 8 * strips
    tags = picture()
    tags[5] = tag(273, 4, size - 8 * strips, strips)
    tags[7] = tag(278, 3, 1)
    tags[8] = tag(279, 4, size - 4 * strips, strips)
    return (b"II*\0" + struct.pack("<I", 8) + directory(8, tags, True)
            + bytes(4 * strips) + struct.pack("<I", size) * strips)


def box(kind, data):
    return struct.pack(">I", 8 + len(data)) + kind + data


def heic(items):
    entries = b"".join(box(b"infe", struct.pack(">IHH", 2 << 24, i + 1, 0) + b"hvc1\0")
                       for i in range(items))
    places = b"".join(struct.pack(">HHHII", i + 1, 0, 1, 0, 100) for i in range(items))
    meta = box(b"meta", bytes(4) + box(b"hdlr", bytes(8) + b"pict" + bytes(13))
               + box(b"pitm", bytes(4) + struct.pack(">H", 1))
               + box(b"iinf", bytes(4) + struct.pack(">H", items) + entries)
               + box(b"iloc", bytes(4) + b"\x44\0" + struct.pack(">H", items) + places))
    return box(b"ftyp", b"heic\0\0\0\0mif1heic") + meta


def gif(frames):
    frame = b"\x2c\0\0\0\0\x10\0\x10\0\0\2\2\x44\1\0"
    return (b"GIF89a\x10\0\x10\0\x80\0\0" + bytes(6) + frame * frames + b"\x3b")


def small():
    """Pictures of each format, to begin fuzzing with."""
    exif = b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
    return {
        "a.png": png(chunk(b"eXIf", exif) + chunk(b"tEXt", b"a\0b"), 4, 4),
        "a.jpg": jpeg(b"\xff\xe1\0\x22Exif\0\0" + exif, 2),
        "a.webp": webp(2), "a.gif": gif(2), "a.tif": tiff(2, [tag(330, 4, 264)]),
        "a.heic": heic(2),
    }


def main():
    text = zlib.compress(b"A" * 7900000, 9)
    segment = b"\xff\xe1\0\x04AA"
    bombs = {
        "text.png": png(b"".join(chunk(b"zTXt", b"k%d\0\0" % i + text) for i in range(950))),
        "itxt.png": png(b"".join(chunk(b"iTXt", b"k%d\0\1\0\0\0" % i + text)
                                 for i in range(950))),
        "chunks.png": png(chunk(b"tEXt", b"a\0b") * 200000),
        "segments.jpg": jpeg(segment * 500000),
        "comments.jpg": jpeg(b"\xff\xfe\0\2" * 500000),
        "scans.jpg": jpeg(scans=200000),
        "frames.webp": webp(100000),
        "pages.tif": tiff(50000),
        "loop.tif": tiff(loop=True),
        "tags.tif": tiff(tags=[tag(60000 + i % 5000, 4, 0) for i in range(60000)]),
        "strips.tif": overlapping_tiff(300000),
        "items.heic": heic(65000),
        "frames.gif": gif(400000),
        "slow.png": slow_png(30000, 30000),
    }
    for name, data in bombs.items():
        with open(os.path.join(sys.argv[1], name), "wb") as out:
            out.write(data)


if __name__ == "__main__":
    main()
