/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/cpu/cpu.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct nst_conv {
    int cin, cout;
    float *weight;   /* cout x (9 cin) */
    float *mirrored; /* cin x (9 cout): channels swapped, taps mirrored; or NULL */
    float *bias;
};

void nst_cpu_conv_free(struct nst_backend *be, struct nst_conv *k)
{
    (void)be;
    if (!k)
        return;
    free(k->weight);
    free(k->mirrored);
    free(k->bias);
    free(k);
}

/* The gradient of a convolution to its input is a convolution with these weights. */
static void mirror(const struct nst_conv *k)
{
    for (int c = 0; c < k->cin; c++)
        for (int o = 0; o < k->cout; o++)
            for (int t = 0; t < 9; t++)
                k->mirrored[9 * ((size_t)c * k->cout + o) + t] =
                    k->weight[9 * ((size_t)o * k->cin + c) + 8 - t];
}

enum nst_status nst_cpu_conv_new(struct nst_backend *be, struct nst_conv **out,
                                 const float *weight, const float *bias, int cin,
                                 int cout, bool gradient, struct nst_err *err)
{
    struct nst_conv *k = nst_xcalloc(1, sizeof *k);
    enum nst_status st;

    *out = NULL;
    k->cin = cin;
    k->cout = cout;
    st = nst_floats_new(&k->weight, cout, cin, 9, err);
    if (st == NST_OK)
        st = nst_floats_new(&k->bias, cout, 1, 1, err);
    if (st == NST_OK && gradient)
        st = nst_floats_new(&k->mirrored, cin, cout, 9, err);
    if (st != NST_OK) {
        nst_cpu_conv_free(be, k);
        return st;
    }
    memcpy(k->weight, weight, (size_t)cout * cin * 9 * sizeof *weight);
    memcpy(k->bias, bias, (size_t)cout * sizeof *bias);
    if (gradient)
        mirror(k);
    *out = k;
    return NST_OK;
}

/* count values of row r of a channel (h x w), from column s on; zero outside. */
static void gather_row(const float *x, int h, int w, int r, int s, int count, bool relu,
                       float *to)
{
    int lead, n;

    if (r < 0 || r >= h) {
        memset(to, 0, (size_t)count * sizeof *to);
        return;
    }
    lead = s < 0 ? -s : 0;
    n = s + count > w ? w - s - lead : count - lead;
    for (int i = 0; i < lead; i++)
        to[i] = 0;
    x += (size_t)r * w + s + lead;
    if (relu) {
#pragma omp simd
        for (int i = 0; i < n; i++)
            to[lead + i] = x[i] > 0 ? x[i] : 0;
    } else
        memcpy(to + lead, x, (size_t)n * sizeof *to);
    for (int i = lead + n; i < count; i++)
        to[i] = 0;
}

/* Rows 9c+3u+v of m (9 channels x n): tap (u, v) of channel c for pixels first to
 * first + n - 1 of the map, counted row by row. */
static void gather(const float *x, struct nst_shape s, size_t first, int n, bool relu,
                   float *m)
{
    for (int c = 0; c < s.c; c++, x += nst_shape_area(s))
        for (int t = 0; t < 9; t++, m += n) {
            size_t p = first;
            int done = 0;

            while (done < n) {
                int i = (int)(p / s.w), j = (int)(p % s.w);
                int count = n - done < s.w - j ? n - done : s.w - j;

                gather_row(x, s.h, s.w, i + t / 3 - 1, j + t % 3 - 1, count, relu,
                           m + done);
                done += count;
                p += (size_t)count;
            }
        }
}

static void apply_relu(float *y, size_t area, int cout, int n)
{
    for (int o = 0; o < cout; o++, y += area) {
#pragma omp simd
        for (int i = 0; i < n; i++)
            y[i] = y[i] > 0 ? y[i] : 0;
    }
}

static void convolve(struct nst_backend *be, const float *weight, const float *bias,
                     const struct nst_tensor *x, bool relu, struct nst_tensor *y,
                     bool out_relu)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;
    size_t area = nst_shape_area(x->shape);
    int k = 9 * x->shape.c, cout = y->shape.c;
    int strip = (int)(NST_CPU_SCRATCH / (size_t)k);
    long strips;

    if (strip >= 16)
        strip = strip / 16 * 16;
    strips = (long)((area + (size_t)strip - 1) / (size_t)strip);
#pragma omp parallel for num_threads(be->threads) schedule(dynamic)
    for (long s = 0; s < strips; s++) {
        size_t first = (size_t)s * strip;
        int n = (int)(area - first < (size_t)strip ? area - first : (size_t)strip);
        float *m = cpu->scratch[omp_get_thread_num()], *to = y->data + first;

        gather(x->data, x->shape, first, n, relu, m);
        for (int o = 0; bias && o < cout; o++)
            for (int i = 0; i < n; i++)
                to[o * area + i] = bias[o];
        nst_cpu_gemm(false, cout, n, k, weight, k, m, n, bias ? 1 : 0, to, (int)area);
        if (out_relu)
            apply_relu(to, area, cout, n);
    }
}

void nst_cpu_conv(struct nst_backend *be, const struct nst_conv *k,
                  const struct nst_tensor *x, bool relu, struct nst_tensor *y,
                  bool out_relu)
{
    convolve(be, k->weight, k->bias, x, relu, y, out_relu);
}

void nst_cpu_conv_grad(struct nst_backend *be, const struct nst_conv *k,
                       const struct nst_tensor *gy, struct nst_tensor *gx)
{
    convolve(be, k->mirrored, NULL, gy, false, gx, false);
}
