/* SPDX-License-Identifier: MIT */
/* load_internal.h - makes pictures of decoded images, for the readers of films. */
#ifndef NST_IMAGE_LOAD_INTERNAL_H
#define NST_IMAGE_LOAD_INTERNAL_H

#include <vips/vips.h>

#include "image/load.h"

struct nst_input;

/* Make a picture from a decoded image, or from a frame of one; in must still be open.
 * *out belongs to the caller: nst_picture_free(). */
enum nst_status nst_picture_from_image(struct nst_picture **out, VipsImage *decoded,
                                       struct nst_input *in,
                                       const struct nst_picture_size *size,
                                       struct nst_err *err);

#endif
