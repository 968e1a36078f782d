/* SPDX-License-Identifier: MIT */
/*
 * heif.c - strips HEIC and AVIF: ISO/IEC 14496-12 (boxes) and 23008-12 (items). Boxes
 * stay at their offsets. The data of an item are kept if it is a picture; zeros take
 * the place of everything else, and its type becomes free.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "serve/strip/copy.h"

#define MAX_BOXES 1000 /* of the file, or of one box */
#define MAX_ITEMS 4000 /* a phone's picture has up to 200 tiles */

struct box {
    uint64_t at, end;
    uint64_t body; /* after the size and the type */
};

struct item {
    uint32_t id;
    uint64_t type_at; /* the offset of its type */
    bool kept;
};

struct heif {
    struct strip *s;
    struct item *items;
    size_t count;
    uint64_t idat; /* the offset of the data in the meta box; 0: none */
};

static bool type_is(const struct strip *s, uint64_t at, const char *list)
{
    for (; *list; list += 4)
        if (memcmp(s->in + at, list, 4) == 0)
            return true;
    return false;
}

/* Read the box at the offset. False if it does not fit before the end. */
static bool read_box(const struct strip *s, uint64_t at, uint64_t end, struct box *b)
{
    uint64_t size;

    if (at > end || end - at < 8)
        return false;
    size = strip_be32(s->in + at);
    *b = (struct box){.at = at, .body = at + 8};
    if (size == 1 && end - at >= 16) {
        size = (uint64_t)strip_be32(s->in + at + 8) << 32 | strip_be32(s->in + at + 12);
        b->body = at + 16;
    } else if (size == 0)
        size = end - at;
    if (size < b->body - at || size > end - at)
        return false;
    b->end = at + size;
    return true;
}

/* The first box of that type between two offsets. */
static bool find_box(const struct strip *s, uint64_t at, uint64_t end, const char *type,
                     struct box *b)
{
    while (read_box(s, at, end, b)) {
        if (type_is(s, b->at + 4, type))
            return true;
        at = b->end;
    }
    return false;
}

static void keep_box(struct strip *s, const struct box *b)
{
    strip_keep(s, b->at, b->end - b->at);
}

/* Keep the size of the box alone. */
static void blank_box(struct strip *s, const struct box *b)
{
    strip_keep(s, b->at, b->body - b->at);
    strip_patch(s, b->at + 4, "free", 4);
}

/* Read an integer of 0 to 8 bytes, and go on. False at the end of the box. */
static bool take(const struct strip *s, uint64_t *at, uint64_t end, unsigned bytes,
                 uint64_t *value)
{
    *value = 0;
    if (*at > end || end - *at < bytes)
        return false;
    for (; bytes > 0; bytes--)
        *value = *value << 8 | s->in[(*at)++];
    return true;
}

/* The version of a full box whose body begins at *at, which then follows the flags. */
static unsigned take_version(const struct strip *s, uint64_t *at, uint64_t end)
{
    uint64_t v;

    return take(s, at, end, 4, &v) ? (unsigned)(v >> 24) : 0;
}

static struct item *find_item(const struct heif *h, uint64_t id)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->items[i].id == id)
            return &h->items[i];
    return NULL;
}

/* List the items; pictures, and what pictures are made of, are to be kept. */
static void read_items(struct heif *h, const struct box *iinf)
{
    static const char pictures[] = "hvc1hev1av01avc1vvc1jpegj2k1unci"
                                   "gridiovlidentmap";
    uint64_t at = iinf->body, n, id;
    unsigned version = take_version(h->s, &at, iinf->end);
    struct box b;

    if (!take(h->s, &at, iinf->end, version == 0 ? 2 : 4, &n) ||
        strip_exceeds(h->s, n, MAX_ITEMS, "items"))
        return;
    h->items = nst_xcalloc((size_t)n + 1, sizeof *h->items);
    for (; n > 0 && read_box(h->s, at, iinf->end, &b); n--, at = b.end) {
        uint64_t in = b.body;

        version = take_version(h->s, &in, b.end);
        if (version >= 2 && take(h->s, &in, b.end, version == 2 ? 2 : 4, &id) &&
            b.end - in >= 6)
            h->items[h->count++] =
                (struct item){(uint32_t)id, in + 2, type_is(h->s, in + 2, pictures)};
    }
}

/* Do not keep the thumbnails. */
static void read_references(struct heif *h, const struct box *iref)
{
    uint64_t at = iref->body, id;
    unsigned bytes = take_version(h->s, &at, iref->end) == 0 ? 2 : 4;
    struct box b;

    for (; read_box(h->s, at, iref->end, &b); at = b.end) {
        uint64_t in = b.body;
        struct item *item;

        if (type_is(h->s, b.at + 4, "thmb") && take(h->s, &in, b.end, bytes, &id) &&
            (item = find_item(h, id)))
            item->kept = false;
    }
}

