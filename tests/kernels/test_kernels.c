/* SPDX-License-Identifier: MIT */
/*
 * The scalar kernels are the specification. They are compared with arithmetic that can
 * be checked by eye, and each gradient with its definition: <A x, y> = <x, A' y> for
 * linear operators, central differences for the others.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "kernels/reference.h"
#include "../tap.h"

#define C 3
#define O 4
#define H 5
#define W 7
#define AREA (H * W)
#define POOLED (C * (H / 2) * (W / 2))

static unsigned seed;

static void fill(float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = tap_random(&seed);
}

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static int near(double a, double b, double scale)
{
    return fabs(a - b) <= 1e-5 * scale;
}

static void convolution_by_eye(void)
{
    static const float x[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    static const float k[9] = {1, 10, 100, 1000, 10000, 1e5f, 0, 0, -1};
    static const float bias[1] = {0.5f};
    float y[9];

    nst_conv3x3_c(x, 0, k, bias, y, 1, 1, 3, 3, NST_PADDING_ZERO);
    tap(y[4] == 1 + 20 + 300 + 4000 + 50000 + 600000 - 9 + 0.5f &&
            y[0] == 10000 + 200000 - 5 + 0.5f && y[8] == 5 + 60 + 8000 + 90000 + 0.5f,
        "a convolution correlates, and pads with zeros");
    nst_conv3x3_c(x, 0, k, bias, y, 1, 1, 3, 3, NST_PADDING_REPLICATE);
    tap(y[0] == 1 + 10 + 200 + 1000 + 10000 + 200000 - 5 + 0.5f &&
            y[8] == 5 + 60 + 600 + 8000 + 90000 + 900000 - 9 + 0.5f,
        "or with the nearest pixel");
    nst_conv3x3_c(x, 0, k, bias, y, 1, 1, 3, 3, NST_PADDING_REFLECT);
    tap(y[0] == 5 + 40 + 500 + 2000 + 10000 + 200000 - 5 + 0.5f &&
            y[8] == 5 + 60 + 500 + 8000 + 90000 + 800000 - 5 + 0.5f,
        "or with its mirror image");
    y[0] = 7;
    nst_conv3x3_c(x, 0, k, NULL, y, 1, 1, 1, 1, NST_PADDING_ZERO);
    tap(y[0] == 10000, "a map of one pixel is convolved, without a bias");
    nst_conv3x3_c(x, 0, k, NULL, y, 1, 1, 1, 1, NST_PADDING_REFLECT);
    tap(y[0] == 111111 - 1, "and has no neighbour to mirror but itself");
}

static void convolution_adjoint(enum nst_padding padding)
{
    float x[C * AREA], w[O * C * 9], y[O * AREA], gy[O * AREA], gx[C * AREA];
    double a, b;

    fill(x, C * AREA);
    fill(w, O * C * 9);
    fill(gy, O * AREA);
    nst_conv3x3_c(x, 0, w, NULL, y, C, O, H, W, padding);
    nst_conv3x3_grad_c(gy, w, gx, C, O, H, W, padding);
    a = dot(y, gy, O * AREA);
    b = dot(x, gx, C * AREA);
    tap(near(a, b, 100),
        "padding %d: the convolution's gradient is its adjoint (%g, %g)", padding, a,
        b);
}

static void relu_on_the_way(void)
{
    float x[C * AREA], r[C * AREA], w[O * C * 9], a[O * AREA], b[O * AREA], p[POOLED],
        q[POOLED], m[C * C], s[C * AREA] = {0}, t[C * AREA] = {0};
    double g[C * C] = {0}, h[C * C] = {0};

    fill(x, C * AREA);
    fill(w, O * C * 9);
    fill(m, C * C);
    for (int i = 0; i < C * AREA; i++)
        r[i] = x[i] > 0 ? x[i] : 0;
    nst_conv3x3_c(x, 1, w, NULL, a, C, O, H, W, NST_PADDING_REFLECT);
    nst_conv3x3_c(r, 0, w, NULL, b, C, O, H, W, NST_PADDING_REFLECT);
    tap(!memcmp(a, b, sizeof a), "a convolution sees its input through the ReLU");
    nst_maxpool_c(x, 1, p, C, H, W);
    nst_maxpool_c(r, 0, q, C, H, W);
    tap(!memcmp(p, q, sizeof p), "so does max pooling");
    nst_avgpool_c(x, 1, p, C, H, W);
    nst_avgpool_c(r, 0, q, C, H, W);
    tap(!memcmp(p, q, sizeof p), "so does average pooling");
    nst_gram_c(x, 1, NULL, g, C, AREA);
    nst_gram_c(r, 0, NULL, h, C, AREA);
    tap(!memcmp(g, h, sizeof g), "so does the Gram matrix");
    nst_gram_grad_c(x, 1, NULL, m, NULL, s, C, AREA);
    nst_gram_grad_c(r, 0, NULL, m, NULL, t, C, AREA);
    tap(!memcmp(s, t, sizeof s), "and its gradient");
    tap(nst_squared_error_c(x, 1, t, C * AREA) ==
            nst_squared_error_c(r, 0, t, C * AREA),
        "and the squared error");
}

static void pooling_by_eye(void)
{
    static const float x[15] = {1, 2, 5, 5, 9, 4, 3, 5, 5, 9, 8, 8, 8, 8, 8};
    static const float gy[2] = {10, 20};
    float y[2], g[15];

    nst_maxpool_c(x, 0, y, 1, 3, 5);
    tap(y[0] == 4 && y[1] == 5, "max pooling drops an odd row and column");
    nst_maxpool_grad_c(x, 0, gy, g, 1, 3, 5);
    tap(g[5] == 10 && g[2] == 20 && dot(g, g, 15) == 500,
        "the first of equal maxima takes the gradient");
    nst_avgpool_c(x, 0, y, 1, 3, 5);
    tap(y[0] == 2.5f && y[1] == 5, "average pooling averages");
    nst_avgpool_grad_c(gy, g, 1, 3, 5);
    tap(g[0] == 2.5f && g[6] == 2.5f && g[2] == 5 && g[4] == 0 && g[10] == 0,
        "the average's gradient is shared out");
}

static void relu_gradient(void)
{
    static const float y[4] = {1, 0, -1, 1e-30f};
    float g[4] = {2, 3, 4, 5};

    nst_relu_grad_c(y, g, 4);
    tap(g[0] == 2 && g[1] == 0 && g[2] == 0 && g[3] == 5,
        "the ReLU passes the gradient where its output is above 0");
}

static void gram_by_eye(void)
{
    static const float f[4] = {1, 2, 3, -4};
    double g[4] = {1, 0, 0, 0};

    nst_gram_c(f, 0, NULL, g, 2, 2);
    tap(g[0] == 6 && g[1] == -5 && g[2] == -5 && g[3] == 25, "F F' is added up");
}

static void guide_by_eye(void)
{
    static const float f[4] = {1, 2, 3, -4}, guide[2] = {0.5f, 2};
    double g[4] = {0}, sums[2] = {1, 0};

    nst_gram_c(f, 0, guide, g, 2, 2);
    nst_channel_sums_c(f, 1, guide, sums, 2, 2);
    tap(g[0] == 8.5 && g[1] == -14.5 && g[2] == -14.5 && g[3] == 36.5 &&
            sums[0] == 5.5 && sums[1] == 1.5,
        "a guide says how much each pixel counts");
}

/* d/dF of <M, sum_p mask F F'> + <offset, sum_p mask F>: mask ((M + M') F + offset) */
static void gram_gradient(void)
{
    float f[C * AREA], m[C * C], s[C * C], g[C * AREA] = {0};
    float step[C * AREA], moved[C * AREA], guide[AREA], offset[C];
    double gram[C * C] = {0}, sums[C], change = 0, eps = 1e-2;

    fill(f, C * AREA);
    fill(m, C * C);
    fill(step, C * AREA);
    fill(guide, AREA);
    fill(offset, C);
    for (int i = 0; i < C; i++)
        for (int j = 0; j < C; j++)
            s[i * C + j] = m[i * C + j] + m[j * C + i];
    nst_gram_grad_c(f, 0, guide, s, offset, g, C, AREA);
    for (int sign = 1; sign >= -1; sign -= 2) {
        memset(gram, 0, sizeof gram);
        memset(sums, 0, sizeof sums);
        for (int i = 0; i < C * AREA; i++)
            moved[i] = f[i] + (float)(sign * eps) * step[i];
        nst_gram_c(moved, 0, guide, gram, C, AREA);
        nst_channel_sums_c(moved, 0, guide, sums, C, AREA);
        for (int i = 0; i < C * C; i++)
            change += sign * m[i] * gram[i];
        for (int i = 0; i < C; i++)
            change += sign * offset[i] * sums[i];
    }
    change /= 2 * eps;
    tap(fabs(change - dot(g, step, C * AREA)) < 1e-2,
        "the Gram gradient agrees with central differences (%g, %g)", change,
        dot(g, step, C * AREA));
}

static void squared_error(void)
{
    static const float f[3] = {1, 2, 3}, t[3] = {1, 0, 4};
    float g[3] = {1, 1, 1};

    tap(nst_squared_error_c(f, 0, t, 3) == 5, "the squared error is a sum of squares");
    nst_squared_error_grad_c(f, 0, t, 10, g, 3);
    tap(g[0] == 1 && g[1] == 21 && g[2] == -9, "its gradient is added");
}

int main(void)
{
    seed = tap_seed() | 1;
    convolution_by_eye();
    for (int padding = 0; padding < 3; padding++)
        convolution_adjoint((enum nst_padding)padding);
    relu_on_the_way();
    pooling_by_eye();
    relu_gradient();
    gram_by_eye();
    guide_by_eye();
    gram_gradient();
    squared_error();
    return tap_end();
}
