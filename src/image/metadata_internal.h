/* SPDX-License-Identifier: MIT */
/* metadata_internal.h - metadata on the way from a source to a result. */
#ifndef NST_IMAGE_METADATA_INTERNAL_H
#define NST_IMAGE_METADATA_INTERNAL_H

#include <stdbool.h>

#include <vips/vips.h>

#include "image/metadata.h"
#include "image/source_info.h"
#include "options/params.h"

enum nst_comment_location {
    NST_COMMENT_NONE,
    NST_COMMENT_PNG,         /* a tEXt chunk with the keyword nst */
    NST_COMMENT_EXIF,        /* UserComment, or another tag if that is taken */
    NST_COMMENT_JPEG,        /* the same, if EXIF stays below 64 KiB */
    NST_COMMENT_DESCRIPTION, /* TIFF's ImageDescription */
};

/* Copy EXIF, XMP, IPTC, text, as far as mode allows, resolution and, if asked, the
 * profile of the source. */
void nst_metadata_copy(VipsImage *to, const struct nst_source_info *from, bool profile,
                       enum nst_metadata_mode mode);

/* Store text (JSON, UTF-8) at location, beside the comments of others. These places
 * hold ASCII or Latin-1, so other characters become \uXXXX, which JSON readers undo.
 * Returns false if the text is dropped, because it is too long for JPEG. */
bool nst_metadata_set_comment(VipsImage *to, enum nst_comment_location location,
                              const char *text);

/* Names of the blocks of metadata that image has and the encoded file lacks: a new
 * string; NULL if it has all. */
char *nst_metadata_list_lost(VipsImage *image, const void *data, size_t size);

#endif
