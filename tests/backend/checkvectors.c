/* SPDX-License-Identifier: MIT */
/*
 * Compares the vector operations of every backend with plain loops in double. Outputs
 * are filled with NaN beforehand, with guard values behind their ends. Results must be
 * bit-identical for any number of threads. Links floors 0 to 2 only.
 */
#include "config.h"

#include <float.h>
#include <math.h>

#include "backend/cuda/cuda.h"
#include "kernels/nchw16c.h"
#include "vectors.h"
#include "../tap.h"

static void check_sums(struct nst_backend *be, size_t n)
{
    const struct nst_vector_ops *ops = be->ops->vectors;
    float *g = values(n, 3), *d = values(n, 1);
    struct nst_buffer *on_g = there(be, n, g), *on_d = there(be, n, d);
    struct nst_measures m = ops->measure(be, n, on_g, on_d),
                        alone = ops->measure(be, n, on_g, NULL);
    double most = 0, square = 0, slope = 0, sum = 0, size = 0;

    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)g[i]));
        sum += fabs((double)g[i]);
        square += (double)g[i] * g[i];
        slope += (double)g[i] * d[i];
        size += fabs((double)g[i] * d[i]);
    }
    compare(m.max_abs, most, 1e-12);
    compare(m.sq_norm, square, 1e-12 * square);
    compare(m.slope, slope, 1e-12 * size);
    compare(alone.max_abs, most, 1e-12);
    compare(alone.sq_norm, square, 1e-12 * square);
    compare(alone.slope, 0, 1e-12);
    compare(ops->sum_abs(be, n, on_g), sum, 1e-12 * sum);
    drop(be, on_g);
    g[n / 2] = NAN;
    on_g = there(be, n, g);
    compare(ops->measure(be, n, on_g, on_d).max_abs, NAN, 1);
    drop(be, on_g);
    drop(be, on_d);
    free(g);
    free(d);
}

static void check_accept(struct nst_backend *be, size_t n)
{
    float *x = values(n, 1), *s = values(n, 1), *y = nans(n), *after = values(n, 1),
          *before = values(n, 1);
    struct nst_buffer *on_x = there(be, n, x), *on_s = there(be, n, s),
                      *on_y = there(be, n, y), *on_after = there(be, n, after),
                      *on_before = there(be, n, before);
    double sy, yy, want_sy = 0, want_yy = 0, size = 0;
    float *new_x, *new_s, *new_y;

    be->ops->vectors->accept(be, n, on_x, on_s, on_y, on_after, on_before);
    be->ops->vectors->pair_dots(be, &sy, &yy);
    new_x = back(be, n, on_x);
    new_s = back(be, n, on_s);
    new_y = back(be, n, on_y);
    for (size_t i = 0; i < n; i++) {
        compare(new_x[i], s[i], 1e-12);
        compare(new_s[i], (double)s[i] - x[i], 2 * FLT_EPSILON);
        compare(new_y[i], (double)after[i] - before[i], 2 * FLT_EPSILON);
        want_sy += (double)new_s[i] * new_y[i];
        want_yy += (double)new_y[i] * new_y[i];
        size += fabs((double)new_s[i] * new_y[i]);
    }
    compare(sy, want_sy, 1e-12 * size);
    compare(yy, want_yy, 1e-12 * want_yy);
    drop(be, on_after);
    drop(be, on_before);
    free(x), free(s), free(y), free(after), free(before);
    free(new_x), free(new_s), free(new_y);
}

static void check_elements(struct nst_backend *be, size_t n)
{
    const struct nst_vector_ops *ops = be->ops->vectors;
    float *a = values(n, 1), *b = values(n, 1), *none = nans(n);
    struct nst_buffer *on_a = there(be, n, a), *on_b = there(be, n, b), *on[6];
    float *got[6];
    float keep = 0.25f;

    for (int i = 0; i < 6; i++)
        on[i] = there(be, n, i < 3 ? none : b);
    ops->clear(be, n, on[0]);
    ops->copy(be, n, on[1], on_a);
    ops->projected_step(be, n, on[2], on_a, 0.75, on_b, box);
    ops->axpy(be, n, on[3], -1.5, on_a);
    ops->scale(be, n, on[4], 0.3);
    ops->clamp(be, n, on[5], box);
    for (int i = 0; i < 6; i++)
        got[i] = back(be, n, on[i]);
    for (size_t i = 0; i < n; i++) {
        compare(got[0][i], 0, 1e-12);
        compare(got[1][i], a[i], 1e-12);
        compare(got[2][i], into(a[i] + 0.75 * b[i]), 4 * FLT_EPSILON);
        compare(got[3][i], b[i] - 1.5 * a[i], 4 * FLT_EPSILON);
        compare(got[4][i], 0.3 * b[i], 2 * FLT_EPSILON);
        compare(got[5][i], into(b[i]), 1e-12);
    }
    for (int i = 0; i < 6; i++)
        free(got[i]);
    if (n % 3 == 0) { /* pictures */
        float *plane = values(n / 3, 1);
        struct nst_buffer *on_plane;

        for (size_t i = 0; i < n / 3; i++)
            plane[i] = i % 2 ? keep : fabsf(plane[i]);
        on_plane = there(be, n / 3, plane);
        on[0] = there(be, n, none);
        on[1] = there(be, n, b);
        ops->blend(be, n, on[0], on_a, on_b, on_plane);
        ops->blend(be, n, on[1], NULL, on_a, on_plane);
        got[0] = back(be, n, on[0]);
        got[1] = back(be, n, on[1]);
        for (size_t i = 0; i < n; i++) {
            double part = 1 - plane[i % (n / 3)];

            compare(got[0][i], b[i] + part * (a[i] - b[i]), 8 * FLT_EPSILON);
            compare(got[1][i], b[i] * part, 4 * FLT_EPSILON);
        }
        free(got[0]), free(got[1]), free(plane);
        drop(be, on_plane);
    }
    drop(be, on_a);
    drop(be, on_b);
    free(a), free(b), free(none);
}

