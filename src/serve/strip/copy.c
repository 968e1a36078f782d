/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/strip/copy.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

/* Write at an offset, or with -1 at the end of the copy. */
static void write_at(struct strip *s, const uint8_t *p, size_t n, off_t at)
{
    s->written += at < 0 ? n : 0;
    while (n > 0 && s->fd >= 0 && !s->write_error) {
        ssize_t done = at < 0 ? write(s->fd, p, n) : pwrite(s->fd, p, n, at);

        if (done > 0) {
            p += done;
            n -= (size_t)done;
            at += at < 0 ? 0 : done;
        } else if (errno != EINTR)
            s->write_error = errno;
    }
}

void strip_flush(struct strip *s)
{
    write_at(s, s->in + s->from, s->to - s->from, s->in_place ? (off_t)s->from : -1);
    s->from = s->to;
}

void strip_keep(struct strip *s, uint64_t offset, uint64_t n)
{
    if (offset >= s->size)
        return;
    if (n > s->size - offset)
        n = s->size - offset;
    if (offset != s->to) {
        strip_flush(s);
        s->from = offset;
    }
    s->to = offset + n;
    s->kept += n;
    if (s->kept > 2 * (uint64_t)s->size && !s->problem) /* a copy could take hours */
        s->problem = nst_xstrdup("has parts that overlap");
}

void strip_append(struct strip *s, const void *bytes, size_t n)
{
    strip_flush(s);
    write_at(s, bytes, n, -1);
}

void strip_patch(struct strip *s, uint64_t offset, const void *bytes, size_t n)
{
    strip_flush(s);
    write_at(s, bytes, n, (off_t)offset);
}

bool strip_exceeds(struct strip *s, uint64_t count, uint64_t max, const char *parts)
{
    if (count > max && !s->problem)
        s->problem =
            nst_xasprintf("has more than %" PRIu64 " %s: save it anew", max, parts);
    return s->problem != NULL;
}

size_t strip_orientation(const uint8_t *exif, size_t n, uint8_t out[STRIP_EXIF_SIZE])
{
    static const uint8_t block[STRIP_EXIF_SIZE] = {'M', 'M', 0,    42, 0, 0, 0, 8, 0,
                                                   1,   1,   0x12, 0,  3, 0, 0, 0, 1};
    bool big = n >= 8 && exif[0] == 'M';
    uint32_t at, count;

    if (n < 8)
        return 0;
    at = big ? strip_be32(exif + 4) : strip_le32(exif + 4);
    if (at > n - 2)
        return 0;
    count = big ? strip_be16(exif + at) : strip_le16(exif + at);
    for (at += 2; count > 0 && at + 12 <= n; count--, at += 12) {
        const uint8_t *entry = exif + at;
        uint32_t value = big ? strip_be16(entry + 8) : strip_le16(entry + 8);

        if ((big ? strip_be16(entry) : strip_le16(entry)) != 0x112)
            continue;
        if (value < 2 || value > 8)
            return 0;
        memcpy(out, block, sizeof block);
        out[19] = (uint8_t)value;
        return sizeof block;
    }
    return 0;
}
