/* SPDX-License-Identifier: MIT */
/* gif.c - strips a GIF: specification of GIF89a. */
#include "config.h"

#include <string.h>

#include "serve/strip/copy.h"

#define MAX_FRAMES 100000
#define MAX_EXTENSIONS (MAX_FRAMES + 1000) /* most have one for each frame */

enum { EXTENSION = 0x21, IMAGE = 0x2c, TRAILER = 0x3b };
enum { GRAPHIC_CONTROL = 0xf9, APPLICATION = 0xff }; /* extensions */

/* Bytes of the colour table that the flags announce. */
static size_t table_size(uint8_t flags)
{
    return flags & 0x80 ? (size_t)3 << ((flags & 7) + 1) : 0;
}

/* The offset after the sub-blocks at the offset, or the end of a cut file. */
static size_t skip_blocks(const struct strip *s, size_t at)
{
    while (at < s->size && s->in[at] != 0)
        at += 1 + (size_t)s->in[at];
    return at < s->size ? at + 1 : s->size;
}

/* Whether the extension at the offset shows: its delay, its loop, its profile. */
static bool is_needed(const struct strip *s, size_t at)
{
    static const char *const names[] = {"NETSCAPE2.0", "ANIMEXTS1.0", "ICCRGBG1012"};

    if (s->in[at + 1] == GRAPHIC_CONTROL)
        return true;
    if (s->in[at + 1] != APPLICATION || !strip_has(s, at, 3 + 11))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (memcmp(s->in + at + 3, names[i], 11) == 0)
            return true;
    return false;
}

void strip_gif(struct strip *s)
{
    size_t at = 13, frames = 0, extensions = 0, next;

    if (s->size < at)
        return;
    at += table_size(s->in[10]);
    strip_keep(s, 0, at);
    for (; strip_has(s, at, 10) && !s->problem; at = next)
        if (s->in[at] == IMAGE) {
            next = skip_blocks(s, at + 10 + table_size(s->in[at + 9]) + 1);
            strip_keep(s, at, next - at);
            strip_exceeds(s, ++frames, MAX_FRAMES, "frames");
        } else if (s->in[at] == EXTENSION) {
            next = skip_blocks(s, at + 2);
            if (is_needed(s, at))
                strip_keep(s, at, next - at);
            strip_exceeds(s, ++extensions, MAX_EXTENSIONS, "extensions");
        } else
            break;
    strip_append(s, &(uint8_t){TRAILER}, 1);
}
