/* SPDX-License-Identifier: MIT */
/* load.h - reads pictures. */
#ifndef NST_IMAGE_LOAD_H
#define NST_IMAGE_LOAD_H

#include "image/picture.h"

/*
 * Read the picture at path ("-": standard input), or the first page of several. Applies
 * the orientation, converts the profile to sRGB and resizes as requested. Without
 * conversion and resizing, an 8-bit sample v is exactly v/255.0f and a 16-bit one
 * v/65535.0f. Vector images (SVG, PDF) are rendered at the requested size.
 * *out belongs to the caller: nst_picture_free(). On failure *out is NULL. Errors name
 * the path: NST_ERR_ARG (no such file), NST_ERR_IO, NST_ERR_FORMAT (also too small, or
 * more than max_pixels), NST_ERR_MEM.
 */
enum nst_status nst_picture_load(struct nst_picture **out, const char *path,
                                 const struct nst_picture_size *size,
                                 struct nst_err *err);

/* Replace the sides *w x *h of a picture by those that it is resized to. */
void nst_picture_target_size(const struct nst_picture_size *size, int *w, int *h);

#endif
