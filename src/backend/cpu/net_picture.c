/* SPDX-License-Identifier: MIT */
/*
 * net_picture.c - 9x9 convolutions from and to pictures. An item of the work is a band
 * of rows.
 */
#include "config.h"

#include <string.h>

#include "backend/cpu/net.h"
#include "kernels/net_reference.h"

#define SIDE NST_CPU_NET_SIDE
#define REACH NST_NET_REACH
#define BAND 16 /* rows */
#define ROWS (BAND + 2 * REACH)
#define COLUMNS 128 /* pixels that a picture is made of at a time */
#define PLANE (COLUMNS + 2 * REACH)
/* A map's pixel has the weights of so many values of a picture. */
#define BLOCK_WEIGHTS (SIDE * NST_BLOCK * SIDE * 3)

struct picture_args {
    struct nst_cpu *cpu;
    const struct nst_net_conv *k;
    const struct nst_net_view *x;
    const struct nst_tensor *map;
    const struct nst_cpu_net_sums *sums;
    const float *from;
    float *to;
};

size_t nst_cpu_net_picture_floats(const struct nst_net_conv *k)
{
    if (k->kind == NST_NET_FROM_PICTURE)
        return (size_t)k->out * SIDE * NST_PICTURE_TAPS * NST_BLOCK;
    return (size_t)k->in * BLOCK_WEIGHTS;
}

void nst_cpu_net_picture_set(struct nst_net_conv *k, const struct nst_net_filters *f)
{
    bool from = k->kind == NST_NET_FROM_PICTURE;
    const float *w = f->weight;

    for (int o = 0; o < f->cout; o++)
        for (int c = 0; c < f->cin; c++)
            for (int u = 0; u < SIDE; u++)
                for (int v = 0; v < SIDE; v++, w++) {
                    int map = from ? o : c, colour = from ? c : o,
                        block = map / NST_BLOCK, i = map % NST_BLOCK;

                    if (from)
                        k->weight[(((size_t)block * SIDE + u) * NST_PICTURE_TAPS +
                                   (size_t)(3 * v + colour)) *
                                      NST_BLOCK +
                                  i] = *w;
                    else
                        k->weight[(((size_t)(block * SIDE + u) * NST_BLOCK + i) * SIDE +
                                   v) *
                                      3 +
                                  colour] = *w;
                }
    for (int o = 0; !from && o < 3; o++)
        k->bias[o] = f->bias ? f->bias[o] : 0;
}

static size_t interleaved_pitch(int width)
{
    return (size_t)(width + 2 * REACH) * 3;
}

struct nst_cpu_scratch nst_cpu_net_picture_scratch(int width)
{
    /* a row of the picture may be read past its end by prefetching only */
    size_t from = ROWS * interleaved_pitch(width);
    size_t to = (size_t)ROWS * NST_BLOCK * PLANE + (size_t)3 * BAND * COLUMNS;

    return (struct nst_cpu_scratch){.tiles = from > to ? from : to};
}

int nst_cpu_net_picture_items(int height)
{
    return (height + BAND - 1) / BAND;
}

/* A row of pixels of RGB, with REACH reflected on each side. */
static void interleave_row(const struct picture_args *a, int row, float *to)
{
    struct nst_shape s = a->map->shape;
    size_t area = nst_shape_area(s);
    const float *from = a->from + (size_t)nst_reflected(row, s.h) * s.w;

    for (int j = -REACH; j < s.w + REACH; j++, to += 3) {
        const float *pixel = from + nst_reflected(j, s.w);

        to[0] = pixel[0];
        to[1] = pixel[area];
        to[2] = pixel[2 * area];
    }
}

static void from_picture_band(void *ctx, int item, int thread)
{
    const struct picture_args *a = ctx;
    struct nst_shape s = a->map->shape;
    int first = item * BAND, last = nst_cpu_min(first + BAND, s.h);
    size_t pitch = interleaved_pitch(s.w);
    float *rows = a->cpu->tiles[thread];

    for (int r = first - REACH; r < last + REACH; r++)
        interleave_row(a, r, rows + (size_t)(r - first + REACH) * pitch);
    for (int r = first; r < last; r++) {
        a->cpu->kernels->net->from_picture(
            &(struct nst_gemm){.n = s.w,
                               .in = SIDE,
                               .out = a->k->out,
                               .a = rows + (size_t)(r - first) * pitch,
                               .a_stride = pitch,
                               .w = a->k->weight,
                               .c = nst_cpu_row(a->map, 0, r),
                               .c_stride = nst_cpu_stride(s)});
        for (int b = 0; nst_cpu_net_summed(a->sums, r) && b < a->k->out; b++) {
            float sums[2][NST_BLOCK] = {{0}};

            a->cpu->kernels->net->sums(s.w, nst_cpu_row(a->map, b, r), sums);
            nst_cpu_net_sums_add(a->sums, item, b, sums);
        }
    }
}

