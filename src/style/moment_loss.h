/* SPDX-License-Identifier: MIT */
/*
 * moment_loss.h - distance of the channel means and standard deviations of a layer from
 * the style image's:
 *   L = mean over C of (mean - mean_style)^2 + (deviation - deviation_style)^2
 * Li, Wang, Liu and Hou 2017, eq. 10 (statistics matching). It steadies colours and
 * contrast, which a Gram matrix contains only as one term among many.
 */
#ifndef NST_STYLE_MOMENT_LOSS_H
#define NST_STYLE_MOMENT_LOSS_H

#include "style/statistics.h"

struct nst_moment_loss {
    struct nst_backend *be;
    int channels;
    struct nst_buffer *target; /* as in struct nst_layer_moments */
    struct nst_buffer *offset; /* constant part of dL/dF, C floats */
};

/* NST_ERR_MEM. Free with the clear function, after a failure too. */
enum nst_status nst_moment_loss_init(struct nst_moment_loss *l, struct nst_backend *be,
                                     int channels, struct nst_err *err);
void nst_moment_loss_clear(struct nst_moment_loss *l);

/* Add weight times the downloaded moments of s to the targets, which start at 0. */
void nst_moment_loss_add_target(struct nst_moment_loss *l,
                                const struct nst_statistics *s, double weight);
/* Set sum to C times the loss of s. The gradient of weight times the loss is slope F +
 * offset where the mask is 1; the diagonal matrix slope is added to derivative (C x C).
 * Without pixels nothing changes. */
void nst_moment_loss_evaluate(struct nst_moment_loss *l, const struct nst_statistics *s,
                              double weight, struct nst_buffer *derivative,
                              struct nst_scalar sum);

#endif
