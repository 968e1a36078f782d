/* SPDX-License-Identifier: MIT */
/* jpeg.h - whether bytes may be a JPEG file, as the previews of styles are. */
#ifndef NST_MODEL_JPEG_H
#define NST_MODEL_JPEG_H

#include <stdbool.h>
#include <stddef.h>

/* Looks at the first and the last marker. */
static inline bool nst_looks_like_jpeg(const void *bytes, size_t size)
{
    const unsigned char *b = bytes;

    return size > 4 && b[0] == 0xff && b[1] == 0xd8 && b[2] == 0xff &&
           b[size - 2] == 0xff && b[size - 1] == 0xd9;
}

#endif