/* Keep the data of the items that iloc locates, if they are to be kept. */
static void keep_items(const struct heif *h, const struct box *iloc)
{
    struct strip *s = h->s;
    uint64_t at = iloc->body, end = iloc->end, sizes = 0, count = 0, id, method = 0,
             unused, base = 0, extents = 0, offset, length;
    unsigned version = take_version(s, &at, end), wide = version == 2 ? 4 : 2;
    unsigned offset_size, length_size, base_size, index_size;

    if (!take(s, &at, end, 2, &sizes) || !take(s, &at, end, wide, &count))
        return;
    offset_size = sizes >> 12 & 15;
    length_size = sizes >> 8 & 15;
    base_size = sizes >> 4 & 15;
    index_size = version > 0 ? sizes & 15 : 0;
    for (; count > 0 && !s->problem; count--) {
        const struct item *item;
        uint64_t from;

        if (!take(s, &at, end, wide, &id) ||
            (version > 0 && !take(s, &at, end, 2, &method)) ||
            !take(s, &at, end, 2, &unused) || !take(s, &at, end, base_size, &base) ||
            !take(s, &at, end, 2, &extents))
            return;
        item = find_item(h, id);
        from = base + ((method & 15) == 1 ? h->idat : 0);
        for (; extents > 0 && !s->problem; extents--) {
            if (!take(s, &at, end, index_size, &unused) ||
                !take(s, &at, end, offset_size, &offset) ||
                !take(s, &at, end, length_size, &length))
                return;
            if (item && item->kept && (method & 15) < 2)
                strip_keep(s, from + offset, length ? length : s->size);
        }
    }
}

/* Properties that tell who, when or where. */
static void blank_properties(struct strip *s, const struct box *iprp)
{
    static const char zeros[256];
    struct box ipco, b;

    if (!find_box(s, iprp->body, iprp->end, "ipco", &ipco))
        return;
    for (uint64_t at = ipco.body; read_box(s, at, ipco.end, &b); at = b.end)
        if (type_is(s, b.at + 4, "udesalttcrttmdftuuidcmexcmin")) {
            strip_patch(s, b.at + 4, "free", 4);
            for (uint64_t to = b.body; to < b.end; to += sizeof zeros)
                strip_patch(s, to, zeros,
                            b.end - to < sizeof zeros ? (size_t)(b.end - to)
                                                      : sizeof zeros);
        }
}

static void keep_meta(struct heif *h, const struct box *meta)
{
    struct strip *s = h->s;
    uint64_t first = meta->body + 4;
    size_t boxes = 0;
    struct box b;

    strip_keep(s, meta->at, first - meta->at);
    if (find_box(s, first, meta->end, "iinf", &b))
        read_items(h, &b);
    if (find_box(s, first, meta->end, "iref", &b))
        read_references(h, &b);
    if (find_box(s, first, meta->end, "idat", &b))
        h->idat = b.body;
    for (uint64_t at = first; read_box(s, at, meta->end, &b) && !s->problem; at = b.end)
        if (strip_exceeds(s, ++boxes, MAX_BOXES, "boxes"))
            return;
        else if (type_is(s, at + 4, "hdlrpitmiinfirefiprpilocgrpldinf"))
            keep_box(s, &b);
        else if (type_is(s, at + 4, "idat"))
            strip_keep(s, at, b.body - at);
        else
            blank_box(s, &b);
    for (size_t i = 0; i < h->count; i++)
        if (!h->items[i].kept)
            strip_patch(s, h->items[i].type_at, "free", 4);
    if (find_box(s, first, meta->end, "iprp", &b))
        blank_properties(s, &b);
    if (find_box(s, first, meta->end, "iloc", &b))
        keep_items(h, &b);
}

void strip_heif(struct strip *s)
{
    struct heif h = {.s = s};
    size_t boxes = 0;
    struct box b;

    s->in_place = true;
    for (uint64_t at = 0; read_box(s, at, s->size, &b) && !s->problem; at = b.end)
        if (strip_exceeds(s, ++boxes, MAX_BOXES, "boxes"))
            break;
        else if (type_is(s, at + 4, "ftyp"))
            keep_box(s, &b);
        else if (type_is(s, at + 4, "mdat"))
            strip_keep(s, at, b.body - at);
        else if (type_is(s, at + 4, "meta") && !h.items)
            keep_meta(&h, &b);
        else
            blank_box(s, &b);
    free(h.items);
}
