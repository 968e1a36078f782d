/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/cpu/cpu.h"

#include <assert.h>
#include <omp.h>
#include <string.h>

/* n columns of f (c x area) from first on; through relu by way of scratch. */
static const float *columns(const struct nst_tensor *f, bool relu, size_t first, int n,
                            float *scratch, int *pitch)
{
    size_t area = nst_shape_area(f->shape);

    if (!relu) {
        *pitch = (int)area;
        return f->data + first;
    }
    for (int c = 0; c < f->shape.c; c++)
        for (int i = 0; i < n; i++) {
            float v = f->data[c * area + first + i];

            scratch[(size_t)c * n + i] = v > 0 ? v : 0;
        }
    *pitch = n;
    return scratch;
}

static size_t strip_length(int c)
{
    return NST_CPU_SCRATCH / (size_t)c;
}

static int length_at(size_t area, size_t first, size_t strip)
{
    return (int)(area - first < strip ? area - first : strip);
}

void nst_cpu_gram(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                  float *gram)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;
    int c = f->shape.c;
    size_t area = nst_shape_area(f->shape), strip = strip_length(c);
    long strips = (long)((area + strip - 1) / strip);
    long groups = strips < NST_CPU_GRAM_GROUPS ? strips : NST_CPU_GRAM_GROUPS;
    size_t cc = (size_t)c * c;

    assert((size_t)c <= cpu->gram_side);
#pragma omp parallel for num_threads(be->threads) schedule(dynamic)
    for (long g = 0; g < groups; g++) {
        float *part = cpu->gram_parts + (size_t)g * cc;

        memset(part, 0, cc * sizeof *part);
        for (long s = g; s < strips; s += groups) {
            size_t first = (size_t)s * strip;
            int n = length_at(area, first, strip), pitch;
            const float *m =
                columns(f, relu, first, n, cpu->scratch[omp_get_thread_num()], &pitch);

            nst_cpu_gemm(true, c, c, n, m, pitch, m, pitch, 1, part, c);
        }
    }
    for (size_t i = 0; i < cc; i++) {
        double sum = 0;

        for (long g = 0; g < groups; g++)
            sum += cpu->gram_parts[(size_t)g * cc + i];
        gram[i] = (float)(sum / ((double)c * area));
    }
}

void nst_cpu_gram_grad(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                       const float *s, struct nst_tensor *g)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;
    int c = f->shape.c;
    size_t area = nst_shape_area(f->shape), strip = strip_length(c);
    long strips = (long)((area + strip - 1) / strip);

#pragma omp parallel for num_threads(be->threads) schedule(dynamic)
    for (long k = 0; k < strips; k++) {
        size_t first = (size_t)k * strip;
        int n = length_at(area, first, strip), pitch;
        const float *m =
            columns(f, relu, first, n, cpu->scratch[omp_get_thread_num()], &pitch);

        nst_cpu_gemm(false, c, n, c, s, c, m, pitch, 1, g->data + first, (int)area);
    }
}
