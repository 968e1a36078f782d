/* SPDX-License-Identifier: MIT */
/*
 * The gradient of a feed-forward network by each group of its parameters, against
 * central differences. The loss is the product of the painted picture with noise.
 *
 * The differences are those of a forward pass in double precision, written as plain
 * loops. So they are exact to about 1e-8, and what remains is the error of the
 * gradient. Its product with a direction is compared: the direction of the gradient
 * itself, and random ones, in which an error at right angles to the gradient shows.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "kernels/net_reference.h"
#include "net/tape.h"
#include "../tap.h"

#define HEIGHT 20
#define WIDTH 28
#define N (3 * HEIGHT * WIDTH)
#define DIRECTIONS 3 /* random ones of each group */
#define TOLERANCE 1e-4
/* The ReLU of a value so near to 0 may differ between single and double precision. */
#define KINK 2e-5

struct problem {
    struct nst_net_weights w;
    struct nst_net_layer layers[NST_NET_MAX_CONVS];
    int count;
    float rgb[N], noise[N], out[N];
};

struct map {
    int c, h, w;
    double *v;
};

static struct map map_new(int c, int h, int w)
{
    struct map m = {c, h, w, calloc((size_t)c * (size_t)h * (size_t)w, sizeof *m.v)};

    if (!m.v)
        abort();
    return m;
}

/* The index of n that index i of a padded row stands for. */
static int source(enum nst_net_kind kind, int i, int n)
{
    return kind == NST_NET_UP ? nst_reflected(i, 2 * n) / 2 : nst_reflected(i, n);
}

static void add_tap(struct map y, int o, const double *plane, struct map x,
                    enum nst_net_kind kind, int u, int v, double weight)
{
    int stride = kind == NST_NET_DOWN ? 2 : 1;

    for (int i = 0; i < y.h; i++)
        for (int j = 0; j < y.w; j++)
            y.v[(o * y.h + i) * y.w + j] +=
                weight * plane[source(kind, stride * i + u, x.h) * x.w +
                               source(kind, stride * j + v, x.w)];
}

/* Frees x. */
static struct map convolve(const struct nst_net_layer *l, const double *values,
                           struct map x)
{
    const double *weight = values + l->weight;
    int side = nst_net_side(l->kind);
    struct map y = map_new(l->cout, nst_net_output_side(l->kind, x.h),
                           nst_net_output_side(l->kind, x.w));

    for (int o = 0; o < l->cout; o++)
        for (int c = 0; c < l->cin; c++)
            for (int t = 0; t < side * side; t++)
                add_tap(y, o, x.v + (ptrdiff_t)c * x.h * x.w, x, l->kind,
                        t / side - side / 2, t % side - side / 2, *weight++);
    free(x.v);
    return y;
}

/* Instance norm. */
static void normalise(const struct nst_net_layer *l, const double *values, struct map y)
{
    int n = y.h * y.w;

    for (int c = 0; c < y.c; c++) {
        double *v = y.v + (ptrdiff_t)c * n, mean = 0, variance = 0, scale;

        for (int i = 0; i < n; i++)
            mean += v[i] / n;
        for (int i = 0; i < n; i++)
            variance += (v[i] - mean) * (v[i] - mean) / n;
        scale =
            values[l->scale + (size_t)c] / sqrt(variance + NST_NET_VARIANCE_EPSILON);
        for (int i = 0; i < n; i++)
            v[i] = scale * (v[i] - mean) + values[l->shift + (size_t)c];
    }
}

static void relu(struct map y, double *least)
{
    for (int i = 0; i < y.c * y.h * y.w; i++) {
        *least = fmin(*least, fabs(y.v[i]));
        y.v[i] = fmax(y.v[i], 0);
    }
}

/* The network in double precision. *least: the smallest absolute value before a ReLU.
 */
static struct map paint(const struct problem *p, const double *values, double *least)
{
    struct map x = map_new(3, HEIGHT, WIDTH), skip = {0};

