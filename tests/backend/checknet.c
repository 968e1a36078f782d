/* SPDX-License-Identifier: MIT */
/*
 * Compares the operators of feed-forward networks (backend/net_ops.h) on the CPU with
 * the scalar ones, for each instruction set, on chosen and random shapes, with outputs
 * filled with NaN beforehand. Results, sums too, must be bit-identical on one thread
 * and on five. Links floors 0 to 2 only.
 */
#include "config.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "backend/backend.h"
#include "kernels/nchw16c.h"
#include "checknet.h"

unsigned checknet_state;

static struct nst_net_conv *new_conv(struct nst_backend *be, const struct input *in,
                                     enum nst_net_kind kind)
{
    int cin = kind == NST_NET_FROM_PICTURE ? 3 : in->cin;
    int cout = kind == NST_NET_TO_PICTURE ? 3 : in->cout;
    struct nst_net_filters f = {kind, cin, cout, in->weight,
                                kind == NST_NET_TO_PICTURE ? in->bias : NULL};
    struct nst_net_conv *k;

    if (be->ops->net->conv_new(be, &k, &f, NULL) != NST_OK ||
        be->ops->net->conv_prepare(be, k, in->h, in->w, NULL) != NST_OK)
        abort();
    return k;
}

static struct output run_conv(struct nst_backend *be, const struct input *in,
                              enum nst_net_kind kind)
{
    int h = nst_net_output_side(kind, in->h), w = nst_net_output_side(kind, in->w);
    struct nst_net_conv *k = new_conv(be, in, kind);
    struct nst_tensor *x = new_map(be, in->cin, in->h, in->w, in->x),
                      *y = new_map(be, in->cout, h, w, NULL);
    struct nst_net_view view = view_of(in, x);
    double *sums = calloc((size_t)in->cout, 2 * sizeof *sums);
    struct nst_net_sums rows = {sums, sums + in->cout, in->first * h / in->h,
                                in->last * h / in->h};
    struct output o = {0};

    if (!sums)
        abort();
    if (kind == NST_NET_FROM_PICTURE)
        be->ops->net->from_picture(be, k, in->rgb, y, &rows);
    else
        be->ops->net->conv(be, k, &view, y, &rows);
    append_map(&o, be, y);
    for (int c = 0; c < 2 * in->cout; c++)
        append(&o, sums[c] / (double)((size_t)h * (size_t)w));
    be->ops->net->conv_free(be, k);
    be->ops->tensor_free(be, x);
    be->ops->tensor_free(be, y);
    free(sums);
    return o;
}

static struct output run_to_picture(struct nst_backend *be, const struct input *in)
{
    struct nst_net_conv *k = new_conv(be, in, NST_NET_TO_PICTURE);
    struct nst_tensor *x = new_map(be, in->cin, in->h, in->w, in->x);
    struct nst_net_view view = view_of(in, x);
    size_t n = 3 * (size_t)in->h * (size_t)in->w;
    float *rgb = malloc(n * sizeof *rgb);
    struct output o = {0};

    if (!rgb)
        abort();
    be->ops->net->to_picture(be, k, &view, rgb);
    for (size_t i = 0; i < n; i++)
        append(&o, rgb[i]);
    be->ops->net->conv_free(be, k);
    be->ops->tensor_free(be, x);
    free(rgb);
    return o;
}

static struct output run_from_picture(struct nst_backend *be, const struct input *in)
{
    return run_conv(be, in, NST_NET_FROM_PICTURE);
}

static struct output run_same(struct nst_backend *be, const struct input *in)
{
    return run_conv(be, in, NST_NET_SAME);
}

static struct output run_down(struct nst_backend *be, const struct input *in)
{
    return run_conv(be, in, NST_NET_DOWN);
}

static struct output run_up(struct nst_backend *be, const struct input *in)
{
    return run_conv(be, in, NST_NET_UP);
}

static struct output run_add(struct nst_backend *be, const struct input *in)
{
    struct nst_tensor *x = new_map(be, in->cin, in->h, in->w, in->x),
                      *y = new_map(be, in->cin, in->h, in->w, in->y);
    struct nst_net_view a = view_of(in, x), b = {y, in->shift, in->scale, !in->relu};
    struct output o = {0};

    be->ops->net->add(be, &a, &b, y);
    append_map(&o, be, y);
    be->ops->tensor_free(be, x);
    be->ops->tensor_free(be, y);
    return o;
}

static struct output run_copy_rows(struct nst_backend *be, const struct input *in)
{
    struct nst_tensor *x = new_map(be, in->cin, in->h, in->w, in->x),
                      *y = new_map(be, in->cin, in->h + 2, in->w, NULL);
    struct output o = {0};

    be->ops->net->copy_rows(be, x, 0, in->h, y, 2);
    be->ops->net->copy_rows(be, x, 1, 2, y, 0);
    append_map(&o, be, y);
    be->ops->tensor_free(be, x);
    be->ops->tensor_free(be, y);
    return o;
}

