/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/gram_loss.h"

#include <stdlib.h>

#include "base/mem.h"

static size_t entries(const struct nst_gram_loss *l)
{
    return (size_t)l->channels * (size_t)l->channels;
}

enum nst_status nst_gram_loss_init(struct nst_gram_loss *l, int channels,
                                   struct nst_err *err)
{
    *l = (struct nst_gram_loss){.channels = channels};
    l->target = calloc(entries(l), sizeof *l->target);
    if (!l->target)
        return nst_err_set(err, NST_ERR_MEM, "out of memory: %zu doubles", entries(l));
    return nst_floats_new(&l->derivative, (size_t)channels, (size_t)channels, 1, err);
}

void nst_gram_loss_clear(struct nst_gram_loss *l)
{
    free(l->target);
    free(l->derivative);
    *l = (struct nst_gram_loss){.channels = 0};
}

/* 1 / (C pixels) */
static double scale(const struct nst_statistics *s)
{
    return s->pixels > 0 ? 1 / (s->channels * s->pixels) : 0;
}

void nst_gram_loss_add_target(struct nst_gram_loss *l, const struct nst_statistics *s,
                              double share)
{
    for (size_t i = 0; i < entries(l); i++)
        l->target[i] += share * scale(s) * s->products[i];
}

/* dL/dF = (dL/dG + its transpose) F / (C pixels) = 4 (G - G_style) F / (C^2 C pixels)
 */
double nst_gram_loss_finish(struct nst_gram_loss *l, const struct nst_statistics *s,
                            double weight)
{
    double n = (double)entries(l), sum = 0;

    for (size_t i = 0; i < entries(l); i++) {
        double d = s->pixels > 0 ? scale(s) * s->products[i] - l->target[i] : 0;

        sum += d * d;
        l->derivative[i] = (float)(4 * weight * scale(s) / n * d);
    }
    return sum / n;
}
