/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "kernels/net_reference.h"

#include <stddef.h>

/* The pixel of n that tap u of output i reads. */
static int source(struct nst_net_geometry g, int i, int u, int n)
{
    return nst_reflected(g.stride * i + u - g.side / 2, g.zoom * n) / g.zoom;
}

static double one_output(struct nst_net_geometry g, const float *x, const float *weight,
                         int i, int j, int cin, int h, int w)
{
    double sum = 0;

    for (int c = 0; c < cin; c++)
        for (int u = 0; u < g.side; u++)
            for (int v = 0; v < g.side; v++)
                sum += (double)weight[((size_t)c * g.side + u) * g.side + v] *
                       x[((size_t)c * h + source(g, i, u, h)) * w + source(g, j, v, w)];
    return sum;
}

void nst_net_conv_c(struct nst_net_geometry g, const float *x, const float *weight,
                    const float *bias, float *y, int cin, int cout, int h, int w)
{
    int yh = (g.zoom * h + g.stride - 1) / g.stride;
    int yw = (g.zoom * w + g.stride - 1) / g.stride;

    for (int o = 0; o < cout; o++, weight += (size_t)cin * g.side * g.side)
        for (int i = 0; i < yh; i++)
            for (int j = 0; j < yw; j++)
                *y++ = (float)((bias ? bias[o] : 0) +
                               one_output(g, x, weight, i, j, cin, h, w));
}

void nst_net_conv_grad_c(struct nst_net_geometry g, const float *gy,
                         const float *weight, float *gx, int cin, int cout, int h,
                         int w)
{
    int yh = (g.zoom * h + g.stride - 1) / g.stride;
    int yw = (g.zoom * w + g.stride - 1) / g.stride;

    for (int o = 0; o < cout; o++, gy += (size_t)yh * yw)
        for (int c = 0; c < cin; c++)
            for (int u = 0; u < g.side; u++)
                for (int v = 0; v < g.side; v++, weight++)
                    for (int i = 0; i < yh; i++)
                        for (int j = 0; j < yw; j++)
                            gx[((size_t)c * h + source(g, i, u, h)) * w +
                               source(g, j, v, w)] += *weight * gy[(size_t)i * yw + j];
}

static double one_weight(struct nst_net_geometry g, const float *gy, const float *x,
                         int u, int v, int h, int w)
{
    int yh = (g.zoom * h + g.stride - 1) / g.stride;
    int yw = (g.zoom * w + g.stride - 1) / g.stride;
    double sum = 0;

    for (int i = 0; i < yh; i++)
        for (int j = 0; j < yw; j++)
            sum += (double)gy[(size_t)i * yw + j] *
                   x[(size_t)source(g, i, u, h) * w + source(g, j, v, w)];
    return sum;
}

void nst_net_weight_grad_c(struct nst_net_geometry g, const float *gy, const float *x,
                           float *gw, int cin, int cout, int h, int w)
{
    size_t outputs = (size_t)((g.zoom * h + g.stride - 1) / g.stride) *
                     ((g.zoom * w + g.stride - 1) / g.stride);

    for (int o = 0; o < cout; o++)
        for (int c = 0; c < cin; c++)
            for (int u = 0; u < g.side; u++)
                for (int v = 0; v < g.side; v++)
                    *gw++ += (float)one_weight(g, gy + o * outputs,
                                               x + (size_t)c * h * w, u, v, h, w);
}
