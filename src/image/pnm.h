/* SPDX-License-Identifier: MIT */
/*
 * pnm.h - PGM, PPM and PAM pictures (pgm(5), ppm(5), pam(5) of Netpbm), the binary
 * ones, one behind the other in a stream; and single PAMs, which libvips does not know.
 * Private to this folder.
 */
#ifndef NST_IMAGE_PNM_H
#define NST_IMAGE_PNM_H

#include <stdbool.h>
#include <stdio.h>

#include <vips/vips.h>

#include "base/err.h"

struct nst_picture_size;

/*
 * Read the next picture of the stream, with 8 bits a sample or, for a maximum above
 * 255, 16; *pam says whether it is a PAM. *out belongs to the caller; it is NULL where
 * the stream ends. What size does not allow is refused before it is read.
 * NST_ERR_FORMAT, NST_ERR_IO, NST_ERR_ARG, NST_ERR_MEM; messages begin with label.
 */
enum nst_status nst_pnm_read(VipsImage **out, bool *pam, FILE *f, const char *label,
                             const struct nst_picture_size *size, struct nst_err *err);

/* Is a PAM what begins so? */
bool nst_pnm_is_pam(const void *bytes, size_t size);

/* The bytes of a PAM of an image of 1 to 4 bands of 8 or 16 bits; g_free(*data) is the
 * caller's. NULL if memory does not suffice. */
void nst_pnm_write_pam(VipsImage *image, void **data, size_t *size);

#endif
