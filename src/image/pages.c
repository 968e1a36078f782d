/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/pages.h"

#include <stdint.h>
#include <string.h>

#include "image/input.h"

#define MAX_ENTRIES 500000 /* of all directories together, which may form a loop */
#define MAX_SUBIFDS 64

/* TIFF 6.0, the TIFF/EP standard and the DNG specification. */
enum {
    TAG_NEW_SUBFILE_TYPE = 254,
    TAG_SUBFILE_TYPE = 255,
    TAG_WIDTH = 256,
    TAG_HEIGHT = 257,
    TAG_BITS = 258,
    TAG_PHOTOMETRIC = 262,
    TAG_MAKE = 271,
    TAG_STRIPS = 273,
    TAG_SAMPLES = 277,
    TAG_ARTIST = 315,
    TAG_TILES = 324,
    TAG_SUBIFDS = 330,
    TAG_EXTRA_SAMPLES = 338,
    TAG_SAMPLE_FORMAT = 339,
    TAG_COPYRIGHT = 33432,
    TAG_EXIF = 34665,
    TAG_GPS = 34853,

    NEW_REDUCED = 1,
    NEW_PAGE = 2, /* of a document; not a kind of picture */
    OLD_REDUCED = 2,

    PHOTOMETRIC_RGB = 2,
    PHOTOMETRIC_MASK = 4,
    PHOTOMETRIC_CMYK = 5,
    PHOTOMETRIC_YCBCR = 6,
    PHOTOMETRIC_LAB = 8,
    PHOTOMETRIC_CFA = 32803,
    PHOTOMETRIC_LINEAR_RAW = 34892,

    EXTRA_UNSPECIFIED = 0,
    EXTRA_ASSOCIATED = 1,
};

struct reader {
    const struct nst_input *in;
    bool big_endian, big; /* BigTIFF */
    uint64_t entries;     /* read so far */
};

struct directory {
    uint64_t subifd[MAX_SUBIFDS], next;
    int subifds, extra[16], extras; /* -1: no ExtraSamples */
    unsigned type, old_type, width, height, bits, format, photometric, samples;
    bool has_pixels, has_exif;
};

static uint64_t number(const struct reader *r, const unsigned char *p, int bytes)
{
    uint64_t v = 0;

    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[r->big_endian ? i : bytes - 1 - i];
    return v;
}

/* Bytes of a value of an integer type; 0: not an integer. */
static int type_size(unsigned type)
{
    switch (type) {
    case 1: /* BYTE */
        return 1;
    case 3: /* SHORT */
        return 2;
    case 4:  /* LONG */
    case 13: /* IFD */
        return 4;
    case 16: /* LONG8 */
    case 18: /* IFD8 */
        return 8;
    default:
        return 0;
    }
}

/* Read up to max values of a directory entry; their number. */
static int entry_values(const struct reader *r, const unsigned char *entry,
                        uint64_t *value, int max)
{
    int size = type_size((unsigned)number(r, entry + 2, 2)), width = r->big ? 8 : 4;
    uint64_t count = number(r, entry + 4, width);
    const unsigned char *p = entry + 4 + width;
    unsigned char buffer[MAX_SUBIFDS * 8];
    int n = count < (uint64_t)max ? (int)count : max;

    if (!size)
        return 0;
    if (count * (uint64_t)size > (uint64_t)width) {
        if (!nst_input_read_at(r->in, number(r, p, width), buffer, (size_t)(n * size)))
            return 0;
        p = buffer;
    }
    for (int i = 0; i < n; i++)
        value[i] = number(r, p + i * size, size);
    return n;
}

static void read_entry(const struct reader *r, const unsigned char *entry,
                       struct directory *d)
{
    uint64_t v[MAX_SUBIFDS];
    int n = entry_values(r, entry, v, MAX_SUBIFDS);
    unsigned first = n && v[0] <= INT32_MAX ? (unsigned)v[0] : 0;

    switch (number(r, entry, 2)) {
    case TAG_NEW_SUBFILE_TYPE:
        d->type = first;
        break;
    case TAG_SUBFILE_TYPE:
        d->old_type = first;
        break;
    case TAG_WIDTH:
        d->width = first;
        break;
    case TAG_HEIGHT:
        d->height = first;
        break;
    case TAG_BITS:
        d->bits = first;
        break;
    case TAG_PHOTOMETRIC:
        d->photometric = first;
        break;
    case TAG_SAMPLES:
        d->samples = first;
        break;
    case TAG_SAMPLE_FORMAT:
        d->format = first;
        break;
    case TAG_STRIPS:
    case TAG_TILES:
        d->has_pixels = true;
        break;
    case TAG_MAKE:
    case TAG_ARTIST:
    case TAG_COPYRIGHT:
    case TAG_EXIF:
    case TAG_GPS:
        d->has_exif = true;
        break;
    case TAG_SUBIFDS:
        memcpy(d->subifd, v, sizeof d->subifd);
        d->subifds = n;
        break;
    case TAG_EXTRA_SAMPLES:
        d->extras = n < 16 ? n : 16;
        for (int i = 0; i < d->extras; i++)
            d->extra[i] = v[i] <= UINT16_MAX ? (int)v[i] : EXTRA_UNSPECIFIED;
        break;
    default:
        break;
    }
}

