/* SPDX-License-Identifier: MIT */
/*
 * Tiling: each pixel of an image is in the interior of exactly one tile, and losses and
 * gradients equal those of the untiled image, for any size of either.
 *
 * A value within rounding of 0 at a ReLU, or of another value under max pooling,
 * sometimes reroutes a gradient, and a Gram matrix may be so close to its target that
 * rounding dominates the loss. Then other images are drawn. Too small a halo, or a
 * seam, shows in all of them. $NST_TEST_QUICK leaves out the largest image.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "model/vgg.h"
#include "network.h"
#include "../blas.h"
#include "style/objective.h"
#include "style/tiled_pass.h"

#define MOST (3 * 150 * 150)

static unsigned seed;

static bool covers(int height, int width, int step, int field, int alignment)
{
    static unsigned char owners[200 * 200];
    struct nst_tiling t = nst_tiling(height, width, step, field, alignment);
    bool ok = true;

    memset(owners, 0, sizeof owners);
    for (int i = 0; i < nst_tiling_count(&t); i++) {
        struct nst_tile tile = nst_tiling_tile(&t, i);
        struct nst_window o = tile.outer, n = tile.inner;
        int bottom = o.height - n.top - n.height, right = o.width - n.left - n.width;

        ok &= o.top >= 0 && o.left >= 0 && o.top + o.height <= height &&
              o.left + o.width <= width && o.top % alignment == 0 &&
              o.left % alignment == 0;
        /* a full halo at each edge that is not the image's own */
        ok &= (o.top == 0 || n.top >= field - 1) &&
              (o.left == 0 || n.left >= field - 1) &&
              (o.top + o.height == height || bottom >= field - 1) &&
              (o.left + o.width == width || right >= field - 1);
        for (int r = 0; r < n.height; r++)
            for (int c = 0; c < n.width; c++)
                owners[(o.top + n.top + r) * width + o.left + n.left + c]++;
    }
    for (int i = 0; i < height * width; i++)
        ok &= owners[i] == 1;
    return ok;
}

static int between(int lo, int hi)
{
    return lo + (int)((tap_random(&seed) + 1) / 2 * (float)(hi - lo));
}

static void geometry(void)
{
    bool ok = true;

    for (int i = 0; i < 3000 && ok; i++) {
        int h = between(1, 200), w = between(1, 200), step = between(0, 220);
        int field = between(1, 60), alignment = 1 << between(0, 5);

        ok = covers(h, w, step, field, alignment);
        if (!ok)
            printf("# %dx%d, step %d, field %d, alignment %d\n", w, h, step, field,
                   alignment);
    }
    tap(ok, "each pixel belongs to one tile, and tiles overlap by what is seen");
}

/* Two guidance masks: one is 0 on the left, the other is half of what it leaves. */
static const float *const *guides(bool anew)
{
    static float plane[2][MOST / 3];
    static const float *const both[] = {plane[0], plane[1]};

    for (int i = 0; anew && i < MOST / 3; i++) {
        plane[0][i] = i % 150 < 70 ? 0 : (tap_random(&seed) + 1) / 2;
        plane[1][i] = (1 - plane[0][i]) / 2;
    }
    return both;
}

/* Losses and gradient with tiles of this size. Returns the number of tiles. */
static int evaluate(struct nst_vgg *v, const float *content, float *x, int h, int w,
                    const float *style, int regions, int tile, bool recompute,
                    struct nst_losses *losses, float *grad)
{
    struct nst_layers ct, st;
    struct nst_objective_config config = {&ct, &st,  1,    50,       5,
                                          10,  0.75, tile, recompute};
    struct nst_tiling t = nst_tiled_pass_tiling(v, h, w, tile);
    struct nst_layers coarse;
    struct nst_style_image paintings[] = {{.image = {style, 90, 70}, .weight = 1},
                                          {.image = {style + 7, 40, 50},
                                           .region = regions - 1,
                                           .weight = 2,
                                           .layers = &coarse}};
    struct nst_style both = {paintings, 2, regions > 1 ? regions : 0, guides(false)};
    const struct nst_backend *be = nst_vgg_backend(v);
    struct nst_objective *o;

