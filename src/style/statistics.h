/* SPDX-License-Identifier: MIT */
/*
 * statistics.h - what the style losses want to know of one layer's features F, each
 * pixel p counted by a guide t (the square of the guidance channel of Gatys et al.
 * 2017, eq. 4; without one, t is 1): products = sum_p t F F^T,   sums = sum_p t F,
 * pixels = sum_p t These are sums over pixels, so they are gathered window by window,
 * and those of a region's pixels do not depend on how many there are once they are
 * divided by them.
 */
#ifndef NST_STYLE_STATISTICS_H
#define NST_STYLE_STATISTICS_H

#include "model/vgg.h"
#include "style/guidance.h"
#include "style/tiling.h"

/* Sums where they are made: the backend's numbers. */
struct nst_device_sums {
    double *products, *sums;
};

struct nst_statistics {
    struct nst_layer layer;
    int channels;
    double pixels;    /* counted by the guide */
    double area;      /* all of them; 0: nothing was gathered yet */
    double *products; /* C x C, once they are read */
    double *sums;     /* C; NULL if nobody wants them */
    struct nst_backend *be;
    struct nst_device_sums device; /* on a CPU, the same */
};

/* For a layer of that many channels, to be gathered on be; NULL: not at all.
 * NST_ERR_MEM. Free with the clear function, after a failure too. */
enum nst_status nst_statistics_init(struct nst_statistics *s, struct nst_backend *be,
                                    struct nst_layer layer, int channels,
                                    bool with_sums, struct nst_err *err);
void nst_statistics_clear(struct nst_statistics *s);

/* to, made for the same layer, becomes as from, as it was read. */
void nst_statistics_copy(struct nst_statistics *to, const struct nst_statistics *from);

void nst_statistics_reset(struct nst_statistics *s);
/* Add the pixels that are seen in window of the picture that pass holds. guide is
 * turned to it; NULL: 1. */
void nst_statistics_accumulate(struct nst_statistics *s,
                               const struct nst_activations *acts,
                               struct nst_window window,
                               const struct nst_guidance *guidance);
/* Read what was gathered. */
void nst_statistics_download(struct nst_statistics *s);

/* Those of count layers of a picture rgb (3 x height x width of the tiling) without the
 * outermost border pixels on each side, begun anew and read; keep as of
 * nst_activations_new(). Its errors. */
enum nst_status nst_statistics_compute(struct nst_statistics *const s[], int count,
                                       struct nst_vgg *v, struct nst_tiling tiling,
                                       int border, const float *rgb,
                                       const bool keep[NST_VGG_CONVS],
                                       struct nst_err *err);

#endif
