/* SPDX-License-Identifier: MIT */
/* vectors.c - random vectors, to a backend and back, and their comparison. */
#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "vectors.h"
#include "../tap.h"

static unsigned seed;
double worst;

void begin_values(void)
{
    seed = tap_seed() | 1;
}

float any(void)
{
    return tap_random(&seed);
}

void compare(double got, double want, double tolerance)
{
    double r = fabs(got - want) / tolerance;

    if (got == want || (isnan(got) && isnan(want)))
        return;
    worst = isnan(r) ? INFINITY : fmax(worst, r);
}

float *values(size_t n, float scale)
{
    float *v = malloc((n + BEHIND) * sizeof *v);

    for (size_t i = 0; i < n + BEHIND; i++)
        v[i] = i < n ? scale * any() : (float)i;
    return v;
}

float *nans(size_t n)
{
    float *v = values(n, 1);

    for (size_t i = 0; i < n; i++)
        v[i] = NAN;
    return v;
}

struct nst_buffer *there(struct nst_backend *be, size_t n, const float *host)
{
    size_t bytes = (n + BEHIND) * sizeof *host;
    struct nst_buffer *v;

    if (be->ops->buffer_alloc(be, &v, bytes, NULL) != NST_OK)
        abort();
    be->ops->buffer_upload(be, v, host, bytes);
    return v;
}

float *back(struct nst_backend *be, size_t n, struct nst_buffer *v)
{
    size_t bytes = (n + BEHIND) * sizeof(float);
    float *host = malloc(bytes);

    be->ops->buffer_download(be, host, v, bytes);
    be->ops->buffer_free(be, v);
    for (size_t i = n; i < n + BEHIND; i++)
        compare(host[i], (double)i, 1e-9);
    return host;
}

void drop(struct nst_backend *be, struct nst_buffer *v)
{
    be->ops->buffer_free(be, v);
}

double into(double v)
{
    return fmin(fmax(v, (double)box.lower), (double)box.upper);
}