/* A convolution reads beyond the border of its input, where the former values lie. */
static struct output run_reshape(struct nst_backend *be, const struct input *in)
{
    struct nst_net_conv *k = new_conv(be, in, NST_NET_SAME);
    struct nst_tensor *from = new_map(be, in->cin, in->h, in->w, in->x),
                      *x = new_map(be, in->cin, in->h + 7, in->w + 9, NULL),
                      *y = new_map(be, in->cout, in->h, in->w, NULL);
    struct nst_net_view view = view_of(in, x);
    struct output o = {0};

    be->ops->net->reshape(be, x, in->h, in->w);
    be->ops->net->copy_rows(be, from, 0, in->h, x, 0);
    be->ops->net->conv(be, k, &view, y, NULL);
    append_map(&o, be, y);
    be->ops->net->conv_free(be, k);
    be->ops->tensor_free(be, from);
    be->ops->tensor_free(be, x);
    be->ops->tensor_free(be, y);
    return o;
}

static const struct operation operations[] = {
    {"from_picture", run_from_picture, 81},
    {"conv at each pixel", run_same, 9},
    {"conv at every second pixel", run_down, 9},
    {"conv of a doubled map", run_up, 9},
    {"to_picture", run_to_picture, 81},
    {"add", run_add, 1},
    {"copy_rows", run_copy_rows, 1},
    {"conv of a map of another shape", run_reshape, 9}};

static struct nst_backend *open_backend(const struct nst_backend_ops *ops, int threads)
{
    struct nst_backend_config config = {.threads = threads};
    struct nst_backend *be;

    if (ops->open(&be, &config, NULL) != NST_OK)
        abort();
    return be;
}

/* Largest error relative to the tolerance: a sum of K terms, through the transforms. */
static double error_of(const struct output *got, const struct output *want,
                       double terms)
{
    double ratio = 0;

    if (got->n != want->n)
        return INFINITY;
    for (size_t i = 0; i < got->n; i++) {
        double r = fabs(got->v[i] - want->v[i]) / (256 * FLT_EPSILON * sqrt(terms));

        if (!(r <= ratio))
            ratio = isnan(r) ? INFINITY : r;
    }
    return ratio;
}

static double terms_of(const struct operation *op, const struct input *in)
{
    int channels = in->cin > in->cout ? in->cin : in->cout;

    return op->terms * (op->pixels ? (double)in->h * in->w : channels) + 27;
}

static void check(const struct operation *op, const char *set,
                  const struct input *inputs, int count)
{
    struct nst_backend *scalar = open_backend(&nst_backend_scalar, 1),
                       *one = open_backend(&nst_backend_cpu, 1),
                       *five = open_backend(&nst_backend_cpu, 5);
    double ratio = 0;
    bool same = true;
    int at = 0;

    for (int i = 0; i < count; i++) {
        struct output want = op->run(scalar, &inputs[i]), a = op->run(one, &inputs[i]),
                      b = op->run(five, &inputs[i]);
        double r = error_of(&a, &want, terms_of(op, &inputs[i]));

        if (r > ratio) {
            ratio = r;
            at = i;
        }
        same = same && a.n == b.n && memcmp(a.v, b.v, a.n * sizeof *a.v) == 0;
        free(want.v);
        free(a.v);
        free(b.v);
    }
    tap(ratio <= 1,
        "cpu, %s: %s agrees with the scalar one (%.2f of the tolerance, %d to "
        "%d channels, %dx%d)",
        set, op->name, ratio, inputs[at].cin, inputs[at].cout, inputs[at].h,
        inputs[at].w);
    tap(same, "cpu, %s: %s gives the same bits on one thread and on five", set,
        op->name);
    scalar->ops->close(scalar);
    one->ops->close(one);
    five->ops->close(five);
}

static int between(int least, int most)
{
    return least + (int)((tap_random(&checknet_state) + 1) / 2 * (float)(most - least));
}

int main(void)
{
    static const char *const sets[] = {"avx512", "avx2", "base"};
    enum { RANDOM = 6 };
    struct input inputs[4 + RANDOM];
    int count = 0;

    checknet_state = tap_seed() | 1;
    inputs[count++] = make_input(16, 16, 5, 5, true, true);
    inputs[count++] = make_input(8, 8, 24, 150, true, true);
    inputs[count++] = make_input(16, 32, 39, 61, true, false);
    inputs[count++] = make_input(48, 24, 18, 9, false, true);
    for (int i = 0; i < RANDOM; i++)
        inputs[count++] = make_input(between(1, 40), between(1, 40), between(5, 40),
                                     between(5, 70), tap_random(&checknet_state) > 0,
                                     tap_random(&checknet_state) > 0);
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        setenv("NST_CPU", sets[s], 1);
        if (!nst_nchw16c_choose()) {
            tap(1, "cpu, %s # SKIP this machine does not have it", sets[s]);
            continue;
        }
        for (size_t k = 0; k < sizeof operations / sizeof *operations; k++)
            check(&operations[k], sets[s], inputs, count);
        for (size_t k = 0; k < NET_GRADIENTS; k++)
            check(&net_gradients[k], sets[s], inputs, count);
    }
    for (int i = 0; i < count; i++)
        free_input(&inputs[i]);
    return tap_end();
}