static void check_adam(struct nst_backend *be, size_t n)
{
    float *v[5], *got[4];
    struct nst_buffer *on[5];
    struct nst_adam_args m = {.first_ema = {0.9f, 0.1f},
                              .second_ema = {0.8f, 0.2f},
                              .average_ema = {0.7f, 0.3f},
                              .learning_rate = 0.4f,
                              .scale = 1.5f,
                              .epsilon = 1e-3f};

    for (int i = 0; i < 5; i++)
        v[i] = values(n, 1);
    for (size_t i = 0; i < n; i++)
        v[1][i] = fabsf(v[1][i]);
    for (int i = 0; i < 5; i++)
        on[i] = there(be, n, v[i]);
    m.first_moment = on[0];
    m.second_moment = on[1];
    m.average = on[2];
    be->ops->vectors->adam(be, n, &m, on[4], box, on[3]);
    for (int i = 0; i < 4; i++)
        got[i] = back(be, n, on[i]);
    for (size_t i = 0; i < n; i++) {
        double g = v[4][i], first = 0.9 * v[0][i] + 0.1 * g,
               second = 0.8 * v[1][i] + 0.2 * g * g,
               x = into(v[3][i] - 0.4 * first / (1.5 * sqrt(second) + 1e-3));

        compare(got[0][i], first, 1e-6);
        compare(got[1][i], second, 1e-6);
        compare(got[3][i], x, 1e-5);
        compare(got[2][i], 0.7 * v[2][i] + 0.3 * x, 1e-5);
    }
    drop(be, on[4]);
    for (int i = 0; i < 5; i++)
        free(v[i]);
    for (int i = 0; i < 4; i++)
        free(got[i]);
}

static void report(const char *kind, const char *what)
{
    tap(worst <= 1, "%s: %s as plain loops do (%.2f of the tolerance)", kind, what,
        worst);
    worst = 0;
}

static void check(const char *kind, const struct nst_backend_ops *ops,
                  enum nst_precision precision)
{
    /* few, around 4, around a warp's share, one block, several blocks (CPU and GPU) */
    static const size_t lengths[] = {1,   2,    3,    6,    127,  129,
                                     384, 1000, 2049, 6141, 40003};
    struct nst_backend_config config = {.threads = 1, .precision = precision};
    struct nst_backend *be, *other;

    if (ops->open(&be, &config, NULL) != NST_OK)
        abort();
    config.threads = 3;
    if (ops->open(&other, &config, NULL) != NST_OK)
        abort();
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        check_sums(be, lengths[i]);
        check_accept(be, lengths[i]);
    }
    report(kind, "maxima and sums");
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        check_elements(be, lengths[i]);
        check_adam(be, lengths[i]);
    }
    report(kind, "works on elements");
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        check_directions(be, other, lengths[i]);
    report(kind, "the direction of L-BFGS, to the bit on one thread and on three,");
    if (be->error.status != NST_OK)
        tap(0, "%s: %s", kind, be->error.text);
    be->ops->close(be);
    other->ops->close(other);
}

static void check_set(const char *set)
{
    setenv("NST_CPU", set, 1);
    if (nst_nchw16c_choose())
        check(set, &nst_backend_cpu, NST_PRECISION_FP32);
    else
        tap(1, "%s # SKIP this machine does not have it", set);
}

static void check_cuda(void)
{
#ifdef HAVE_CUDA
    struct nst_err err;

    unsetenv("NST_FAKE_CUDA_DRIVER");
    if (nst_cuda_device_count(&err) == 0) {
        tap(1, "cuda # SKIP %s", err.text);
        return;
    }
    check("cuda, fp32", &nst_backend_cuda, NST_PRECISION_FP32);
    check("cuda, fp16", &nst_backend_cuda, NST_PRECISION_FP16);
#else
    tap(1, "cuda # SKIP this build is without it");
#endif
}

int main(void)
{
    begin_values();
    check_set("avx512");
    check_set("avx2");
    check_set("base");
    check("scalar", &nst_backend_scalar, NST_PRECISION_FP32);
    check_cuda();
    return tap_end();
}
