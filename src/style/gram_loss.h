/* SPDX-License-Identifier: MIT */
/*
 * gram_loss.h - how far one layer's Gram matrix is from the painting's:
 *   L = mean over C^2 of (G - G_style)^2,   G = F F^T / (C H W)
 * Gatys et al. 2016 eq. 3 to 5; the paper's 1/(4 N^2 M^2) is here in the 1/(C H W) of
 * the matrix and the mean.
 *
 * F F^T is a sum over pixels, so it is gathered window by window: begin, gather, ...,
 * and then add to the target or finish.
 */
#ifndef NST_STYLE_GRAM_LOSS_H
#define NST_STYLE_GRAM_LOSS_H

#include "model/vgg.h"

struct nst_gram_loss {
    struct nst_tap tap;
    int channels;
    double pixels;     /* gathered */
    double *sums;      /* F F^T over them, C x C */
    double *target;    /* G_style */
    float *derivative; /* dL/dF = derivative F, after nst_gram_loss_finish() */
};

/* A loss at tap, of that many channels. NST_ERR_MEM. Free with the clear function. */
enum nst_status nst_gram_loss_init(struct nst_gram_loss *l, struct nst_tap tap,
                                   int channels, struct nst_err *err);
void nst_gram_loss_clear(struct nst_gram_loss *l);

void nst_gram_loss_begin(struct nst_gram_loss *l);
/* Add the pixels that are seen in window of the picture that pass holds. */
void nst_gram_loss_gather(struct nst_gram_loss *l, const struct nst_pass *pass,
                          struct nst_window window);
/* What was gathered has that share in the target, which is 0 at first. */
void nst_gram_loss_add_target(struct nst_gram_loss *l, double share);
/* The loss of what was gathered; sets the derivative of weight times it. */
double nst_gram_loss_finish(struct nst_gram_loss *l, double weight);

#endif
