/* SPDX-License-Identifier: MIT */
/* jpeg.c - strips a JPEG: ITU-T T.81, annex B. */
#include "config.h"

#include <string.h>

#include "serve/strip/copy.h"

/* A camera writes some dozens; XMP and MPF in parts, hundreds. Decoders search the list
 * of them for each. */
#define MAX_SEGMENTS 2000
/* Encoders make 10 to 20 scans. Each is a pass over all pixels. */
#define MAX_SCANS 100

enum { SOI = 0xd8, EOI, SOS, APP0 = 0xe0, APP1, APP2, APP14 = 0xee, APP15, COM = 0xfe };

/* The size of the segment's identifier, zero included, if it is that one. */
static size_t identifier(const uint8_t *p, size_t n, const char *name)
{
    size_t length = strlen(name) + 1;

    return n >= length && memcmp(p, name, length) == 0 ? length : 0;
}

static void append_segment(struct strip *s, uint8_t marker, const void *name,
                           size_t name_size, const void *data, size_t n)
{
    size_t size = 2 + name_size + n;
    uint8_t head[4] = {0xff, marker, (uint8_t)(size >> 8), (uint8_t)size};

    strip_append(s, head, sizeof head);
    strip_append(s, name, name_size);
    strip_append(s, data, n);
}

/* An APPn or COM segment at the offset, whose payload is p. Of EXIF the orientation
 * stays, of JFIF the density. */
static void strip_segment(struct strip *s, uint8_t marker, size_t offset,
                          const uint8_t *p, size_t n, bool *oriented)
{
    uint8_t exif[STRIP_EXIF_SIZE], jfif[14];
    size_t name;

    if (marker == APP0 && identifier(p, n, "JFIF") && n >= sizeof jfif) {
        memcpy(jfif, p, sizeof jfif);
        jfif[12] = jfif[13] = 0; /* the size of its thumbnail */
        append_segment(s, marker, jfif, sizeof jfif, NULL, 0);
    } else if (marker == APP1 && !*oriented && (name = identifier(p, n, "Exif"))) {
        *oriented = true; /* decoders read the first */
        n = name + 1 < n ? strip_orientation(p + name + 1, n - name - 1, exif) : 0;
        if (n)
            append_segment(s, marker, "Exif\0", 6, exif, n);
    } else if ((marker == APP2 && identifier(p, n, "ICC_PROFILE")) ||
               (marker == APP14 && n >= 12 && memcmp(p, "Adobe", 5) == 0))
        strip_keep(s, offset, n + 4);
}

/* The offset of the next marker that is no restart marker, after the coded data. */
static size_t end_of_scan(const struct strip *s, size_t at)
{
    const uint8_t *p;

    while (at < s->size && (p = memchr(s->in + at, 0xff, s->size - at))) {
        at = (size_t)(p - s->in);
        if (at + 1 < s->size && p[1] != 0 && p[1] != 0xff && (p[1] & 0xf8) != 0xd0)
            return at;
        at++;
    }
    return s->size;
}

void strip_jpeg(struct strip *s)
{
    size_t at = 2, segments = 0, scans = 0;
    bool oriented = false;

    strip_keep(s, 0, 2);
    while (strip_has(s, at, 4) && s->in[at] == 0xff && !s->problem) {
        uint8_t marker = s->in[at + 1];
        size_t n = strip_be16(s->in + at + 2), start = at;

        if (marker == 0xff) { /* a fill byte */
            at++;
            continue;
        }
        if (marker == EOI || marker == SOI || n < 2 || !strip_has(s, at, 2 + n))
            break;
        at += 2 + n;
        if ((marker >= APP0 && marker <= APP15) || marker == COM)
            strip_segment(s, marker, start, s->in + start + 4, n - 2, &oriented);
        else {
            if (marker == SOS) {
                at = end_of_scan(s, at);
                strip_exceeds(s, ++scans, MAX_SCANS, "scans");
            }
            strip_keep(s, start, at - start);
        }
        strip_exceeds(s, ++segments, MAX_SEGMENTS, "segments");
    }
    if (strip_has(s, at, 2) && s->in[at] == 0xff && s->in[at + 1] == EOI)
        strip_keep(s, at, 2); /* what follows is another picture or a film */
}
