/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/colour_transfer.h"

#include <math.h>
#include <stdbool.h>

/* Lower bound of a standard deviation, one step of 8 bits: dividing by less would
 * amplify rounding noise, and the matrix of a grey picture would have no inverse. */
#define MIN_STDDEV (1.0 / 255)

static float clamp01(double v)
{
    return (float)(v > 0 ? v < 1 ? v : 1 : 0);
}

void nst_colour_transfer_luma(float *rgb, const float *content, size_t n)
{
    static const double luma[3] = {0.299, 0.587, 0.114};

    for (size_t i = 0; i < n; i++) {
        double difference = 0;

        for (int k = 0; k < 3; k++)
            difference += luma[k] * ((double)rgb[k * n + i] - content[k * n + i]);
        for (int k = 0; k < 3; k++)
            rgb[k * n + i] = clamp01(content[k * n + i] + difference);
    }
}

struct colour_statistics {
    double mean[3];
    double eigenvectors[3][3]; /* of the covariance, of length 1 */
    double stddev[3];          /* along each eigenvector */
};

/* Make a[p][q] of the symmetric a zero by a rotation, which also turns the rows of v.
 */
static void rotate(double a[3][3], double v[3][3], int p, int q)
{
    double theta, t, c, s;

    if (a[p][q] == 0)
        return;
    theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
    t = copysign(1, theta) / (fabs(theta) + sqrt(theta * theta + 1));
    c = 1 / sqrt(t * t + 1);
    s = t * c;
    for (int k = 0; k < 3; k++) {
        double x = a[k][p], y = a[k][q];

        a[k][p] = c * x - s * y;
        a[k][q] = s * x + c * y;
    }
    for (int k = 0; k < 3; k++) {
        double x = a[p][k], y = a[q][k];

        a[p][k] = c * x - s * y;
        a[q][k] = s * x + c * y;
        x = v[p][k];
        y = v[q][k];
        v[p][k] = c * x - s * y;
        v[q][k] = s * x + c * y;
    }
}

/* Eigenvectors v, in rows, of the symmetric a by Jacobi's method (Golub and Van Loan,
 * Matrix Computations, section 8.5); the diagonal of a becomes the eigenvalues.
 * Convergence is quadratic: 12 sweeps are more than enough for 3 x 3. */
static void diagonalise(double a[3][3], double v[3][3])
{
    for (int k = 0; k < 3; k++)
        for (int l = 0; l < 3; l++)
            v[k][l] = k == l;
    for (int sweep = 0; sweep < 12; sweep++) {
        rotate(a, v, 0, 1);
        rotate(a, v, 0, 2);
        rotate(a, v, 1, 2);
    }
}

static void measure_colours(const float *rgb, size_t n, struct colour_statistics *s)
{
    double covariance[3][3];

    for (int k = 0; k < 3; k++) {
        s->mean[k] = 0;
        for (size_t i = 0; i < n; i++)
            s->mean[k] += rgb[k * n + i];
        s->mean[k] /= (double)n;
    }
    for (int k = 0; k < 3; k++)
        for (int l = 0; l <= k; l++) {
            double sum = 0;

            for (size_t i = 0; i < n; i++)
                sum += (rgb[k * n + i] - s->mean[k]) * (rgb[l * n + i] - s->mean[l]);
            covariance[k][l] = covariance[l][k] = sum / (double)n;
        }
    diagonalise(covariance, s->eigenvectors);
    for (int j = 0; j < 3; j++)
        s->stddev[j] = covariance[j][j] > 0 ? sqrt(covariance[j][j]) : 0;
}

/* Symmetric square root of the covariance, or its inverse. */
static void matrix_sqrt(const struct colour_statistics *s, bool inverse, double m[3][3])
{
    for (int k = 0; k < 3; k++)
        for (int l = 0; l < 3; l++) {
            m[k][l] = 0;
            for (int j = 0; j < 3; j++) {
                double scale =
                    inverse ? 1 / fmax(s->stddev[j], MIN_STDDEV) : s->stddev[j];

                m[k][l] += scale * s->eigenvectors[j][k] * s->eigenvectors[j][l];
            }
        }
}

void nst_colour_transfer_match(float *style, size_t style_n, const float *content,
                               size_t content_n)
{
    struct colour_statistics from, to;
    double whiten[3][3], colour[3][3];

    measure_colours(style, style_n, &from);
    measure_colours(content, content_n, &to);
    matrix_sqrt(&from, true, whiten);
    matrix_sqrt(&to, false, colour);
    for (size_t i = 0; i < style_n; i++) {
        double z[3] = {0}; /* uncorrelated, variance 1 */

        for (int k = 0; k < 3; k++)
            for (int l = 0; l < 3; l++)
                z[k] += whiten[k][l] * (style[l * style_n + i] - from.mean[l]);
        for (int k = 0; k < 3; k++) {
            double v = to.mean[k];

            for (int l = 0; l < 3; l++)
                v += colour[k][l] * z[l];
            style[k * style_n + i] = clamp01(v);
        }
    }
}
