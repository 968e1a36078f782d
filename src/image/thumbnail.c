/* SPDX-License-Identifier: MIT */
/* thumbnail.c - encodes a small version of a picture as JPEG. */
#include "config.h"

#include "image/thumbnail.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <vips/vips.h>

#include "base/alloc.h"
#include "image/colour.h"
#include "image/load.h"
#include "image/pixels.h"
#include "image/source_info.h"

#define QUALITY 75
#define MAX_PIXELS 200000000

static enum nst_status fit_within(float **rgb, int *w, int *h,
                                  const struct nst_picture *p, int longest,
                                  struct nst_err *err)
{
    int side = nst_longest(p->height, p->width);
    double factor = side > longest ? (double)longest / side : 1;

    *w = (int)fmax(1, rint(p->width * factor));
    *h = (int)fmax(1, rint(p->height * factor));
    return nst_pixels_resize(rgb, nst_picture_image(p), *h, *w, err);
}

/* Encode planes of 0 to 1 as JPEG. *data belongs to the caller: g_free(). */
static int encode(const float *rgb, int w, int h, void **data, size_t *size)
{
    size_t n = (size_t)w * (size_t)h;
    unsigned char *samples = nst_xcalloc(n, 3);
    VipsImage *image;
    int failed = -1;

    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++)
            samples[3 * i + c] = (unsigned char)(255 * (double)rgb[c * n + i] + 0.5);
    image = vips_image_new_from_memory(samples, 3 * n, w, h, 3, VIPS_FORMAT_UCHAR);
    if (image) {
        image->Type = VIPS_INTERPRETATION_sRGB;
        failed = vips_jpegsave_buffer(image, data, size, "Q", QUALITY, "strip", TRUE,
                                      "optimize_coding", TRUE, NULL);
        g_object_unref(image);
    }
    free(samples);
    return failed;
}

enum nst_status nst_picture_thumbnail_jpeg(void **bytes, size_t *size, const char *path,
                                           int longest, struct nst_err *err)
{
    const struct nst_picture_size native = {.max_pixels = MAX_PIXELS};
    struct nst_picture *p;
    enum nst_status st = nst_picture_load(&p, path, &native, err);
    float *rgb = NULL;
    void *data = NULL;
    char reason[256];
    int w, h;

    *bytes = NULL;
    if (st != NST_OK)
        return st;
    nst_picture_flatten(p, NST_WHITE);
    st = fit_within(&rgb, &w, &h, p, longest, err);
    nst_picture_free(p);
    if (st == NST_OK && encode(rgb, w, h, &data, size))
        st = nst_err_set(err, NST_ERR_IO, "%s: cannot be encoded as JPEG: %s", path,
                         nst_vips_error(reason, sizeof reason));
    if (st == NST_OK) {
        *bytes = nst_xcalloc(*size, 1);
        memcpy(*bytes, data, *size);
    }
    g_free(data);
    free(rgb);
    return st;
}
