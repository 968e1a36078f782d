/* SPDX-License-Identifier: MIT */
/*
 * The gradient of the whole objective against central differences along random
 * directions: a small network of random weights, each kind of layer, both poolings,
 * every backend.
 *
 * ReLU and max pooling have kinks, and a difference across one is off by any amount. So
 * the lower quartile over images and directions counts (with some seeds half of them
 * cross one in the deepest layers). It must be within 1 %, which a wrong factor, a
 * missed mask or a transposed weight exceeds by far.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "backend/backend.h"
#include "model/vgg.h"
#include "style/objective.h"
#include "network.h"
#include "../blas.h"

#define H 18
#define W 23
#define N (3 * H * W)

static unsigned seed;

/* A backend on a CPU and its objective. */
struct function {
    const struct nst_backend *be;
    struct nst_objective *o;
};

static double value(const struct function *f, const float *x, const float *step,
                    double h)
{
    static float moved[N];
    struct nst_losses l;

    for (int i = 0; i < N; i++)
        moved[i] = x[i] + (float)h * step[i];
    nst_objective_evaluate(f->o, nst_backend_wrap(f->be, moved), &l, NULL);
    return l.total;
}

/* |difference / slope - 1| for a random direction of ascent. */
static double direction_error(const struct function *f, const float *x,
                              const float *grad)
{
    static float step[N];
    double h = 1e-4, norm = 0, slope = 0;

    for (int i = 0; i < N; i++)
        norm += (double)grad[i] * grad[i];
    for (int i = 0; i < N; i++) {
        step[i] = tap_random(&seed) + grad[i] / (float)sqrt(norm / N);
        slope += (double)grad[i] * step[i];
    }
    return fabs((value(f, x, step, h) - value(f, x, step, -h)) / (2 * h * slope) - 1);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The lower quartile of the error over random images and directions. */
static double usual_error(const struct function *f)
{
    enum { PICTURES = 7, DIRECTIONS = 3 };
    static float grad[N], x[N];
    double error[PICTURES * DIRECTIONS];
    struct nst_losses l;

    for (int p = 0; p < PICTURES; p++) {
        random_picture(x, N, &seed);
        nst_objective_evaluate(f->o, nst_backend_wrap(f->be, x), &l,
                               nst_backend_wrap(f->be, grad));
        for (int d = 0; d < DIRECTIONS; d++)
            error[p * DIRECTIONS + d] = direction_error(f, x, grad);
    }
    qsort(error, PICTURES * DIRECTIONS, sizeof *error, ascending);
    return error[PICTURES * DIRECTIONS / 4];
}

static void check(const struct nst_backend_ops *ops, const struct nst_weights *w,
                  enum nst_pooling pooling, const char *content, const char *style,
                  double content_weight, double style_weight, double moment_weight,
                  double tv_weight, int regions)
{
    static int kinds; /* of padding, in turn */
    enum nst_padding padding = (enum nst_padding)(kinds++ % 3);
    static float a[N], b[3 * 21 * 19], plane[2][N / 3];
    struct nst_objective_config config = {.content_weight = content_weight,
                                          .style_weight = style_weight,
                                          .moment_weight = moment_weight,
                                          .tv_weight = tv_weight,
                                          .strength = 0.9};
    struct nst_style_image paintings[] = {
        {.image = {b, 21, 19}, .weight = 1},
        {.image = {a, W, H}, .region = regions - 1, .weight = 1}};
    struct nst_style both = {paintings, 2, regions > 1 ? regions : 0,
                             (const float *const[]){plane[0], plane[1]}};
    struct nst_layers ct, st;
    struct nst_backend *be;
    struct nst_vgg *v;
    struct nst_objective *o;
    double error;

    nst_layers_parse(&ct, content, NULL);
    nst_layers_parse(&st, style, NULL);
    config.content_layers = &ct;
    config.style_layers = &st;
    random_picture(a, N, &seed);
    random_picture(b, sizeof b / sizeof *b, &seed);
    random_picture(plane[0], N / 3, &seed);
    random_picture(plane[1], N / 3, &seed);
    if (ops->open(&be, &(struct nst_backend_config){.threads = 2}, NULL) ||
        nst_vgg_new(&v, be, w, pooling, padding, NULL) ||
        nst_objective_new(&o, v, &config, (struct nst_image){a, H, W}, &both, NULL))
        abort();
    nst_objective_set_temporal_target(o, (struct nst_temporal_target){a, plane[1]},
                                      tv_weight, NULL);
    error = usual_error(&(struct function){be, o});
    tap(error < 1e-2,
        "%s, %s pooling, padding %d: content %s, style %s, regions %d: off by %.1e",
        ops->name, pooling == NST_POOLING_MAX ? "max" : "average", padding, content,
        style, regions, error);
    nst_objective_free(o);
    nst_vgg_free(v);
    be->ops->close(be);
}

static void check_backend(const struct nst_backend_ops *ops,
                          const struct nst_weights *w)
{
    for (int p = 0; p < 2; p++) {
        check(ops, w, p, "conv_4", "conv_1", 1, 0, 0, 0, 1);
        check(ops, w, p, "relu2_2", "conv_1", 1, 0, 0, 0, 1);
        check(ops, w, p, "conv_1", "conv_1", 0, 0, 0, 10, 1);
        check(ops, w, p, "conv_1", "conv_6", 0, 1e3, 0, 0, 1);
        check(ops, w, p, "conv_1", "conv_2,relu2_2", 0, 0, 10, 0, 1);
        check(ops, w, p, "conv_1", "relu1_1,relu3_2:0.5", 0, 1e3, 0, 0, 2);
        check(ops, w, p, "conv_1", "conv_3,relu2_1", 0, 0, 10, 0, 2);
        check(ops, w, p, "conv_4:2,relu2_1", "conv_1,relu1_1,conv_2,relu2_2:3,conv_5",
              1, 1e2, 1, 0, 2);
    }
}

int main(void)
{
    const struct nst_backend_ops *blas = blas_or_skip();
    struct nst_weights *w;

    seed = tap_seed() | 1;
    w = random_weights(&seed);
    check_backend(&nst_backend_cpu, w);
    check_backend(&nst_backend_scalar, w);
    if (blas)
        check_backend(blas, w);
    nst_weights_free(w);
    return tap_end();
}
