/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/moment_loss.h"

#include <stdlib.h>

#include "base/mem.h"

enum nst_status nst_moment_loss_init(struct nst_moment_loss *l, struct nst_backend *be,
                                     int channels, struct nst_err *err)
{
    const struct nst_backend_ops *ops = be->ops;
    size_t c = (size_t)channels;
    void *target = NULL, *offset = NULL;
    double *zeros;
    enum nst_status st;

    *l = (struct nst_moment_loss){.be = be, .channels = channels};
    st = ops->numbers_new(be, &target, 2 * c * sizeof *l->mean, err);
    l->mean = target;
    l->deviation = l->mean ? l->mean + c : NULL;
    if (st == NST_OK)
        st = ops->numbers_new(be, &offset, c * sizeof *l->offset, err);
    l->offset = offset;
    if (st != NST_OK)
        return st;
    zeros = nst_xcalloc(2 * c, sizeof *zeros);
    ops->put(be, l->mean, zeros, 2 * c * sizeof *zeros);
    ops->put(be, l->offset, zeros, c * sizeof *l->offset);
    free(zeros);
    return NST_OK;
}

void nst_moment_loss_clear(struct nst_moment_loss *l)
{
    if (l->be) {
        l->be->ops->numbers_free(l->be, l->mean);
        l->be->ops->numbers_free(l->be, l->offset);
    }
    *l = (struct nst_moment_loss){.channels = 0};
}

void nst_moment_loss_add_target(struct nst_moment_loss *l,
                                const struct nst_statistics *s, double share)
{
    struct nst_layer_moments m = {s->products, s->sums, s->pixels, NULL, NULL};
    size_t bytes = 2 * (size_t)l->channels * sizeof *l->mean;
    double *target = nst_xcalloc(bytes, 1);

    l->be->ops->get(l->be, target, l->mean, bytes);
    for (int c = 0; s->pixels > 0 && c < l->channels; c++) {
        double mean, deviation;

        nst_moments_at(&m, l->channels, c, &mean, &deviation);
        target[c] += share * mean;
        target[l->channels + c] += share * deviation;
    }
    l->be->ops->put(l->be, l->mean, target, bytes);
    free(target);
}

void nst_moment_loss_finish(struct nst_moment_loss *l, const struct nst_statistics *s,
                            double weight, float *derivative, double *sum)
{
    struct nst_layer_moments m = {s->gathered.products, s->gathered.sums, s->pixels,
                                  l->mean, l->deviation};

    if (s->pixels > 0)
        l->be->ops->moment_loss(l->be, l->channels, &m,
                                2 * weight / (l->channels * s->pixels), derivative,
                                l->offset, sum);
}
