/* SPDX-License-Identifier: MIT */
/* png.c - strips a PNG or APNG: ISO/IEC 15948, section 11. */
#include "config.h"

#include <string.h>

#include "serve/strip/copy.h"

#define MAX_CHUNKS 1000 /* beside the pixels; ImageMagick writes dozens */
/* Each may inflate to the 8 MB that libpng allows. */
#define MAX_COMPRESSED 16

static uint32_t crc(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffff;

    for (; n > 0; n--, p++) {
        c ^= *p;
        for (int bit = 0; bit < 8; bit++)
            c = c >> 1 ^ (c & 1 ? 0xedb88320 : 0);
    }
    return ~c;
}

static bool is_one_of(const uint8_t *type, const char *list)
{
    for (; *list; list += 4)
        if (memcmp(type, list, 4) == 0)
            return true;
    return false;
}

/* Append an eXIf chunk if there is an orientation. */
static void append_orientation(struct strip *s, const uint8_t *exif, size_t n)
{
    uint8_t chunk[12 + STRIP_EXIF_SIZE];

    n = strip_orientation(exif, n, chunk + 8);
    if (n == 0)
        return;
    strip_put_be32(chunk, (uint32_t)n);
    memcpy(chunk + 4, "eXIf", 4);
    strip_put_be32(chunk + 8 + n, crc(chunk + 4, 4 + n));
    strip_append(s, chunk, sizeof chunk);
}

void strip_png(struct strip *s)
{
    static const char pixels[] = "IDATfdATfcTL", compressed[] = "zTXtiTXtiCCP",
                      needed[] = "IHDRPLTEIENDtRNScHRMgAMAiCCPsBITsRGBcICPmDCVcLLI"
                                 "bKGDpHYsacTL";
    size_t at = 8, chunks = 0, texts = 0;
    bool oriented = false, ended = false;

    strip_keep(s, 0, 8);
    while (strip_has(s, at, 12) && !ended && !s->problem) {
        uint32_t n = strip_be32(s->in + at);
        const uint8_t *type = s->in + at + 4;

        if (is_one_of(type, pixels))
            strip_keep(s, at, (uint64_t)n + 12); /* or what a cut file has of it */
        else {
            strip_exceeds(s, ++chunks, MAX_CHUNKS, "chunks beside its pixels");
            if (is_one_of(type, compressed))
                strip_exceeds(s, ++texts, MAX_COMPRESSED, "compressed texts");
            if (is_one_of(type, needed) || !(type[0] & 0x20)) /* or critical */
                strip_keep(s, at, (uint64_t)n + 12);
            else if (memcmp(type, "eXIf", 4) == 0 && !oriented &&
                     strip_has(s, at, n + (uint64_t)12)) {
                append_orientation(s, type + 4, n);
                oriented = true; /* decoders read the first */
            }
        }
        ended = memcmp(type, "IEND", 4) == 0;
        at += (size_t)n + 12;
    }
}
