/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/gram_loss.h"

#include <stdlib.h>

#include "base/mem.h"

enum nst_status nst_gram_loss_init(struct nst_gram_loss *l, struct nst_tap tap,
                                   struct nst_backend *be, const struct nst_pass *pass,
                                   struct nst_err *err)
{
    bool relu;
    const struct nst_tensor *f = nst_pass_map(pass, &tap, &relu);
    size_t c = (size_t)f->shape.c;
    enum nst_status st = nst_floats_new(&l->target, c, c, 1, err);

    if (st == NST_OK)
        st = nst_floats_new(&l->gram, c, c, 1, err);
    if (st != NST_OK)
        return st;
    l->tap = tap;
    l->channels = f->shape.c;
    be->ops->gram(be, f, relu, l->target);
    return NST_OK;
}

void nst_gram_loss_clear(struct nst_gram_loss *l)
{
    free(l->target);
    free(l->gram);
    l->target = l->gram = NULL;
}

double nst_gram_loss_value(struct nst_gram_loss *l, struct nst_backend *be,
                           const struct nst_pass *pass)
{
    size_t n = (size_t)l->channels * l->channels;
    double sum = 0;
    bool relu;
    const struct nst_tensor *f = nst_pass_map(pass, &l->tap, &relu);

    be->ops->gram(be, f, relu, l->gram);
    for (size_t i = 0; i < n; i++) {
        double d = (double)l->gram[i] - l->target[i];

        sum += d * d;
    }
    return sum / (double)n;
}

/* dL/dF = (dL/dG + its transpose) F / (C H W) = 4 (G - G_style) F / (C^2 C H W) */
void nst_gram_loss_grad(struct nst_gram_loss *l, struct nst_backend *be,
                        const struct nst_pass *pass, double weight,
                        struct nst_tensor *g)
{
    size_t n = (size_t)l->channels * l->channels;
    bool relu;
    const struct nst_tensor *f = nst_pass_map(pass, &l->tap, &relu);
    double scale = 4 * weight / ((double)n * (double)nst_shape_count(f->shape));

    for (size_t i = 0; i < n; i++)
        l->gram[i] = (float)(scale * ((double)l->gram[i] - l->target[i]));
    be->ops->gram_grad(be, f, relu, l->gram, g);
}
