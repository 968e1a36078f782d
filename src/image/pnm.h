/* SPDX-License-Identifier: MIT */
/*
 * pnm.h - PBM, PGM, PPM, PAM and PFM pictures (see pbm(5), pgm(5), ppm(5) and pam(5) of
 * Netpbm): streams of concatenated pictures, and single files that libvips does not
 * support. Private to this folder.
 */
#ifndef NST_IMAGE_PNM_H
#define NST_IMAGE_PNM_H

#include <stdbool.h>
#include <stdio.h>

#include <vips/vips.h>

#include "base/err.h"

struct nst_picture_size;

/*
 * Read the next picture of the stream, with 8 bits per sample, or 16 if the maximum is
 * above 255; *pam says whether it is a PAM. A size that is not allowed is refused
 * before the pixels are read. *out belongs to the caller; it is NULL at the end of the
 * stream. NST_ERR_FORMAT, NST_ERR_IO, NST_ERR_ARG, NST_ERR_MEM; messages begin with
 * label.
 */
enum nst_status nst_pnm_read(VipsImage **out, bool *pam, FILE *f, const char *label,
                             const struct nst_picture_size *size, struct nst_err *err);

/* Whether bytes begin like a file that libvips does not read (PAM) or misreads: plain
 * PBM, if its digits have no blanks between them, and PFM, upside down. */
bool nst_pnm_is_needed(const void *bytes, size_t size);

/* Encode an image of 1 to 4 bands of 8 or 16 bits as PAM. *data belongs to the caller:
 * g_free(); it is NULL if memory does not suffice. */
void nst_pnm_write_pam(VipsImage *image, void **data, size_t *size);

#endif
