/* SPDX-License-Identifier: MIT */
/*
 * source_info.h - what load.c keeps of a source and save.c puts back; private to this
 * folder, with the colour conversions that both directions share (colour.c).
 */
#ifndef NST_IMAGE_SOURCE_INFO_H
#define NST_IMAGE_SOURCE_INFO_H

#include <stdbool.h>
#include <stddef.h>

#include <vips/vips.h>

#include "base/err.h"

enum nst_profile {
    NST_PROFILE_NONE,  /* none, or one that is broken: nothing is embedded */
    NST_PROFILE_SRGB,  /* says sRGB: embedded again, no conversion either way */
    NST_PROFILE_RGB,   /* another RGB space: the result goes back to it */
    NST_PROFILE_OTHER, /* CMYK or grey: the result is sRGB and says so */
};

struct nst_source_info {
    VipsImage *meta;  /* 1 x 1, only for its metadata and resolution */
    float *alpha;     /* height x width, 0 to 1; NULL for an opaque picture */
    bool transparent; /* has alpha, of which the header alone was read */
    int depth;        /* bits of a sample: 8, or 16 for everything wider */
    enum nst_profile profile;
};

/* Planes of n pixels, as they show on paper of that grey. */
void nst_pixels_flatten(float *rgb, const float *alpha, size_t n, float background);

struct nst_input;
struct nst_picture;
struct nst_picture_size;

/* Refuse what is too small, or has too many pixels as it is or at the size asked. */
enum nst_status nst_picture_check_size(const char *label, int w, int h,
                                       const struct nst_picture_size *size,
                                       struct nst_err *err);
/* What w x h become at the size asked. */
void nst_picture_target_size(const struct nst_picture_size *size, int *w, int *h);
/* Decode all of in: from here on nothing depends on the file. */
enum nst_status nst_picture_decode(VipsImage **out, struct nst_input *in,
                                   const struct nst_picture_size *size,
                                   struct nst_err *err);
/* The picture that was decoded so, or a frame of it. */
enum nst_status nst_picture_from_image(struct nst_picture **out, VipsImage *decoded,
                                       const struct nst_input *in,
                                       const struct nst_picture_size *size,
                                       struct nst_err *err);

/* The profile that in, colour bands alone, carries. */
enum nst_profile nst_colour_profile(VipsImage *in);

/*
 * in, colour bands alone, as one or three bands of gamma-encoded sRGB. An 8 or 16 bit
 * picture without a profile passes untouched; a converted one is float, 0 to 1.
 * 0, or -1 with libvips' error set. *out belongs to the caller.
 */
int nst_colour_to_srgb(VipsImage *in, enum nst_profile profile, VipsImage **out);

/* n pixels in three planes of sRGB to the space of the profile that meta carries, in
 * place. -1 if that cannot be. */
int nst_colour_from_srgb(float *rgb, size_t n, VipsImage *meta);

enum nst_comment_location {
    NST_COMMENT_NONE,
    NST_COMMENT_PNG,         /* a tEXt chunk with the keyword nst */
    NST_COMMENT_EXIF,        /* UserComment */
    NST_COMMENT_JPEG,        /* UserComment, where all of EXIF is below 64 KiB */
    NST_COMMENT_DESCRIPTION, /* TIFF's ImageDescription */
};

/* EXIF, XMP, IPTC, text and resolution of the source; the profile only if asked. */
void nst_metadata_copy(VipsImage *to, const struct nst_source_info *from, bool profile);

/*
 * The text (JSON, UTF-8) where the format keeps such a thing. These places hold ASCII
 * or Latin-1, so other characters become \uXXXX, which JSON readers undo. A text too
 * long for the format is left out.
 */
void nst_metadata_set_comment(VipsImage *to, enum nst_comment_location location,
                              const char *text);

/* The first useful line of libvips' error text, which is cleared. */
const char *nst_vips_error(char *text, size_t size);

#endif