static bool read_directory(struct reader *r, uint64_t at, struct directory *d)
{
    int count_bytes = r->big ? 8 : 2, entry_bytes = r->big ? 20 : 12;
    unsigned char bytes[20];
    uint64_t entries;

    *d = (struct directory){.bits = 1, .format = 1, .samples = 1, .extras = -1};
    if (!nst_input_read_at(r->in, at, bytes, (size_t)count_bytes))
        return false;
    entries = number(r, bytes, count_bytes);
    at += (uint64_t)count_bytes;
    if (r->entries >= MAX_ENTRIES || entries > MAX_ENTRIES - r->entries)
        return false;
    r->entries += entries + 1;
    for (; entries; entries--, at += (uint64_t)entry_bytes) {
        if (!nst_input_read_at(r->in, at, bytes, (size_t)entry_bytes))
            return false;
        read_entry(r, bytes, d);
    }
    if (nst_input_read_at(r->in, at, bytes, r->big ? 8 : 4))
        d->next = number(r, bytes, r->big ? 8 : 4);
    return true;
}

/* Whether libvips can read d as a picture, not as the mosaic of a camera or a mask. */
static bool is_picture(const struct directory *d)
{
    return d->has_pixels && d->width && d->height &&
           d->photometric != PHOTOMETRIC_MASK && d->photometric != PHOTOMETRIC_CFA &&
           d->photometric != PHOTOMETRIC_LINEAR_RAW &&
           !(d->type & ~(unsigned)(NEW_REDUCED | NEW_PAGE));
}

static bool is_reduced(const struct directory *d)
{
    return d->type & NEW_REDUCED || d->old_type == OLD_REDUCED;
}

static int colour_samples(const struct directory *d)
{
    switch (d->photometric) {
    case PHOTOMETRIC_RGB:
    case PHOTOMETRIC_YCBCR:
    case PHOTOMETRIC_LAB:
        return 3;
    case PHOTOMETRIC_CMYK:
        return 4;
    default:
        return 1;
    }
}

/*
 * ExtraSamples says which band is alpha. A band that it leaves unspecified (0) may be a
 * spot colour, a saved selection or infrared; taken for alpha, it would hide the
 * picture. Pillow and ImageMagick do not take it for alpha either (libvips does). Like
 * them, read the band of a file without the tag, and of one with a value that TIFF
 * does not define, as alpha.
 */
static int alpha_from_end(const struct directory *d)
{
    int extras = (int)d->samples - colour_samples(d);

    if (d->extras < 0)
        return extras > 0 ? extras : 0;
    for (int i = 0; i < d->extras; i++)
        if (d->extra[i] != EXTRA_UNSPECIFIED)
            return d->extras - i;
    return 0;
}

/* Make d the picture of t if it is a better one. */
static void consider(struct nst_tiff *t, const struct directory *d, int page,
                     int subifd)
{
    bool reduced = is_reduced(d), better;

    if (!is_picture(d))
        return;
    if (!t->width)
        better = true;
    else if (reduced && t->reduced) /* the largest preview */
        better = (uint64_t)d->width * d->height >
                 (uint64_t)(unsigned)t->width * (unsigned)t->height;
    else
        better = t->reduced && !reduced;
    t->pages += !reduced && subifd < 0;
    if (!better)
        return;
    t->page = page;
    t->subifd = subifd;
    t->width = (int)d->width;
    t->height = (int)d->height;
    t->reduced = reduced;
    t->bits = (int)d->bits;
    t->format = (int)d->format;
    t->has_exif = d->has_exif;
    t->alpha_from_end = alpha_from_end(d);
    t->associated = t->alpha_from_end && d->extras > 0 &&
                    d->extra[d->extras - t->alpha_from_end] == EXTRA_ASSOCIATED;
}

/* Read the header; *first is the place of the first directory. */
static bool open_tiff(struct reader *r, uint64_t *first)
{
    unsigned char h[16];

    if (!nst_input_read_at(r->in, 0, h, sizeof h) ||
        (memcmp(h, "II", 2) != 0 && memcmp(h, "MM", 2) != 0))
        return false;
    r->big_endian = h[0] == 'M';
    r->big = number(r, h + 2, 2) == 43;
    *first = r->big ? number(r, h + 8, 8) : number(r, h + 4, 4);
    return r->big || number(r, h + 2, 2) == 42;
}

bool nst_pages_scan_tiff(struct nst_tiff *t, const struct nst_input *in)
{
    struct reader r = {.in = in};
    struct directory d, sub;
    uint64_t at;

    *t = (struct nst_tiff){.subifd = -1};
    if (!open_tiff(&r, &at))
        return false;
    for (int page = 0; at && read_directory(&r, at, &d); page++) {
        consider(t, &d, page, -1);
        for (int i = 0; i < d.subifds && t->pages == 0; i++)
            if (read_directory(&r, d.subifd[i], &sub))
                consider(t, &sub, page, i);
        at = d.next;
    }
    return t->width > 0;
}

int nst_pages_count_apng(const struct nst_input *in)
{
    static const unsigned char magic[8] = "\x89PNG\r\n\x1a\n";
    const struct reader r = {.in = in, .big_endian = true};
    unsigned char h[12];
    uint64_t at = sizeof magic;

    if (!nst_input_read_at(in, 0, h, sizeof magic) ||
        memcmp(h, magic, sizeof magic) != 0)
        return 1;
    while (nst_input_read_at(in, at, h, sizeof h) && memcmp(h + 4, "IDAT", 4) != 0) {
        if (memcmp(h + 4, "acTL", 4) == 0) {
            uint64_t frames = number(&r, h + 8, 4);

            return frames > 1 && frames < INT32_MAX ? (int)frames : 1;
        }
        at += 12 + number(&r, h, 4);
    }
    return 1;
}
