/* SPDX-License-Identifier: MIT */
/*
 * region.h - the pixels that the plug-in works on: those of a layer or a channel, or
 * their part in the selection.
 *
 * nst gets sRGB of 8 or 16 bits, or floats in linear light or sRGB, as near to the
 * precision of the image as there is. An image with a colour profile is converted to
 * sRGB and back.
 */
#ifndef NST_GIMP_REGION_H
#define NST_GIMP_REGION_H

#include <gegl.h>

#include "nst.h"

struct nst_gimp_region {
    gint32 image, drawable;
    GeglRectangle area;         /* within the drawable */
    const Babl *format;         /* of picture, or of the pixels in the profile */
    gboolean profile;           /* the image has a profile other than sRGB */
    struct nst_samples picture; /* also receives the result; data is owned */
    struct nst_samples keep;    /* white outside of the selection; no data: none */
};

/*
 * Read the region that a drawable has in the selection of its image. NST_ERR_ARG: the
 * drawable has no pixels of its own, or none in the selection. NST_ERR_MEM. Call
 * nst_gimp_region_clear() in any case.
 */
enum nst_status nst_gimp_region_read(struct nst_gimp_region *r, gint32 image,
                                     gint32 drawable, struct nst_err *err);
void nst_gimp_region_clear(struct nst_gimp_region *r);

/*
 * Make *out 8-bit samples, whose data the caller frees with g_free(), of a part of the
 * region at a scale: the picture, or what to keep. at is relative to the region, in
 * pixels of the scale.
 */
void nst_gimp_region_scaled(const struct nst_gimp_region *r, gboolean keep,
                            const GeglRectangle *at, double scale,
                            struct nst_samples *out);

/* The format of the pixels that nst gets. */
const Babl *nst_gimp_region_format(const struct nst_gimp_region *r);

/* Convert pixels of the region between the profile of the image and sRGB, in place. */
void nst_gimp_region_convert(const struct nst_gimp_region *r, void *pixels,
                             gboolean back);

#endif
