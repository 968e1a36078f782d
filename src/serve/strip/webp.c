/* SPDX-License-Identifier: MIT */
/* webp.c - strips a WebP: RFC 9649. */
#include "config.h"

#include <string.h>

#include "serve/strip/copy.h"

#define MAX_CHUNKS 1000  /* beside the frames */
#define MAX_FRAMES 10000 /* for each, libwebp walks the list of them */

enum { HAS_XMP = 4, HAS_EXIF = 8 }; /* flags of VP8X */

#define RIFF_SIZE 4 /* offsets */
#define FIRST_CHUNK 12
#define FRAME_HEAD (8 + 16) /* of an ANMF chunk, before the chunks in it */

static bool is(const uint8_t *chunk, const char *type)
{
    return memcmp(chunk, type, 4) == 0;
}

static bool is_bitstream(const uint8_t *chunk)
{
    return is(chunk, "VP8 ") || is(chunk, "VP8L") || is(chunk, "ALPH");
}

/* The bytes of a chunk with its padding, up to the end. */
static size_t chunk_size(const struct strip *s, size_t at, size_t end)
{
    uint64_t n = strip_le32(s->in + at + 4);

    n += 8 + (n & 1);
    return n < end - at ? (size_t)n : end - at;
}

/* Keep a frame with the chunks of its pixels. */
static void keep_frame(struct strip *s, size_t frame, size_t end)
{
    uint8_t head[FRAME_HEAD];
    size_t size = FRAME_HEAD - 8;

    if (end - frame < FRAME_HEAD)
        return;
    for (size_t at = frame + FRAME_HEAD; at + 8 <= end; at += chunk_size(s, at, end))
        if (is_bitstream(s->in + at))
            size += chunk_size(s, at, end);
    memcpy(head, s->in + frame, sizeof head);
    strip_put_le32(head + 4, (uint32_t)size);
    strip_append(s, head, sizeof head);
    for (size_t at = frame + FRAME_HEAD; at + 8 <= end; at += chunk_size(s, at, end))
        if (is_bitstream(s->in + at))
            strip_keep(s, at, chunk_size(s, at, end));
}

/* Append an EXIF chunk if there is an orientation. True if so. */
static bool append_orientation(struct strip *s, const uint8_t *exif, size_t n)
{
    uint8_t chunk[8 + STRIP_EXIF_SIZE] = "EXIF";

    if (n >= 6 && memcmp(exif, "Exif\0", 6) == 0) { /* as in JPEG; some write it */
        exif += 6;
        n -= 6;
    }
    n = strip_orientation(exif, n, chunk + 8);
    if (n == 0)
        return false;
    strip_put_le32(chunk + 4, (uint32_t)n);
    strip_append(s, chunk, 8 + n);
    return true;
}

/* Correct the size and the flags. */
static void patch_head(struct strip *s, bool oriented)
{
    uint8_t size[4];

    strip_flush(s);
    strip_put_le32(size, (uint32_t)(s->written - FIRST_CHUNK + 4));
    strip_patch(s, RIFF_SIZE, size, sizeof size);
    if (strip_has(s, FIRST_CHUNK, 9) && is(s->in + FIRST_CHUNK, "VP8X")) {
        uint8_t flags = s->in[FIRST_CHUNK + 8] & (uint8_t) ~(HAS_XMP | HAS_EXIF);

        flags |= oriented ? HAS_EXIF : 0;
        strip_patch(s, FIRST_CHUNK + 8, &flags, 1);
    }
}

void strip_webp(struct strip *s)
{
    size_t at = FIRST_CHUNK, end = s->size, chunks = 0, frames = 0, n;
    bool oriented = false;

    if (strip_le32(s->in + RIFF_SIZE) < end - 8)
        end = strip_le32(s->in + RIFF_SIZE) + 8;
    strip_keep(s, 0, FIRST_CHUNK);
    for (; at + 8 <= end && !s->problem; at += n) {
        const uint8_t *chunk = s->in + at;

        n = chunk_size(s, at, end);
        if (is(chunk, "ANMF")) {
            keep_frame(s, at, at + n);
            strip_exceeds(s, ++frames, MAX_FRAMES, "frames");
            continue;
        }
        strip_exceeds(s, ++chunks, MAX_CHUNKS, "chunks beside its frames");
        if (is_bitstream(chunk) || is(chunk, "VP8X") || is(chunk, "ANIM") ||
            is(chunk, "ICCP"))
            strip_keep(s, at, n);
        else if (is(chunk, "EXIF") && !oriented)
            oriented = append_orientation(s, chunk + 8, n - 8);
    }
    patch_head(s, oriented);
}
