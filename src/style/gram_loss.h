/* SPDX-License-Identifier: MIT */
/*
 * gram_loss.h - how far one layer's Gram matrix is from the painting's:
 *   L = mean over C^2 of (G - G_style)^2,   G = F F^T / (C H W)
 * Gatys et al. 2016 eq. 3 to 5; the paper's 1/(4 N^2 M^2) is here in the 1/(C H W) of
 * the matrix and the mean.
 */
#ifndef NST_STYLE_GRAM_LOSS_H
#define NST_STYLE_GRAM_LOSS_H

#include "model/vgg.h"

struct nst_gram_loss {
    struct nst_tap tap;
    int channels;
    float *target; /* G_style, C x C */
    float *gram;   /* G of the last nst_gram_loss_value(), C x C; later dL/dG */
};

/* Take the target from pass after its forward run. Free with the clear function. */
enum nst_status nst_gram_loss_init(struct nst_gram_loss *l, struct nst_tap tap,
                                   struct nst_backend *be, const struct nst_pass *pass,
                                   struct nst_err *err);
void nst_gram_loss_clear(struct nst_gram_loss *l);

/* The loss of what pass holds; l remembers its Gram matrix. */
double nst_gram_loss_value(struct nst_gram_loss *l, struct nst_backend *be,
                           const struct nst_pass *pass);
/* g += weight dL/dF, for the same pass, once after each nst_gram_loss_value(). */
void nst_gram_loss_grad(struct nst_gram_loss *l, struct nst_backend *be,
                        const struct nst_pass *pass, double weight,
                        struct nst_tensor *g);

#endif
