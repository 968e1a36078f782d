/* SPDX-License-Identifier: MIT */
/*
 * tiff.c - strips a TIFF: TIFF 6.0. Values stay at their offsets; directories lose the
 * entries that say nothing of the pixels, and zeros take the place of everything that
 * is not kept.
 */
#include "config.h"

#include "serve/strip/copy.h"

#define MAX_DIRECTORIES 1000
#define MAX_ENTRIES 1000   /* of a directory */
#define OLD_TABLE_SIZE 272 /* of a quantisation or Huffman table, at most */

enum {
    SUBFILE_TYPE = 254,
    STRIP_OFFSETS = 273,
    STRIP_SIZES = 279,
    TILE_OFFSETS = 324,
    TILE_SIZES = 325,
    SUB_DIRECTORIES = 330,
    JPEG_OFFSET = 513, /* of compression 6, which JPEG_TABLES replaced */
    JPEG_SIZE = 514,
    JPEG_Q_TABLES = 519,
    JPEG_AC_TABLES = 521,
    REDUCED = 1 /* bit of SUBFILE_TYPE: a small version of another page */
};

/* Tags of the pixels' layout, coding and colours, the orientation, the resolution and
 * the colour profile, in ascending order. */
static const uint16_t needed[] = {
    254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279,  280, 281,
    282, 283, 284, 290, 291, 292, 293, 296, 301, 317, 318, 319, 320,  321, 322,
    323, 324, 325, 330, 332, 334, 336, 338, 339, 340, 341, 342, 343,  347, 512,
    513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 34675};

struct tiff {
    struct strip *s;
    bool big_endian;
    size_t directories;
};

/* The values of an entry; count is 0 if they are not in the file. */
struct values {
    uint64_t offset;
    uint32_t size, count; /* of a value in bytes; values */
};

static uint32_t get(const struct tiff *t, uint64_t at, size_t size)
{
    const uint8_t *p = t->s->in + at;

    return size == 1   ? p[0]
           : size == 2 ? (t->big_endian ? strip_be16(p) : strip_le16(p))
                       : (t->big_endian ? strip_be32(p) : strip_le32(p));
}

static void put(const struct tiff *t, uint64_t at, uint32_t value, size_t size)
{
    uint8_t bytes[4];

    if (t->big_endian)
        strip_put_be32(bytes, size == 2 ? value << 16 : value);
    else
        strip_put_le32(bytes, value);
    strip_patch(t->s, at, bytes, size);
}

static struct values entry_values(const struct tiff *t, uint64_t entry)
{
    static const uint8_t sizes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4};
    uint32_t type = get(t, entry + 2, 2);
    struct values v = {.size = type < sizeof sizes ? sizes[type] : 0,
                       .count = get(t, entry + 4, 4)};
    uint64_t bytes = (uint64_t)v.size * v.count;

    v.offset = bytes <= 4 ? entry + 8 : get(t, entry + 8, 4);
    if (bytes == 0 || !strip_has(t->s, v.offset, bytes))
        v.count = 0;
    return v;
}

static uint32_t value_at(const struct tiff *t, const struct values *v, uint32_t i)
{
    return i < v->count ? get(t, v->offset + (uint64_t)i * v->size, v->size) : 0;
}

/* Keep the strips or tiles. Without their sizes all that follows the first is kept. */
static void keep_data(const struct tiff *t, const struct values *offsets,
                      const struct values *sizes)
{
    for (uint32_t i = 0; i < offsets->count && !t->s->problem; i++) {
        uint32_t size = value_at(t, sizes, i), at = value_at(t, offsets, i);

        strip_keep(t->s, at, size ? size : at ? t->s->size : 0);
        if (sizes->count == 0)
            return;
    }
}

static bool is_needed(uint32_t tag)
{
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (needed[i] == tag)
            return true;
    return false;
}

/* The number of entries of the directory at the offset, if it is in the file. */
static uint32_t entry_count(const struct tiff *t, uint64_t at)
{
    uint32_t n = strip_has(t->s, at, 2) ? get(t, at, 2) : 0;

    return strip_has(t->s, at, 2 + 12 * (uint64_t)n) ? n : 0;
}

