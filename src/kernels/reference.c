/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "kernels/reference.h"

#include <string.h>

static inline float relu_if(float x, int relu)
{
    return relu && !(x > 0) ? 0 : x;
}

static double conv_at(const float *x, int relu, const float *k, int h, int w, int i,
                      int j, enum nst_padding padding)
{
    double sum = 0;

    for (int u = 0; u < 3; u++)
        for (int v = 0; v < 3; v++) {
            int r = nst_padded_index(i + u - 1, h, padding);
            int s = nst_padded_index(j + v - 1, w, padding);

            if (r >= 0 && s >= 0)
                sum += (double)k[3 * u + v] * relu_if(x[(size_t)r * w + s], relu);
        }
    return sum;
}

void nst_conv3x3_c(const float *x, int relu, const float *weight, const float *bias,
                   float *y, int cin, int cout, int h, int w, enum nst_padding padding)
{
    size_t area = (size_t)h * w;

    for (int o = 0; o < cout; o++)
        for (int i = 0; i < h; i++)
            for (int j = 0; j < w; j++) {
                double sum = bias ? bias[o] : 0;

                for (int c = 0; c < cin; c++)
                    sum +=
                        conv_at(x + c * area, relu, weight + 9 * ((size_t)o * cin + c),
                                h, w, i, j, padding);
                y[o * area + (size_t)i * w + j] = (float)sum;
            }
}

/* Gradient of one filter by pixel p, q. */
static double conv_grad_at(const float *gy, const float *k, int h, int w, int p, int q,
                           enum nst_padding padding)
{
    double sum = 0;
    int row[2], column[2];

    for (int u = 0; u < 3; u++)
        for (int v = 0; v < 3; v++) {
            int rows = nst_padded_readers(p, u, h, padding, row);
            int columns = nst_padded_readers(q, v, w, padding, column);

            for (int r = 0; r < rows; r++)
                for (int s = 0; s < columns; s++)
                    sum += (double)k[3 * u + v] * gy[(size_t)row[r] * w + column[s]];
        }
    return sum;
}

void nst_conv3x3_grad_c(const float *gy, const float *weight, float *gx, int cin,
                        int cout, int h, int w, enum nst_padding padding)
{
    size_t area = (size_t)h * w;

    for (int c = 0; c < cin; c++)
        for (int p = 0; p < h; p++)
            for (int q = 0; q < w; q++) {
                double sum = 0;

                for (int o = 0; o < cout; o++)
                    sum +=
                        conv_grad_at(gy + o * area, weight + 9 * ((size_t)o * cin + c),
                                     h, w, p, q, padding);
                gx[c * area + (size_t)p * w + q] = (float)sum;
            }
}

/* Offsets of the four values of the window at p, row by row. */
static inline void window(size_t p, int w, size_t at[4])
{
    at[0] = p;
    at[1] = p + 1;
    at[2] = p + w;
    at[3] = p + w + 1;
}

void nst_maxpool_c(const float *x, int relu, float *y, int c, int h, int w)
{
    size_t at[4];

    for (int k = 0; k < c; k++, x += (size_t)h * w)
        for (int i = 0; i + 1 < h; i += 2)
            for (int j = 0; j + 1 < w; j += 2) {
                float m;

                window((size_t)i * w + j, w, at);
                m = relu_if(x[at[0]], relu);
                for (int t = 1; t < 4; t++)
                    if (relu_if(x[at[t]], relu) > m)
                        m = relu_if(x[at[t]], relu);
                *y++ = m;
            }
}

void nst_avgpool_c(const float *x, int relu, float *y, int c, int h, int w)
{
    size_t at[4];

    for (int k = 0; k < c; k++, x += (size_t)h * w)
        for (int i = 0; i + 1 < h; i += 2)
            for (int j = 0; j + 1 < w; j += 2) {
                double sum = 0;

                window((size_t)i * w + j, w, at);
                for (int t = 0; t < 4; t++)
                    sum += relu_if(x[at[t]], relu);
                *y++ = (float)(sum / 4);
            }
}

void nst_maxpool_grad_c(const float *x, int relu, const float *gy, float *gx, int c,
                        int h, int w)
{
    size_t at[4];

    memset(gx, 0, (size_t)c * h * w * sizeof *gx);
    for (int k = 0; k < c; k++, x += (size_t)h * w, gx += (size_t)h * w)
        for (int i = 0; i + 1 < h; i += 2)
            for (int j = 0; j + 1 < w; j += 2) {
                int best = 0;

                window((size_t)i * w + j, w, at);
                for (int t = 1; t < 4; t++)
                    if (relu_if(x[at[t]], relu) > relu_if(x[at[best]], relu))
                        best = t;
                gx[at[best]] = *gy++;
            }
}

void nst_avgpool_grad_c(const float *gy, float *gx, int c, int h, int w)
{
    size_t at[4];

    memset(gx, 0, (size_t)c * h * w * sizeof *gx);
    for (int k = 0; k < c; k++, gx += (size_t)h * w)
        for (int i = 0; i + 1 < h; i += 2)
            for (int j = 0; j + 1 < w; j += 2) {
                window((size_t)i * w + j, w, at);
                for (int t = 0; t < 4; t++)
                    gx[at[t]] = *gy / 4;
                gy++;
            }
}

void nst_relu_grad_c(const float *y, float *g, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        g[i] = y[i] > 0 ? g[i] : 0;
}

static double mask_weight(const float *mask, size_t p)
{
    return mask ? mask[p] : 1;
}

void nst_gram_c(const float *f, int relu, const float *mask, double *sums, int c,
                size_t area)
{
    for (int a = 0; a < c; a++)
        for (int b = 0; b < c; b++) {
            double sum = 0;

            for (size_t p = 0; p < area; p++)
                sum += mask_weight(mask, p) * relu_if(f[a * area + p], relu) *
                       relu_if(f[b * area + p], relu);
            sums[(size_t)a * c + b] += sum;
        }
}

void nst_channel_sums_c(const float *f, int relu, const float *mask, double *sums,
                        int c, size_t area)
{
    for (int a = 0; a < c; a++) {
        double sum = 0;

        for (size_t p = 0; p < area; p++)
            sum += mask_weight(mask, p) * relu_if(f[a * area + p], relu);
        sums[a] += sum;
    }
}

void nst_gram_grad_c(const float *f, int relu, const float *mask, const float *s,
                     const float *offset, float *g, int c, size_t area)
{
    for (int a = 0; a < c; a++)
        for (size_t p = 0; p < area; p++) {
            double sum = offset ? offset[a] : 0;

            for (int b = 0; b < c; b++)
                sum += (double)s[(size_t)a * c + b] * relu_if(f[b * area + p], relu);
            g[a * area + p] += (float)(mask_weight(mask, p) * sum);
        }
}

double nst_squared_error_c(const float *f, int relu, const float *t, size_t n)
{
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        double d = (double)relu_if(f[i], relu) - t[i];

        sum += d * d;
    }
    return sum;
}

void nst_squared_error_grad_c(const float *f, int relu, const float *t, float scale,
                              float *g, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        g[i] += scale * (relu_if(f[i], relu) - t[i]);
}
