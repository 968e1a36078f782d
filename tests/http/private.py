#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""private.py - a JPEG with the metadata that a photograph may have.

private.py IN.jpg OUT.jpg [ORIENTATION]: add EXIF with GPS, author, camera, serial number,
a maker note and a thumbnail, then XMP, IPTC, a comment, and data after the picture. All
texts contain the word SECRET.
"""
import struct
import sys


def directory(at, entries, following=0):
    """An EXIF directory at an offset, with its values behind it."""
    entries = sorted(entries)
    table, values = b"", b""
    free = at + 2 + 12 * len(entries) + 4
    for tag, kind, value in entries:
        size = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}[kind]
        count = len(value) // size
        if len(value) > 4:
            where = struct.pack(">I", free + len(values))
            values += value + b"\0" * (len(value) % 2)
        else:
            where = value.ljust(4, b"\0")
        table += struct.pack(">HHI", tag, kind, count) + where
    return struct.pack(">H", len(entries)) + table + struct.pack(">I", following) + values


def short(v):
    return struct.pack(">H", v)


def long(v):
    return struct.pack(">I", v)


def exif(orientation):
    position = struct.pack(">6I", 48, 1, 31, 1, 12, 1)
    text = lambda name: b"SECRET-" + name + b"\0"
    thumbnail = b"\xff\xd8\xff\xfe\0\x12SECRET-thumbnai\0\xff\xd9"
    head = b"MM\0*\0\0\0\x08"

    def build(private, gps, small):
        first = directory(8, [
            (0x010f, 2, text(b"make")), (0x0110, 2, text(b"model")),
            (0x0112, 3, short(orientation)), (0x0131, 2, text(b"software")),
            (0x013b, 2, text(b"artist")), (0x8769, 4, long(private)),
            (0x8298, 2, text(b"copyright")), (0x8825, 4, long(gps))], small)
        second = directory(private, [
            (0x9003, 2, b"2026:11:30 12:00:00\0"), (0x927c, 7, text(b"makernote")),
            (0xa430, 2, text(b"owner")), (0xa431, 2, text(b"serial"))])
        third = directory(gps, [
            (1, 2, b"N\0"), (2, 5, position), (3, 2, b"E\0"), (4, 5, position),
            (0x1b, 7, text(b"gps"))])
        fourth = directory(small, [
            (0x0103, 3, short(6)),
            (0x0201, 4, long(small + 2 + 36 + 4)), (0x0202, 4, long(len(thumbnail)))])
        return first, second, third, fourth + thumbnail

    offsets = (0, 0, 0)
    for _ in range(2): # the sizes do not depend on the offsets
        parts = build(*offsets)
        at, found = 8, []
        for part in parts:
            found.append(at)
            at += len(part)
        offsets = tuple(found[1:])
    return head + b"".join(build(*offsets))


def segment(marker, payload):
    return struct.pack(">BBH", 0xff, marker, len(payload) + 2) + payload


def main():
    picture = open(sys.argv[1], "rb").read()
    orientation = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    xmp = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
           b'"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
           b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="SECRET-xmp"/>'
           b"</rdf:RDF></x:xmpmeta>")
    name = b"SECRET-iptc"
    iptc = b"\x1c\x02\x50" + struct.pack(">H", len(name)) + name
    block = b"8BIM\x04\x04\0\0" + long(len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    at = 4 + struct.unpack(">H", picture[4:6])[0] # after JFIF
    added = (segment(0xe1, b"Exif\0\0" + exif(orientation))
             + segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0" + xmp)
             + segment(0xed, b"Photoshop 3.0\0" + block)
             + segment(0xe2, b"MPF\0SECRET-mpf") + segment(0xfe, b"SECRET-comment"))
    with open(sys.argv[2], "wb") as out:
        out.write(picture[:at] + added + picture[at:] + b"SECRET-trailer")


if __name__ == "__main__":
    main()