/* The directory after the one at the offset; 0: none. */
static uint32_t next_directory(const struct tiff *t, uint64_t at)
{
    uint64_t end = at + 2 + 12 * (uint64_t)entry_count(t, at);

    return strip_has(t->s, end, 4) ? get(t, end, 4) : 0;
}

static bool is_reduced(const struct tiff *t, uint64_t at)
{
    for (uint32_t i = 0, n = entry_count(t, at); i < n; i++) {
        uint64_t entry = at + 2 + 12 * (uint64_t)i;
        struct values v = entry_values(t, entry);

        if (get(t, entry, 2) == SUBFILE_TYPE)
            return value_at(t, &v, 0) & REDUCED;
    }
    return false;
}

static void keep_directory(struct tiff *t, uint64_t at, uint32_t next, bool sub);

/* Keep what the values of some tags point at. */
static void keep_targets(struct tiff *t, uint32_t tag, const struct values *v, bool sub)
{
    for (uint32_t i = 0; i < v->count && !t->s->problem; i++)
        if (tag == SUB_DIRECTORIES && !sub)
            keep_directory(t, value_at(t, v, i), 0, true);
        else if (tag >= JPEG_Q_TABLES && tag <= JPEG_AC_TABLES)
            strip_keep(t->s, value_at(t, v, i), OLD_TABLE_SIZE);
}

/* Keep the needed entries of a directory with their data, and let next follow it. */
static void keep_directory(struct tiff *t, uint64_t at, uint32_t next, bool sub)
{
    uint32_t n = entry_count(t, at), kept = 0;
    struct values strips = {0}, strip_sizes = {0}, tiles = {0}, tile_sizes = {0},
                  jpeg = {0}, jpeg_size = {0};

    if (strip_exceeds(t->s, ++t->directories, MAX_DIRECTORIES, "pages") ||
        strip_exceeds(t->s, n, MAX_ENTRIES, "tags of a page"))
        return;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t entry = at + 2 + 12 * (uint64_t)i;
        uint32_t tag = get(t, entry, 2);
        struct values v = entry_values(t, entry);

        if (!is_needed(tag) || v.count == 0 || (sub && tag == SUB_DIRECTORIES))
            continue;
        strip_patch(t->s, at + 2 + 12 * (uint64_t)kept++, t->s->in + entry, 12);
        if (v.offset != entry + 8)
            strip_keep(t->s, v.offset, (uint64_t)v.size * v.count);
        *(tag == STRIP_OFFSETS  ? &strips
          : tag == STRIP_SIZES  ? &strip_sizes
          : tag == TILE_OFFSETS ? &tiles
          : tag == TILE_SIZES   ? &tile_sizes
          : tag == JPEG_OFFSET  ? &jpeg
          : tag == JPEG_SIZE    ? &jpeg_size
                                : &(struct values){0}) = v;
        keep_targets(t, tag, &v, sub);
    }
    put(t, at, kept, 2);
    put(t, at + 2 + 12 * (uint64_t)kept, next, 4);
    keep_data(t, &strips, &strip_sizes);
    keep_data(t, &tiles, &tile_sizes);
    keep_data(t, &jpeg, &jpeg_size);
}

void strip_tiff(struct strip *s)
{
    struct tiff t = {.s = s, .big_endian = s->in[0] == 'M'};
    uint32_t at, next;
    bool first_is_reduced;

    s->in_place = true;
    if (!strip_has(s, 0, 8))
        return;
    strip_keep(s, 0, 8);
    at = get(&t, 4, 4);
    first_is_reduced = at && is_reduced(&t, at);
    for (; at && strip_has(s, at, 2) && !s->problem; at = next) {
        size_t skipped = 0;

        next = next_directory(&t, at);
        /* a thumbnail; if it comes first, a page after it is the picture */
        while (next && !first_is_reduced && is_reduced(&t, next) &&
               !strip_exceeds(s, t.directories + ++skipped, MAX_DIRECTORIES, "pages"))
            next = next_directory(&t, next);
        keep_directory(&t, at, next, false);
    }
}
