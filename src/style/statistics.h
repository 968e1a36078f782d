/* SPDX-License-Identifier: MIT */
/*
 * statistics.h - statistics of one layer's features F for the style losses:
 *   products = sum_p t F F^T,   sums = sum_p t F,   pixels = sum_p t
 * t is the guidance mask at pixel p (the square of the guidance channel of Gatys et al.
 * 2017, eq. 4), or 1. Sums over pixels can be accumulated window by window. Divided by
 * pixels, they do not depend on a region's size.
 */
#ifndef NST_STYLE_STATISTICS_H
#define NST_STYLE_STATISTICS_H

#include "model/vgg.h"
#include "style/guidance.h"
#include "style/tiling.h"

struct nst_statistics {
    struct nst_layer layer;
    int channels;
    double pixels;    /* sum of the mask */
    double area;      /* pixels without the mask; 0: nothing accumulated yet */
    double *products; /* C x C, valid after nst_statistics_download() */
    double *sums;     /* C, likewise; NULL unless asked for */
    struct nst_backend *be;
    struct nst_layer_sums device; /* on a CPU, the arrays above as buffers */
};

/* be is the backend to accumulate on; NULL: host arrays only. NST_ERR_MEM. Free with
 * the clear function, after a failure too. */
enum nst_status nst_statistics_init(struct nst_statistics *s, struct nst_backend *be,
                                    struct nst_layer layer, int channels,
                                    bool with_sums, struct nst_err *err);
void nst_statistics_clear(struct nst_statistics *s);

/* Copy the downloaded values. Both are for the same layer. */
void nst_statistics_copy(struct nst_statistics *to, const struct nst_statistics *from);

void nst_statistics_reset(struct nst_statistics *s);
/* Add the features in a window of the tile's pixels. guidance has this tile selected;
 * NULL: no mask. */
void nst_statistics_accumulate(struct nst_statistics *s,
                               const struct nst_activations *acts,
                               struct nst_window window,
                               const struct nst_guidance *guidance);
/* Copy the sums to the host. */
void nst_statistics_download(struct nst_statistics *s);

/* Compute and download the statistics of count layers of a picture rgb (3 x height x
 * width of the tiling). Errors as for nst_activations_new(). */
enum nst_status nst_statistics_compute(struct nst_statistics *const s[], int count,
                                       struct nst_vgg *v, struct nst_tiling tiling,
                                       const float *rgb, struct nst_err *err);

#endif
