/* SPDX-License-Identifier: MIT */
/* thumbnail.h - small JPEG copies of pictures. */
#ifndef NST_IMAGE_THUMBNAIL_H
#define NST_IMAGE_THUMBNAIL_H

#include "image/picture.h"

/* Encode the picture at path, composited over white, as a JPEG without metadata whose
 * longest side is at most longest pixels. *bytes belongs to the caller: free(). Errors:
 * see nst_picture_load(). */
enum nst_status nst_picture_thumbnail_jpeg(void **bytes, size_t *size, const char *path,
                                           int longest, struct nst_err *err);

#endif
