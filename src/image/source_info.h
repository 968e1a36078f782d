/* SPDX-License-Identifier: MIT */
/*
 * source_info.h - the metadata of a source, which load.c keeps and save.c restores, and
 * the colour conversions that both share (colour.c). Private to this folder.
 */
#ifndef NST_IMAGE_SOURCE_INFO_H
#define NST_IMAGE_SOURCE_INFO_H

#include <stdbool.h>
#include <stddef.h>

#include <vips/vips.h>

#include "base/err.h"

enum nst_profile {
    NST_PROFILE_NONE,  /* none, or a broken one: nothing is embedded */
    NST_PROFILE_SRGB,  /* equals sRGB: embedded again, no conversion */
    NST_PROFILE_RGB,   /* another RGB space: the result is converted back to it */
    NST_PROFILE_OTHER, /* CMYK or grey: the result is tagged as sRGB */
};

struct nst_source_info {
    VipsImage *meta;  /* 1 x 1: metadata and resolution only */
    float *alpha;     /* height x width, 0 to 1, owned; NULL if opaque */
    bool transparent; /* has alpha, but only the header was read */
    int depth;        /* bits per sample: 8, or 16 for anything deeper */
    enum nst_profile profile;
};

/* Composite planes of n pixels over a grey background, 0 to 1. */
void nst_pixels_flatten(float *rgb, const float *alpha, size_t n, float background);

struct nst_input;
struct nst_picture;
struct nst_picture_size;

/* Decode all of in; *out belongs to the caller and no longer depends on the file. */
enum nst_status nst_picture_decode(VipsImage **out, struct nst_input *in,
                                   const struct nst_picture_size *size,
                                   struct nst_err *err);
/* Make a picture from a decoded image, or from a frame of one. *out belongs to the
 * caller: nst_picture_free(). */
enum nst_status nst_picture_from_image(struct nst_picture **out, VipsImage *decoded,
                                       const struct nst_input *in,
                                       const struct nst_picture_size *size,
                                       struct nst_err *err);

/* Classify the profile of in, which has colour bands only. */
enum nst_profile nst_colour_profile(VipsImage *in);

/*
 * Convert in (colour bands only) to one or three bands of gamma-encoded sRGB. 8-bit and
 * 16-bit pictures that need no conversion pass unchanged; a profile's conversion gives
 * floats, 0 to 1. Returns 0, or -1 with libvips' error set. *out belongs to the caller.
 */
int nst_colour_to_srgb(VipsImage *in, enum nst_profile profile, VipsImage **out);

/* Convert n pixels in three planes of sRGB to the profile embedded in meta, in place.
 * Returns 0, or -1 if that is impossible. */
int nst_colour_from_srgb(float *rgb, size_t n, VipsImage *meta);

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

/* Move the first useful line of libvips' error to text, and return text. */
const char *nst_vips_error(char *text, size_t size);

#endif
