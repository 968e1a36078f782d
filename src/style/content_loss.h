/* SPDX-License-Identifier: MIT */
/*
 * content_loss.h - how far one layer's features are from the photograph's:
 *   L = mean over C H W of (F - F_content)^2
 * Gatys et al. 2016 eq. 1, with the mean in place of half the sum, so that the weight
 * survives a change of size.
 */
#ifndef NST_STYLE_CONTENT_LOSS_H
#define NST_STYLE_CONTENT_LOSS_H

#include "model/vgg.h"

struct nst_content_loss {
    struct nst_tap tap;
    struct nst_tensor *target; /* F_content */
};

/* Take the target from pass after its forward run. Free with the clear function. */
enum nst_status nst_content_loss_init(struct nst_content_loss *l, struct nst_tap tap,
                                      struct nst_backend *be,
                                      const struct nst_pass *pass, struct nst_err *err);
void nst_content_loss_clear(struct nst_content_loss *l, struct nst_backend *be);

/* The loss of what pass holds. */
double nst_content_loss_value(const struct nst_content_loss *l, struct nst_backend *be,
                              const struct nst_pass *pass);
/* g += weight dL/dF */
void nst_content_loss_grad(const struct nst_content_loss *l, struct nst_backend *be,
                           const struct nst_pass *pass, double weight,
                           struct nst_tensor *g);

#endif
