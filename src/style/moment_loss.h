/* SPDX-License-Identifier: MIT */
/*
 * moment_loss.h - how far the mean and the standard deviation of each channel of a
 * layer are from the painting's: L = mean over C of (mean - mean_style)^2 + (deviation
 * - deviation_style)^2 The statistics matching of Li, Wang, Liu and Hou 2017, eq. 10.
 * Beside Gram matrices, which hold them only as one term of many, they steady colours
 * and contrast.
 */
#ifndef NST_STYLE_MOMENT_LOSS_H
#define NST_STYLE_MOMENT_LOSS_H

#include "style/statistics.h"

/* The backend's numbers. */
struct nst_moment_loss {
    struct nst_backend *be;
    int channels;
    double *mean,
        *deviation; /* of the painting, C each; the latter follows the former */
    float *offset;  /* dL/dF has this constant part, C */
};

/* NST_ERR_MEM. Free with the clear function, after a failure too. */
enum nst_status nst_moment_loss_init(struct nst_moment_loss *l, struct nst_backend *be,
                                     int channels, struct nst_err *err);
void nst_moment_loss_clear(struct nst_moment_loss *l);

/* What was read has that share in the target, which is 0 at first. */
void nst_moment_loss_add_target(struct nst_moment_loss *l,
                                const struct nst_statistics *s, double weight);
/* *sum becomes C times the loss of what was gathered. Of weight times the loss, dL/dF =
 * slope F + offset at a pixel that counts once: the slope, a diagonal matrix, is added
 * to derivative (C x C). Of no pixels nothing is changed. */
void nst_moment_loss_evaluate(struct nst_moment_loss *l, const struct nst_statistics *s,
                              double weight, float *derivative, double *sum);

#endif
