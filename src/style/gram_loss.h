/* SPDX-License-Identifier: MIT */
/*
 * gram_loss.h - how far one layer's Gram matrix is from the painting's:
 *   L = mean over C^2 of (G - G_style)^2,   G = products / (C pixels)
 * Gatys et al. 2016 eq. 3 to 5; the paper's 1/(4 N^2 M^2) is here in the 1/(C pixels)
 * of the matrix and the mean. For a region it is the guided Gram matrix of Gatys et al.
 * 2017, eq. 5, whose normalised guidance channels make the division by pixels.
 */
#ifndef NST_STYLE_GRAM_LOSS_H
#define NST_STYLE_GRAM_LOSS_H

#include "style/statistics.h"

/* The matrices are the backend's numbers. */
struct nst_gram_loss {
    struct nst_backend *be;
    int channels;
    double *target;    /* G_style, C x C */
    float *derivative; /* dL/dF = derivative F at a pixel that counts once */
};

/* NST_ERR_MEM. Free with the clear function, after a failure too. */
enum nst_status nst_gram_loss_init(struct nst_gram_loss *l, struct nst_backend *be,
                                   int channels, struct nst_err *err);
void nst_gram_loss_clear(struct nst_gram_loss *l);

/* What was read has that share in the target, which is 0 at first. */
void nst_gram_loss_add_target(struct nst_gram_loss *l, const struct nst_statistics *s,
                              double weight);
/* *sum becomes C^2 times the loss of what was gathered, and the derivative that of
 * weight times the loss. Of no pixels both are 0. */
void nst_gram_loss_evaluate(struct nst_gram_loss *l, const struct nst_statistics *s,
                            double weight, double *sum);

#endif