    nst_layers_parse(&ct, "conv_4:2,relu2_1", NULL);
    nst_layers_parse(&st, "conv_1,relu1_2,conv_4,relu2_2:3,conv_6", NULL);
    nst_layers_parse(&coarse, "conv_4:2,conv_6", NULL);
    if (nst_objective_new(&o, v, &config, (struct nst_image){content, h, w}, &both,
                          NULL))
        abort();
    nst_objective_evaluate(o, nst_backend_wrap(be, x), losses,
                           nst_backend_wrap(be, grad));
    nst_objective_free(o);
    return nst_tiling_count(&t);
}

/* Relative difference of tiled and untiled: gradient (L2) and loss. */
struct error {
    double gradient, loss;
    int tiles;
};

static struct error compare(struct nst_vgg *v, int h, int w, int regions, int tile,
                            bool recompute)
{
    static float content[MOST], x[MOST], style[3 * 90 * 70], one[MOST], many[MOST];
    size_t n = 3 * (size_t)h * (size_t)w;
    struct nst_losses whole, tiled;
    double off = 0, norm = 0;
    struct error e;

    random_picture(content, n, &seed);
    random_picture(x, n, &seed);
    random_picture(style, sizeof style / sizeof *style, &seed);
    for (size_t i = 0; i < sizeof style / sizeof *style; i++)
        style[i] *= i % 70 < 35 ? 0.1f : 0.6f; /* far from x: large differences */
    guides(true);
    evaluate(v, content, x, h, w, style, regions, 0, false, &whole, one);
    e.tiles =
        evaluate(v, content, x, h, w, style, regions, tile, recompute, &tiled, many);
    for (size_t i = 0; i < n; i++) {
        off += ((double)many[i] - one[i]) * ((double)many[i] - one[i]);
        norm += (double)one[i] * one[i];
    }
    e.gradient = sqrt(off / norm);
    e.loss = fabs(tiled.total / whole.total - 1);
    return e;
}

static void check(const struct nst_backend_ops *ops, const struct nst_weights *weights,
                  enum nst_pooling pooling, int regions, int h, int w, int tile)
{
    static int kinds; /* of padding, in turn */
    enum nst_padding padding = (enum nst_padding)(kinds++ % 3);
    double bound = pooling == NST_POOLING_AVG ? 1e-5 : 2e-3;
    struct nst_backend *be;
    struct nst_vgg *v;

    if (ops->open(&be, &(struct nst_backend_config){.threads = 2}, NULL) ||
        nst_vgg_new(&v, be, weights, pooling, padding, NULL))
        abort();
    for (int recompute = 0; recompute < 2; recompute++) {
        struct error e = compare(v, h, w, regions, tile, recompute);

        for (int again = 0; again < 2 && (e.gradient > bound || e.loss > 1e-5); again++)
            e = compare(v, h, w, regions, tile, recompute);
        tap(e.gradient <= bound && e.loss <= 1e-5 && e.tiles > 1,
            "%s, %s pooling, padding %d, regions %d: %dx%d in %d tiles of %d, content "
            "%s: gradient "
            "off by %.1e, loss by %.1e",
            ops->name, pooling == NST_POOLING_MAX ? "max" : "average", padding, regions,
            w, h, e.tiles, tile, recompute ? "recomputed" : "kept", e.gradient, e.loss);
    }
    nst_vgg_free(v);
    be->ops->close(be);
}

int main(void)
{
    const struct nst_backend_ops *blas = blas_or_skip();
    struct nst_weights *weights;

    seed = tap_seed() | 1;
    weights = random_weights(&seed);
    geometry();
    for (int p = 0; p < 2; p++) {
        if (!getenv("NST_TEST_QUICK"))
            check(&nst_backend_cpu, weights, p, 1, 150, 150, 16);
        check(&nst_backend_cpu, weights, p, 2, 131, 149, 40);
        check(&nst_backend_cpu, weights, p, 1, 22, 150, 21);
        check(&nst_backend_cpu, weights, p, 2, 150, 9, 64);
        check(&nst_backend_scalar, weights, p, 2, 20, 120, 32);
        if (blas)
            check(blas, weights, p, 2, 131, 149, 40);
    }
    nst_weights_free(weights);
    return tap_end();
}
