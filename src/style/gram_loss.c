/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/gram_loss.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static size_t entries(const struct nst_gram_loss *l)
{
    return (size_t)l->channels * (size_t)l->channels;
}

static bool new_doubles(double **out, size_t n)
{
    return (*out = calloc(n, sizeof **out)) != NULL;
}

enum nst_status nst_gram_loss_init(struct nst_gram_loss *l, struct nst_tap tap,
                                   int channels, struct nst_err *err)
{
    l->tap = tap;
    l->channels = channels;
    if (!new_doubles(&l->sums, entries(l)) || !new_doubles(&l->target, entries(l)))
        return nst_err_set(err, NST_ERR_MEM, "out of memory: %zu doubles", entries(l));
    return nst_floats_new(&l->derivative, (size_t)channels, (size_t)channels, 1, err);
}

void nst_gram_loss_clear(struct nst_gram_loss *l)
{
    free(l->sums);
    free(l->target);
    free(l->derivative);
    *l = (struct nst_gram_loss){.channels = 0};
}

void nst_gram_loss_begin(struct nst_gram_loss *l)
{
    l->pixels = 0;
    memset(l->sums, 0, entries(l) * sizeof *l->sums);
}

void nst_gram_loss_gather(struct nst_gram_loss *l, const struct nst_pass *pass,
                          struct nst_window window)
{
    struct nst_backend *be = nst_pass_backend(pass);
    bool relu;
    const struct nst_tensor *f = nst_pass_map(pass, &l->tap, &relu);

    window = nst_pass_window(pass, l->tap.conv, window);
    l->pixels += (double)window.height * window.width;
    be->ops->gram(be, f, relu, window, l->sums);
}

/* 1 / (C H W) */
static double scale(const struct nst_gram_loss *l)
{
    return 1 / (l->channels * l->pixels);
}

void nst_gram_loss_add_target(struct nst_gram_loss *l, double share)
{
    for (size_t i = 0; i < entries(l); i++)
        l->target[i] += share * scale(l) * l->sums[i];
}

/* dL/dF = (dL/dG + its transpose) F / (C H W) = 4 (G - G_style) F / (C^2 C H W) */
double nst_gram_loss_finish(struct nst_gram_loss *l, double weight)
{
    double n = (double)entries(l), sum = 0;

    for (size_t i = 0; i < entries(l); i++) {
        double d = scale(l) * l->sums[i] - l->target[i];

        sum += d * d;
        l->derivative[i] = (float)(4 * weight * scale(l) / n * d);
    }
    return sum / n;
}