    *least = INFINITY;
    for (int i = 0; i < N; i++)
        x.v[i] = p->rgb[i];
    for (int k = 0; k < p->count; k++) {
        const struct nst_net_layer *l = &p->layers[k];
        bool same = l->kind == NST_NET_SAME, second = same && (k - 3) % 2;

        if (same && !second) {
            skip = map_new(x.c, x.h, x.w);
            memcpy(skip.v, x.v, (size_t)(x.c * x.h * x.w) * sizeof *x.v);
        }
        x = convolve(l, values, x);
        if (l->kind != NST_NET_TO_PICTURE)
            normalise(l, values, x);
        if (second) {
            for (int i = 0; i < x.c * x.h * x.w; i++)
                x.v[i] += skip.v[i];
            free(skip.v);
        } else if (l->kind != NST_NET_TO_PICTURE) {
            relu(x, least);
        }
    }
    for (int i = 0; i < N; i++)
        x.v[i] += values[p->layers[p->count - 1].bias + (size_t)(i / (HEIGHT * WIDTH))];
    return x;
}

static double loss(const struct problem *p, const double *values)
{
    double sum = 0, least;
    struct map y = paint(p, values, &least);

    for (int i = 0; i < N; i++)
        sum += y.v[i] * p->noise[i];
    free(y.v);
    return sum;
}

static double *doubles_of(const struct nst_net_weights *w)
{
    double *values = malloc(w->count * sizeof *values);

    if (!values)
        abort();
    for (size_t i = 0; i < w->count; i++)
        values[i] = w->values[i];
    return values;
}

/* The derivative of the loss when n parameters from first on move along direction. */
static double difference(const struct problem *p, const double *direction, size_t first,
                         size_t n, double step)
{
    double *values = doubles_of(&p->w), value[2];

    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < n; i++)
            values[first + i] =
                p->w.values[first + i] + (side ? step : -step) * direction[i];
        value[side] = loss(p, values);
    }
    free(values);
    return (value[1] - value[0]) / (2 * step);
}

static double norm_of(const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sqrt(sum);
}

/* The instance norms of later layers remove what these shifts add. */
static bool is_void(const char *layer, const char *group)
{
    return strstr(layer, ".conv2") && strcmp(group, "shifts") == 0;
}

/* The error of the gradient in one direction, relative to what an error of the whole
 * size of the gradient has there in the mean. */
static double error_along(const struct problem *p, const double *direction,
                          const float *grad, size_t first, size_t n, double expected)
{
    double product = 0, norm = 0, step;

    for (size_t i = 0; i < n; i++) {
        product += direction[i] * grad[first + i];
        norm += direction[i] * direction[i];
    }
    step = 1e-6 * (norm_of(p->w.values + first, n) + 0.1) / sqrt(norm);
    return fabs(product - difference(p, direction, first, n, step)) /
           (expected * sqrt(norm));
}

static void check_group(const struct problem *p, const char *backend, const char *layer,
                        const char *group, const float *grad, size_t first, size_t n,
                        unsigned *seed)
{
    double size = norm_of(grad + first, n), worst;
    double *direction = malloc(n * sizeof *direction);

    if (!direction)
        abort();
    if (is_void(layer, group)) {
        tap(size < 1e-3, "%s: %s %s: %.1e for 0", backend, layer, group, size);
        free(direction);
        return;
    }
    for (size_t i = 0; i < n; i++)
        direction[i] = grad[first + i];
    worst = error_along(p, direction, grad, first, n, size);
    for (int k = 0; k < DIRECTIONS; k++) {
        for (size_t i = 0; i < n; i++)
            direction[i] = tap_random(seed);
        worst = fmax(worst,
                     error_along(p, direction, grad, first, n, size / sqrt((double)n)));
    }
    free(direction);
    tap(size > 1e-6 && worst < TOLERANCE, "%s: %s %s: off by %.1e of %.2e", backend,
        layer, group, worst, size);
}

static void fill(float *x, size_t n, float scale, float offset, unsigned *seed)
{
    for (size_t i = 0; i < n; i++)
        x[i] = offset + scale * tap_random(seed);
}

