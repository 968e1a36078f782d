/* SPDX-License-Identifier: MIT */
/* load_internal.h - the steps of loading, for the readers of films. */
#ifndef NST_IMAGE_LOAD_INTERNAL_H
#define NST_IMAGE_LOAD_INTERNAL_H

#include <vips/vips.h>

#include "image/load.h"

struct nst_input;

/* Decode all of in, with no more pixels than size needs; *out belongs to the caller and
 * no longer depends on the file. */
enum nst_status nst_picture_decode(VipsImage **out, struct nst_input *in,
                                   const struct nst_picture_size *size,
                                   struct nst_err *err);
/*
 * Open an animation, or a picture, to decode its frames one after the other. An
 * animation is first decoded as a whole, so that a damaged one fails at once. *out
 * belongs to the caller, and in must outlive it. *bytes is the memory that reading a
 * frame takes. Errors: see nst_picture_load().
 */
enum nst_status nst_picture_open_frames(VipsImage **out, size_t *bytes,
                                        struct nst_input *in,
                                        const struct nst_picture_size *size,
                                        struct nst_err *err);
/* Decode the frame with this number, from 0 on, with no more pixels than the size needs
 * that the animation was opened for. Call it once for each frame, in order. *out
 * belongs to the caller. */
enum nst_status nst_picture_decode_frame(VipsImage **out, VipsImage *frames, int number,
                                         const struct nst_input *in,
                                         struct nst_err *err);
/* Make a picture from a decoded image, or from a frame of one; in must still be open.
 * *out belongs to the caller: nst_picture_free(). */
enum nst_status nst_picture_from_image(struct nst_picture **out, VipsImage *decoded,
                                       struct nst_input *in,
                                       const struct nst_picture_size *size,
                                       struct nst_err *err);

#endif
