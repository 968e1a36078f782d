/* SPDX-License-Identifier: MIT */
/*
 * The gradient of a feed-forward network by each group of its parameters, against
 * central differences. The loss is the product of the painted picture with noise.
 *
 * A difference of two passes in single precision has an error of its own. So each group
 * is moved along the gradient in it: the derivative in that direction is the norm,
 * which stands out of the rounding.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "net/tape.h"
#include "../tap.h"

#define HEIGHT 20
#define WIDTH 28
#define N (3 * HEIGHT * WIDTH)

struct problem {
    struct nst_net_tape *tape;
    struct nst_net_weights w;
    float rgb[N], noise[N], out[N];
};

static double loss(struct problem *p, const float *values)
{
    double sum = 0;

    nst_net_tape_set(p->tape, values);
    nst_net_tape_forward(p->tape, 0, p->rgb, p->out);
    for (int i = 0; i < N; i++)
        sum += (double)p->out[i] * p->noise[i];
    return sum;
}

/* The derivative of the loss when n parameters from first on move along grad. */
static double difference(struct problem *p, const float *grad, size_t first, size_t n,
                         double step)
{
    float *values = malloc(p->w.count * sizeof *values);
    double value[2];

    for (int side = 0; side < 2; side++) {
        memcpy(values, p->w.values, p->w.count * sizeof *values);
        for (size_t i = first; i < first + n; i++)
            values[i] += (float)((side ? step : -step) * grad[i]);
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

/* Of several steps, the derivative that is nearest: small ones round, large ones cross
 * kinks. */
static void check_group(struct problem *p, const char *backend, const char *layer,
                        const char *group, const float *grad, size_t first, size_t n)
{
    double want = norm_of(grad + first, n), size = norm_of(p->w.values + first, n);
    double best = INFINITY;

    if (is_void(layer, group)) {
        tap(want < 1e-2, "%s: %s %s: %.1e for 0", backend, layer, group, want);
        return;
    }
    for (double part = 2e-2; part > 2e-6; part /= 2) {
        double step = part * (size + 0.1) / (want + 1e-30) / (want + 1e-30);
        double got = difference(p, grad, first, n, step * want);

        best = fmin(best, fabs(got / (want * want) - 1));
    }
    tap(want > 1e-6 && best < (strcmp(group, "weights") == 0 ? 5e-3 : 2e-2),
        "%s: %s %s: off by %.1e of %.2e", backend, layer, group, best, want);
}

static void fill(float *x, size_t n, float scale, float offset, unsigned *seed)
{
    for (size_t i = 0; i < n; i++)
        x[i] = offset + scale * tap_random(seed);
}

static void start(struct problem *p, struct nst_backend *be, unsigned *seed)
{
    struct nst_net_layer layers[NST_NET_MAX_CONVS];
    struct nst_net_shape shape = {5, 2};
    size_t parameters;
    int count = nst_net_layers(shape, layers, &parameters);

    if (nst_net_weights_new(&p->w, shape, NULL) != NST_OK)
        abort();
    fill(p->w.values, parameters, 0.3f, 0, seed);
    /* Most values are far from the kink of the ReLU, on either side of it. */
    for (int i = 0; i < count - 1; i++) {
        fill(p->w.values + layers[i].scale, (size_t)layers[i].cout, 0.2f, 0.5f, seed);
        for (int c = 0; c < layers[i].cout; c++)
            p->w.values[layers[i].shift + (size_t)c] = c % 3 ? 0.8f : -0.5f;
    }
    fill(p->rgb, N, 0.5f, 0.5f, seed);
    fill(p->noise, N, 1, 0, seed);
    if (nst_net_tape_new(&p->tape, be, &p->w, HEIGHT, WIDTH, 2, NULL) != NST_OK)
        abort();
}

static void check(const struct nst_backend_ops *ops, unsigned seed)
{
    static struct problem p;
    struct nst_backend_config config = {.threads = 2};
    struct nst_net_layer layers[NST_NET_MAX_CONVS];
    struct nst_backend *be;
    size_t parameters;
    float *grad;
    int count;

    if (ops->open(&be, &config, NULL) != NST_OK)
        abort();
    start(&p, be, &seed);
    count = nst_net_layers(p.w.shape, layers, &parameters);
    grad = calloc(parameters, sizeof *grad);
    loss(&p, p.w.values);
    nst_net_tape_forward(p.tape, 1, p.noise, p.out); /* another slot is no matter */
    nst_net_tape_backward(p.tape, 0, p.rgb, p.noise, grad);
    for (int i = 0; i < count; i++) {
        const struct nst_net_layer *l = &layers[i];
        size_t n = (size_t)l->cout;
        int side = nst_net_side(l->kind);

        check_group(&p, ops->name, l->name, "weights", grad, l->weight,
                    n * (size_t)l->cin * (size_t)(side * side));
        if (l->kind == NST_NET_TO_PICTURE) {
            check_group(&p, ops->name, l->name, "biases", grad, l->bias, n);
        } else {
            check_group(&p, ops->name, l->name, "scales", grad, l->scale, n);
            check_group(&p, ops->name, l->name, "shifts", grad, l->shift, n);
        }
    }
    free(grad);
    nst_net_tape_free(p.tape);
    nst_net_weights_clear(&p.w);
    be->ops->close(be);
}

int main(void)
{
    unsigned seed = tap_seed();

    check(&nst_backend_scalar, seed);
    if (nst_backend_cpu.net)
        check(&nst_backend_cpu, seed);
    return tap_end();
}
