/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/moment_loss.h"

#include <stdlib.h>

#include "base/alloc.h"

enum nst_status nst_moment_loss_init(struct nst_moment_loss *l, struct nst_backend *be,
                                     int channels, struct nst_err *err)
{
    const struct nst_backend_ops *ops = be->ops;
    size_t c = (size_t)channels;
    double *zeros;
    enum nst_status st;

    *l = (struct nst_moment_loss){.be = be, .channels = channels};
    st = ops->buffer_alloc(be, &l->target, 2 * c * sizeof *zeros, err);
    if (st == NST_OK)
        st = ops->buffer_alloc(be, &l->offset, c * sizeof(float), err);
    if (st != NST_OK)
        return st;
    zeros = nst_xcalloc(2 * c, sizeof *zeros);
    ops->buffer_upload(be, l->target, zeros, 2 * c * sizeof *zeros);
    ops->buffer_upload(be, l->offset, zeros, c * sizeof(float));
    free(zeros);
    return NST_OK;
}

void nst_moment_loss_clear(struct nst_moment_loss *l)
{
    if (l->be) {
        l->be->ops->buffer_free(l->be, l->target);
        l->be->ops->buffer_free(l->be, l->offset);
    }
    *l = (struct nst_moment_loss){.channels = 0};
}

void nst_moment_loss_add_target(struct nst_moment_loss *l,
                                const struct nst_statistics *s, double weight)
{
    size_t bytes = 2 * (size_t)l->channels * sizeof(double);
    double *target = nst_xcalloc(bytes, 1);

    l->be->ops->buffer_download(l->be, target, l->target, bytes);
    for (int c = 0; s->pixels > 0 && c < l->channels; c++) {
        size_t diagonal = (size_t)c * (size_t)l->channels + (size_t)c;
        double mean, deviation;

        nst_channel_moments(s->products[diagonal], s->sums[c], s->pixels, &mean,
                            &deviation);
        target[c] += weight * mean;
        target[l->channels + c] += weight * deviation;
    }
    l->be->ops->buffer_upload(l->be, l->target, target, bytes);
    free(target);
}

void nst_moment_loss_evaluate(struct nst_moment_loss *l, const struct nst_statistics *s,
                              double weight, struct nst_buffer *derivative,
                              struct nst_scalar sum)
{
    struct nst_layer_moments m = {s->device.products, s->device.sums, s->pixels,
                                  l->target};

    if (s->pixels > 0)
        l->be->ops->moment_loss(l->be, l->channels, &m,
                                2 * weight / (l->channels * s->pixels), derivative,
                                l->offset, sum);
}