void nst_cpu_net_from_picture(struct nst_cpu *cpu, const struct nst_net_conv *k,
                              const float *rgb, struct nst_tensor *y,
                              const struct nst_cpu_net_sums *sums)
{
    struct picture_args a = {.cpu = cpu, .k = k, .map = y, .sums = sums, .from = rgb};

    nst_threads_run(cpu->base.threads, nst_cpu_net_picture_items(y->shape.h),
                    from_picture_band, &a);
}

/* Planes of a block's channels for n outputs of a row, from column first on. */
static void planar_row(const struct picture_args *a, int b, int row, int first, int n,
                       float *to)
{
    struct nst_shape s = a->map->shape;
    struct nst_block_view view = nst_cpu_net_block(a->x, b);
    const float *from = nst_cpu_row(a->map, b, nst_reflected(row, s.h));
    int left = first < REACH ? 0 : first - REACH;
    int right = nst_cpu_min(first + n + REACH, s.w);

    a->cpu->kernels->net->planar(right - left, from + (size_t)left * NST_BLOCK, &view,
                                 to + (left - first + REACH), PLANE);
    for (int j = first - REACH; j < first + n + REACH; j++)
        if (j < left || j >= right)
            a->cpu->kernels->net->planar(1, from + nst_reflected(j, s.w) * NST_BLOCK,
                                         &view, to + (j - first + REACH), PLANE);
}

/* n columns of a band of the picture. */
static void picture_columns(const struct picture_args *a, int top, int rows, int first,
                            int n, float *planes, float *colours)
{
    struct nst_shape s = a->map->shape;
    int group = a->cpu->kernels->net->group, whole = (n + group - 1) / group * group;

    for (int c = 0; c < 3; c++)
        for (int i = 0; i < rows * COLUMNS; i++)
            colours[(size_t)c * BAND * COLUMNS + (size_t)i] = a->k->bias[c];
    for (int b = 0; b < a->k->in; b++) {
        for (int r = 0; r < rows + 2 * REACH; r++)
            planar_row(a, b, top + r - REACH, first, n,
                       planes + (size_t)r * NST_BLOCK * PLANE);
        for (int r = 0; r < rows; r++)
            a->cpu->kernels->net->to_picture(
                &(struct nst_to_picture){.n = whole,
                                         .channels = NST_BLOCK,
                                         .x = planes + (size_t)r * NST_BLOCK * PLANE,
                                         .row = (size_t)NST_BLOCK * PLANE,
                                         .channel = PLANE,
                                         .w = a->k->weight + (size_t)b * BLOCK_WEIGHTS,
                                         .y = colours + (size_t)r * COLUMNS,
                                         .colour = (size_t)BAND * COLUMNS});
    }
    for (int c = 0; c < 3; c++)
        for (int r = 0; r < rows; r++)
            memcpy(a->to + ((size_t)c * s.h + (size_t)(top + r)) * s.w + first,
                   colours + ((size_t)c * BAND + (size_t)r) * COLUMNS,
                   (size_t)n * sizeof(float));
}

static void to_picture_band(void *ctx, int item, int thread)
{
    const struct picture_args *a = ctx;
    struct nst_shape s = a->map->shape;
    int top = item * BAND, rows = nst_cpu_min(BAND, s.h - top);
    float *planes = a->cpu->tiles[thread],
          *colours = planes + (size_t)ROWS * NST_BLOCK * PLANE;

    for (int first = 0; first < s.w; first += COLUMNS)
        picture_columns(a, top, rows, first, nst_cpu_min(COLUMNS, s.w - first), planes,
                        colours);
}

void nst_cpu_net_to_picture(struct nst_cpu *cpu, const struct nst_net_conv *k,
                            const struct nst_net_view *x, float *rgb)
{
    struct picture_args a = {.cpu = cpu, .k = k, .x = x, .map = x->x, .to = rgb};

    nst_threads_run(cpu->base.threads, nst_cpu_net_picture_items(a.map->shape.h),
                    to_picture_band, &a);
}
