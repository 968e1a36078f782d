/* SPDX-License-Identifier: MIT */
/*
 * gram_loss.h - distance of one layer's Gram matrix from the style image's:
 *   L = mean over C^2 of (G - G_style)^2,   G = products / (C pixels)
 * Gatys et al. 2016 eq. 3 to 5; the 1/(C pixels) of G and the mean replace the paper's
 * 1/(4 N^2 M^2). For a region, G is the guided Gram matrix of Gatys et al. 2017, eq. 5;
 * the division by pixels stands for their normalised guidance channels.
 */
#ifndef NST_STYLE_GRAM_LOSS_H
#define NST_STYLE_GRAM_LOSS_H

#include "style/statistics.h"

struct nst_gram_loss {
    struct nst_backend *be;
    int channels;
    struct nst_buffer *target; /* G_style, C x C doubles */
    /* dL/dF = derivative F where the mask is 1; floats */
    struct nst_buffer *derivative;
};

/* NST_ERR_MEM. Free with the clear function, after a failure too. */
enum nst_status nst_gram_loss_init(struct nst_gram_loss *l, struct nst_backend *be,
                                   int channels, struct nst_err *err);
void nst_gram_loss_clear(struct nst_gram_loss *l);

/* Add weight times the downloaded G of s to the target, which starts at 0. */
void nst_gram_loss_add_target(struct nst_gram_loss *l, const struct nst_statistics *s,
                              double weight);
/* Set sum to C^2 times the loss of s, and the derivative to that of weight times the
 * loss. Without pixels both are 0. */
void nst_gram_loss_evaluate(struct nst_gram_loss *l, const struct nst_statistics *s,
                            double weight, struct nst_scalar sum);

#endif
