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
    void *target = NULL, *offset = NULL;
    double *zeros;
    enum nst_status st;

    *l = (struct nst_moment_loss){.be = be, .channels = channels};
    st = ops->buffer_alloc(be, &target, 2 * c * sizeof *l->mean, err);
    l->mean = target;
    l->deviation = l->mean ? l->mean + c : NULL;
    if (st == NST_OK)
        st = ops->buffer_alloc(be, &offset, c * sizeof *l->offset, err);
    l->offset = offset;
    if (st != NST_OK)
        return st;
    zeros = nst_xcalloc(2 * c, sizeof *zeros);
    ops->buffer_upload(be, l->mean, zeros, 2 * c * sizeof *zeros);
    ops->buffer_upload(be, l->offset, zeros, c * sizeof *l->offset);
    free(zeros);
    return NST_OK;
}

void nst_moment_loss_clear(struct nst_moment_loss *l)
{
    if (l->be) {
        l->be->ops->buffer_free(l->be, l->mean);
        l->be->ops->buffer_free(l->be, l->offset);
    }
    *l = (struct nst_moment_loss){.channels = 0};
}

void nst_moment_loss_add_target(struct nst_moment_loss *l,
                                const struct nst_statistics *s, double weight)
{
    struct nst_layer_moments m = {s->products, s->sums, s->pixels, NULL, NULL};
    size_t bytes = 2 * (size_t)l->channels * sizeof *l->mean;
    double *target = nst_xcalloc(bytes, 1);

    l->be->ops->buffer_download(l->be, target, l->mean, bytes);
    for (int c = 0; s->pixels > 0 && c < l->channels; c++) {
        double mean, deviation;

        nst_channel_moments(&m, l->channels, c, &mean, &deviation);
        target[c] += weight * mean;
        target[l->channels + c] += weight * deviation;
    }
    l->be->ops->buffer_upload(l->be, l->mean, target, bytes);
    free(target);
}

void nst_moment_loss_evaluate(struct nst_moment_loss *l, const struct nst_statistics *s,
                              double weight, float *derivative, double *sum)
{
    struct nst_layer_moments m = {s->device.products, s->device.sums, s->pixels,
                                  l->mean, l->deviation};

    if (s->pixels > 0)
        l->be->ops->moment_loss(l->be, l->channels, &m,
                                2 * weight / (l->channels * s->pixels), derivative,
                                l->offset, sum);
}
