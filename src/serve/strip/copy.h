/* SPDX-License-Identifier: MIT */
/* copy.h - what the formats share: the mapped file, and the ways to write its copy. */
#ifndef NST_SERVE_STRIP_COPY_H
#define NST_SERVE_STRIP_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strip {
    const uint8_t *in; /* the whole file */
    size_t size;
    int fd;          /* of the copy; -1: only count */
    int write_error; /* errno; 0: none */
    bool in_place; /* the copy has the same offsets, and zeros where nothing is kept */
    size_t from, to;        /* bytes of the file that are not yet written */
    uint64_t kept, written; /* bytes of strip_keep(), and of an appended copy */
    char *problem;          /* why the file is refused, owned; or NULL */
};

/* The walkers. They end where the structure is damaged. */
void strip_jpeg(struct strip *s);
void strip_png(struct strip *s);
void strip_webp(struct strip *s);
void strip_gif(struct strip *s);
void strip_tiff(struct strip *s);
void strip_heif(struct strip *s);

/* True if n bytes at the offset are in the file. */
static inline bool strip_has(const struct strip *s, uint64_t offset, uint64_t n)
{
    return offset <= s->size && n <= s->size - offset;
}

/* Keep n bytes of the file, or as many as it has: appended to the copy, or with
 * in_place at the same offset. */
void strip_keep(struct strip *s, uint64_t offset, uint64_t n);
/* Append bytes that are not in the file. */
void strip_append(struct strip *s, const void *bytes, size_t n);
/* Write bytes at an offset of a copy in_place. */
void strip_patch(struct strip *s, uint64_t offset, const void *bytes, size_t n);
/* Write what waits. */
void strip_flush(struct strip *s);

/* Refuse the file if it has more than max parts. True if so. */
bool strip_exceeds(struct strip *s, uint64_t count, uint64_t max, const char *parts);

/* A block of EXIF (the TIFF structure) with an orientation alone. Returns its length;
 * 0 if the n bytes at exif have no orientation but the usual one. */
#define STRIP_EXIF_SIZE 26
size_t strip_orientation(const uint8_t *exif, size_t n, uint8_t out[STRIP_EXIF_SIZE]);

static inline uint32_t strip_be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t strip_be32(const uint8_t *p)
{
    return strip_be16(p) << 16 | strip_be16(p + 2);
}

static inline uint32_t strip_le16(const uint8_t *p)
{
    return (uint32_t)p[1] << 8 | p[0];
}

static inline uint32_t strip_le32(const uint8_t *p)
{
    return strip_le16(p + 2) << 16 | strip_le16(p);
}

static inline void strip_put_be32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static inline void strip_put_le32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

#endif
