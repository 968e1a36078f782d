/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/preview.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "image/pixels.h"
#include "image/save.h"
#include "run/series.h"
#include "style/colour_transfer.h"

/* Crop the border and resize the planes to the size of the result. */
static enum nst_status resize_to_content(const struct nst_preview *v,
                                         const struct nst_picture *content, float **out,
                                         struct nst_err *err)
{
    int h = v->image.height, w = v->image.width;
    size_t n = 3 * nst_area(h + 2 * v->border, w + 2 * v->border);
    enum nst_status st = nst_floats_new(out, n, 1, 1, err);
    float *cropped = *out;

    if (st != NST_OK)
        return st;
    memcpy(cropped, v->image.rgb, n * sizeof *cropped);
    nst_pixels_crop(cropped, 3, (struct nst_size){h, w}, v->border);
    if (h == content->height && w == content->width)
        return NST_OK;
    st = nst_pixels_resize(out, (struct nst_image){cropped, h, w}, content->height,
                           content->width, err);
    free(cropped);
    return st;
}

enum nst_status nst_preview_write(const struct nst_preview *v,
                                  const struct nst_params *p,
                                  const struct nst_picture *content,
                                  struct nst_err *err)
{
    int h = content->height, w = content->width;
    float *rgb;
    enum nst_status st = resize_to_content(v, content, &rgb, err);
    char *path;

    if (st != NST_OK)
        return st;
    if (p->colour == NST_COLOUR_CONTENT)
        nst_colour_transfer_luma(rgb, content->rgb, (size_t)h * (size_t)w);
    path = nst_series_file_name(p->preview, v->step, v->scale);
    st = nst_pixels_write(path, (struct nst_image){rgb, h, w}, err);
    free(path);
    free(rgb);
    return st;
}
