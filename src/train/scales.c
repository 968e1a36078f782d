/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "train/scales.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum { FULL, HALF };

struct nst_train_scales {
    int size;                                      /* side of the full scale */
    struct nst_train_loss *loss[NST_TRAIN_SCALES]; /* NULL: the scale has no weight */
    double weight[NST_TRAIN_SCALES];               /* their sum is 1 */
    float *photo, *painted, *grad;                 /* of the half scale */
};

enum nst_status nst_train_scales_new(struct nst_train_scales **out, struct nst_vgg *v,
                                     struct nst_train_style *const styles[], int count,
                                     int size, const struct nst_train_weights *weights,
                                     double detail, struct nst_err *err)
{
    struct nst_train_scales *s = nst_xcalloc(1, sizeof *s);
    float **pictures[] = {&s->photo, &s->painted, &s->grad};
    enum nst_status st = NST_OK;

    *out = NULL;
    s->size = size;
    s->weight[FULL] = detail / (1 + detail);
    s->weight[HALF] = 1 / (1 + detail);
    for (int k = 0; st == NST_OK && k < NST_TRAIN_SCALES; k++)
        if (s->weight[k] > 0)
            st = nst_train_loss_new(&s->loss[k], v, styles[k], count, size >> k,
                                    size >> k, weights, err);
    for (int i = 0; st == NST_OK && i < 3; i++)
        st = nst_floats_new(pictures[i], 3, (size_t)size / 2, (size_t)size / 2, err);
    if (st != NST_OK) {
        nst_train_scales_free(s);
        return st;
    }
    *out = s;
    return NST_OK;
}

void nst_train_scales_free(struct nst_train_scales *s)
{
    if (!s)
        return;
    for (int k = 0; k < NST_TRAIN_SCALES; k++)
        nst_train_loss_free(s->loss[k]);
    free(s->photo);
    free(s->painted);
    free(s->grad);
    free(s);
}

/* The picture at half of its side: means of 2 x 2 pixels. */
static void reduce(const float *rgb, size_t side, float *half)
{
    for (size_t y = 0; y < 3 * side; y += 2)
        for (size_t x = 0; x < side; x += 2) {
            const float *p = rgb + y * side + x;

            *half++ = (p[0] + p[1] + p[side] + p[side + 1]) / 4;
        }
}

/* Add weight times the gradient that a gradient by the half scale means for the full
 * one. */
static void spread(const float *half, size_t side, double weight, float *grad)
{
    for (size_t y = 0; y < 3 * side; y += 2)
        for (size_t x = 0; x < side; x += 2) {
            float *p = grad + y * side + x, g = (float)(weight / 4) * *half++;

            p[0] += g;
            p[1] += g;
            p[side] += g;
            p[side + 1] += g;
        }
}

static void add_losses(struct nst_train_losses *to, const struct nst_train_losses *l,
                       double weight)
{
    to->content += weight * l->content;
    to->style += weight * l->style;
    to->tv += weight * l->tv;
}

void nst_train_scales_evaluate(struct nst_train_scales *s, const float *photo,
                               const float *painted, struct nst_train_losses *losses,
                               float *grad)
{
    size_t side = (size_t)s->size, n = 3 * side * side;
    struct nst_train_losses part;

    *losses = (struct nst_train_losses){0};
    memset(grad, 0, n * sizeof *grad);
    if (s->loss[FULL]) {
        nst_train_loss_evaluate(s->loss[FULL], photo, painted, &part, grad);
        for (size_t i = 0; i < n; i++)
            grad[i] *= (float)s->weight[FULL];
        add_losses(losses, &part, s->weight[FULL]);
    }
    reduce(photo, side, s->photo);
    reduce(painted, side, s->painted);
    nst_train_loss_evaluate(s->loss[HALF], s->photo, s->painted, &part, s->grad);
    spread(s->grad, side, s->weight[HALF], grad);
    add_losses(losses, &part, s->weight[HALF]);
}
