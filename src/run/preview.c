/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/preview.h"

#include <stdlib.h>

#include "image/pixels.h"
#include "image/save.h"
#include "run/series.h"
#include "style/colour_transfer.h"

enum nst_status nst_preview_write(const struct nst_preview *v,
                                  const struct nst_params *p,
                                  const struct nst_picture *content,
                                  struct nst_err *err)
{
    int h = content->height, w = content->width;
    float *rgb;
    enum nst_status st = nst_pixels_resize(&rgb, v->image, h, w, err);
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
