/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "backend/cpu/cpu.h"

#include <string.h>

#define SQUARE (NST_BLOCK * NST_BLOCK)

/* Pairs (a, b) of blocks with a <= b, numbered row by row. */
static size_t pair_index(int a, int b, int blocks)
{
    return (size_t)a * blocks - (size_t)a * (a - 1) / 2 + (b - a);
}

/* Sum one group of rows: part holds 16 x 16 for each pair. */
static void sum_rows(const struct nst_cpu *cpu, const struct nst_tensor *f, bool relu,
                     int first, int last, float *part)
{
    int blocks = nst_cpu_blocks(f->shape.c);

    memset(part, 0, pair_index(blocks - 1, blocks, blocks) * SQUARE * sizeof *part);
    for (int r = first; r < last; r++)
        for (int a = 0; a < blocks; a++)
            for (int b = a; b < blocks; b++)
                cpu->kernels->gram(f->shape.w, nst_cpu_row(f, a, r),
                                   nst_cpu_row(f, b, r), relu,
                                   part + pair_index(a, b, blocks) * SQUARE);
}

void nst_cpu_gram(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                  float *gram)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;
    int c = f->shape.c, blocks = nst_cpu_blocks(c), h = f->shape.h;
    int groups = h < NST_CPU_GRAM_GROUPS ? h : NST_CPU_GRAM_GROUPS;
    size_t part = cpu->gram_side * cpu->gram_side;
    double scale = 1 / ((double)c * (double)nst_shape_area(f->shape));
    int threads = nst_cpu_threads(be, f->shape);

#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int g = 0; g < groups; g++)
        sum_rows(cpu, f, relu, (int)((long)h * g / groups),
                 (int)((long)h * (g + 1) / groups), cpu->gram_parts + g * part);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int i = 0; i < c; i++)
        for (int j = i; j < c; j++) {
            size_t at = pair_index(i / NST_BLOCK, j / NST_BLOCK, blocks) * SQUARE +
                        (size_t)(i % NST_BLOCK) * NST_BLOCK + (size_t)(j % NST_BLOCK);
            double sum = 0;

            for (int g = 0; g < groups; g++)
                sum += cpu->gram_parts[g * part + at];
            gram[(size_t)i * c + j] = gram[(size_t)j * c + i] = (float)(sum * scale);
        }
}

/* s as product wants it: out blocks x (16 in) x 16, filled up with zeros. */
static void pack(const float *s, int c, float *w)
{
    int side = nst_cpu_blocks(c) * NST_BLOCK;

    for (int o = 0; o < side; o++)
        for (int i = 0; i < side; i++)
            w[((size_t)(o / NST_BLOCK) * side + (size_t)i) * NST_BLOCK +
              (size_t)(o % NST_BLOCK)] =
                o < c && i < c ? s[(size_t)o * c + (size_t)i] : 0;
}

void nst_cpu_gram_grad(struct nst_backend *be, const struct nst_tensor *f, bool relu,
                       const float *s, struct nst_tensor *g)
{
    struct nst_cpu *cpu = (struct nst_cpu *)be;
    struct nst_shape shape = f->shape;
    int blocks = nst_cpu_blocks(shape.c);

    pack(s, shape.c, cpu->gram_parts);
#pragma omp parallel for num_threads(nst_cpu_threads(be, shape)) schedule(static)
    for (int r = 0; r < shape.h; r++)
        cpu->kernels->product(shape.w, blocks, blocks, nst_cpu_row(f, 0, r),
                              nst_cpu_stride(shape), relu, cpu->gram_parts,
                              nst_cpu_row(g, 0, r), nst_cpu_stride(shape), true);
}
