/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/gram_loss.h"

#include <stdlib.h>

#include "base/alloc.h"

static size_t entries(const struct nst_gram_loss *l)
{
    return (size_t)l->channels * (size_t)l->channels;
}

enum nst_status nst_gram_loss_init(struct nst_gram_loss *l, struct nst_backend *be,
                                   int channels, struct nst_err *err)
{
    const struct nst_backend_ops *ops = be->ops;
    double *zeros;
    enum nst_status st;

    *l = (struct nst_gram_loss){.be = be, .channels = channels};
    st = ops->buffer_alloc(be, &l->target, entries(l) * sizeof *zeros, err);
    if (st == NST_OK)
        st =
            ops->buffer_alloc(be, &l->derivative, ops->matrix_bytes(be, channels), err);
    if (st != NST_OK)
        return st;
    zeros = nst_xcalloc(entries(l), sizeof *zeros);
    ops->buffer_upload(be, l->target, zeros, entries(l) * sizeof *zeros);
    free(zeros);
    return NST_OK;
}

void nst_gram_loss_clear(struct nst_gram_loss *l)
{
    if (l->be) {
        l->be->ops->buffer_free(l->be, l->target);
        l->be->ops->buffer_free(l->be, l->derivative);
    }
    *l = (struct nst_gram_loss){.channels = 0};
}

/* 1 / (C pixels) */
static double scale(const struct nst_statistics *s)
{
    return s->pixels > 0 ? 1 / (s->channels * s->pixels) : 0;
}

void nst_gram_loss_add_target(struct nst_gram_loss *l, const struct nst_statistics *s,
                              double weight)
{
    size_t bytes = entries(l) * sizeof(double);
    double *target = nst_xcalloc(entries(l), sizeof *target);

    l->be->ops->buffer_download(l->be, target, l->target, bytes);
    for (size_t i = 0; i < entries(l); i++)
        target[i] += weight * scale(s) * s->products[i];
    l->be->ops->buffer_upload(l->be, l->target, target, bytes);
    free(target);
}

/* dL/dF = (dL/dG + dL/dG^T) F / (C pixels) = 4 (G - G_style) F / (C^2 C pixels) */
void nst_gram_loss_evaluate(struct nst_gram_loss *l, const struct nst_statistics *s,
                            double weight, struct nst_scalar sum)
{
    double n = (double)entries(l);

    if (s->pixels > 0)
        l->be->ops->gram_loss(l->be, l->channels, s->device.products, scale(s),
                              l->target, 4 * weight * scale(s) / n, l->derivative, sum);
    else
        l->be->ops->gram_loss(l->be, l->channels, l->target, 1, l->target, 0,
                              l->derivative, sum);
}
