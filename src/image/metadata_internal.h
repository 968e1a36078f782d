/* SPDX-License-Identifier: MIT */
/* metadata_internal.h - metadata on the way from a source to a result. */
#ifndef NST_IMAGE_METADATA_INTERNAL_H
#define NST_IMAGE_METADATA_INTERNAL_H

#include <stdbool.h>

#include <vips/vips.h>

#include "image/metadata.h"
#include "image/source_info.h"

enum nst_comment_location {
    NST_COMMENT_NONE,
    NST_COMMENT_PNG,         /* a tEXt chunk with the keyword nst */
    NST_COMMENT_EXIF,        /* UserComment */
    NST_COMMENT_JPEG,        /* UserComment, if EXIF stays below 64 KiB */
    NST_COMMENT_DESCRIPTION, /* TIFF's ImageDescription */
};

/* Copy EXIF, XMP, IPTC, text, resolution and, if asked, the profile of the source. */
void nst_metadata_copy(VipsImage *to, const struct nst_source_info *from, bool profile);

/* Store text (JSON, UTF-8) at location. These places hold ASCII or Latin-1, so other
 * characters become \uXXXX, which JSON readers undo. A text that is too long for JPEG
 * is dropped. */
void nst_metadata_set_comment(VipsImage *to, enum nst_comment_location location,
                              const char *text);

#endif
