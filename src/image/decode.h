/* SPDX-License-Identifier: MIT */
/* decode.h - opens picture files and decodes them to libvips images, with no more
 * pixels and memory than needed. */
#ifndef NST_IMAGE_DECODE_H
#define NST_IMAGE_DECODE_H

#include <vips/vips.h>

#include "image/load.h"

struct nst_input;

/* NST_ERR_FORMAT, or NST_ERR_MEM, with the reason that libvips gives. */
enum nst_status nst_picture_damaged(const struct nst_input *in, struct nst_err *err);

/* Pixels of the file per decoded pixel, in both directions, for a picture of this size.
 * Enough decoded pixels remain for the Lanczos kernel. Small files are decoded whole,
 * unless they have many frames. */
int nst_picture_shrink_factor(const struct nst_input *in,
                              const struct nst_picture_size *size);

/*
 * Open in, note its size and the factor to shrink by, and refuse what takes more than
 * size->max_bytes of memory. *bytes is the memory that reading takes, of an animation
 * reading one frame. *out belongs to the caller. Errors: see nst_picture_load().
 */
enum nst_status nst_picture_open_affordable(VipsImage **out, size_t *bytes,
                                            struct nst_input *in,
                                            const struct nst_picture_size *size,
                                            struct nst_err *err);

/* The frames of an animation; 1 for any other picture. */
int nst_picture_count_frames(VipsImage *header);

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

#endif