/* Random parameters and pictures. */
static void draw(struct problem *p, unsigned *seed)
{
    fill(p->w.values, p->w.count, 0.3f, 0, seed);
    for (int i = 0; i < p->count - 1; i++) {
        const struct nst_net_layer *l = &p->layers[i];

        fill(p->w.values + l->scale, (size_t)l->cout, 0.2f, 0.5f, seed);
        for (int c = 0; c < l->cout; c++)
            p->w.values[l->shift + (size_t)c] = c % 3 ? 0.8f : -0.5f;
    }
    fill(p->rgb, N, 0.5f, 0.5f, seed);
    fill(p->noise, N, 1, 0, seed);
}

/* The loss has a derivative where no value is near the kink of a ReLU. */
static void start(struct problem *p, unsigned *seed)
{
    size_t parameters;
    double least = 0;

    if (nst_net_weights_new(&p->w, (struct nst_net_shape){5, 2}, NULL) != NST_OK)
        abort();
    p->count = nst_net_layers(p->w.shape, p->layers, &parameters);
    while (least < KINK) {
        double *values;

        draw(p, seed);
        values = doubles_of(&p->w);
        free(paint(p, values, &least).v);
        free(values);
    }
}

/* Record the picture, and another one in another slot, which is no matter. */
static float *gradient(struct problem *p, struct nst_backend *be)
{
    float *grad = calloc(p->w.count, sizeof *grad), *other = malloc(sizeof p->out);
    struct nst_net_tape *tape;

    if (!grad || !other ||
        nst_net_tape_new(&tape, be, &p->w, HEIGHT, WIDTH, 2, NULL) != NST_OK)
        abort();
    nst_net_tape_forward(tape, 0, p->rgb, p->out);
    nst_net_tape_forward(tape, 1, p->noise, other);
    nst_net_tape_backward(tape, 0, p->rgb, p->noise, grad);
    nst_net_tape_free(tape);
    free(other);
    return grad;
}

static void check_picture(const struct problem *p, const char *backend)
{
    double *values = doubles_of(&p->w), least, worst = 0, most = 0;
    struct map want = paint(p, values, &least);

    for (int i = 0; i < N; i++) {
        worst = fmax(worst, fabs(p->out[i] - want.v[i]));
        most = fmax(most, fabs(want.v[i]));
    }
    tap(worst < 1e-5 * most,
        "%s: the picture is that of double precision: %.1e of %.2e", backend, worst,
        most);
    free(values);
    free(want.v);
}

static void check(struct problem *p, const struct nst_backend_ops *ops, unsigned seed)
{
    struct nst_backend_config config = {.threads = 2};
    struct nst_backend *be;
    float *grad;

    if (ops->open(&be, &config, NULL) != NST_OK)
        abort();
    grad = gradient(p, be);
    check_picture(p, ops->name);
    for (int i = 0; i < p->count; i++) {
        const struct nst_net_layer *l = &p->layers[i];
        size_t n = (size_t)l->cout;
        int side = nst_net_side(l->kind);

        check_group(p, ops->name, l->name, "weights", grad, l->weight,
                    n * (size_t)l->cin * (size_t)(side * side), &seed);
        if (l->kind == NST_NET_TO_PICTURE) {
            check_group(p, ops->name, l->name, "biases", grad, l->bias, n, &seed);
        } else {
            check_group(p, ops->name, l->name, "scales", grad, l->scale, n, &seed);
            check_group(p, ops->name, l->name, "shifts", grad, l->shift, n, &seed);
        }
    }
    free(grad);
    be->ops->close(be);
}

int main(void)
{
    static struct problem p;
    unsigned seed = tap_seed();

    start(&p, &seed);
    check(&p, &nst_backend_scalar, seed);
    if (nst_backend_cpu.net)
        check(&p, &nst_backend_cpu, seed);
    nst_net_weights_clear(&p.w);
    return tap_end();
}
