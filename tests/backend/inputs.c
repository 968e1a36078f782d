/* SPDX-License-Identifier: MIT */
/* inputs.c - test inputs: chosen and random shapes, and random values. */
#include "config.h"

#include <math.h>

#include "operators.h"
#include "../tap.h"

static unsigned seed;

/* c, h, w, cout: single pixels, widths around vectors and tiles, odd sizes, multiples
 * for a GPU's tensor cores, few and many channels. Then: strips that end within a row,
 * many channels on a small map, channels that do not fill 64-byte slices in tiles of 16
 * rows. */
static const int shapes[][4] = {
    {1, 1, 1, 1},     {3, 1, 1, 5},      {2, 1, 17, 3},    {2, 19, 1, 3},
    {3, 16, 16, 16},  {3, 31, 33, 17},   {16, 15, 17, 3},  {5, 4, 4, 7},
    {32, 9, 35, 66},  {33, 13, 9, 15},   {40, 12, 20, 24}, {136, 3, 4, 8},
    {64, 12, 20, 64}, {128, 6, 5, 96},   {1, 257, 129, 2}, {7, 45, 100, 16},
    {512, 2, 5, 256}, {20, 14, 60, 128}, {48, 15, 50, 64}, {96, 18, 17, 23},
    {200, 17, 16, 8}, {264, 17, 16, 4},  {128, 22, 20, 3}};
enum { COUNT = sizeof shapes / sizeof *shapes, SMALL = 12, RANDOM = 12, KINDS = 3 };

static float *random_values(size_t n)
{
    float *v = malloc((n ? n : 1) * sizeof *v);

    /* exact in fp16 and TF32; some are equal */
    for (size_t i = 0; i < n; i++)
        v[i] = rintf(1024 * tap_random(&seed)) / 1024;
    return v;
}

/* A random number from 0 to n - 1. */
static int any(int n)
{
    return (int)((tap_random(&seed) + 1) / 2 * (float)n * 0.999999f);
}

size_t guide_area(const struct input *in)
{
    return (size_t)(2 * in->s.h + 1) * (size_t)(2 * in->s.w + 1);
}

/* A third of the inputs has masks (partly 0); most regions have offsets. */
static void make_regions(struct input *in, size_t area)
{
    in->guided = any(3) == 0;
    for (int i = 0; i < REGIONS; i++) {
        struct region_values *t = &in->regions[i];
        float *guide = in->guided ? random_values(area) : NULL;

        for (size_t p = 0; guide && p < area; p++)
            guide[p] = guide[p] > 0 && (p >> 7) % (i + 2u) ? guide[p] : 0;
        *t = (struct region_values){in->square, i != any(3) ? in->bias : NULL, guide};
    }
}

/* Random values for shape s: c, h, w, cout. kind is 0 to KINDS - 1: of padding, and
 * with it of ReLU and pooling. */
static void make_input(struct input *in, const int s[4], int kind)
{
    int odd = kind % 2;
    int larger = s[0] > s[3] ? s[0] : s[3];
    size_t area;

    larger = larger > 3 ? larger : 3;
    in->s = (struct nst_shape){s[0], s[1], s[2]};
    in->cout = s[3];
    in->relu = odd;
    in->pooling = odd ? NST_POOLING_AVG : NST_POOLING_MAX;
    in->padding = (enum nst_padding)kind;
    area = guide_area(in) * (size_t)larger;
    in->x = random_values(area);
    in->other = random_values(area);
    in->third = random_values(area);
    in->weight = random_values((size_t)9 * larger * larger);
    in->bias = random_values((size_t)larger);
    in->square = random_values((size_t)s[0] * s[0]);
    for (int r = 0; r < s[0]; r++)
        for (int c = 0; c < r; c++)
            in->square[r * s[0] + c] = in->square[c * s[0] + r];
    make_regions(in, guide_area(in));
}

/* A random shape, sometimes of one row or column; small if it has many channels. */
static void random_shape(int s[4])
{
    static const int channels[] = {3, 16, 20, 64, 512};
    int limit;

    s[0] = channels[any(5)];
    s[3] = s[0] == 512 ? channels[any(4)] : channels[any(5)];
    limit = s[0] * s[3] > 4096 ? 12 : 70;
    s[1] = any(4) ? 1 + any(limit) : 1;
    s[2] = any(4) ? 1 + any(limit) : 1;
}

struct input *make_inputs(int *count)
{
    bool quick = getenv("NST_TEST_QUICK");
    int chosen = quick ? KINDS * SMALL : KINDS * COUNT;
    struct input *inputs = malloc((KINDS * COUNT + RANDOM) * sizeof *inputs);

    *count = chosen + (quick ? 0 : RANDOM);
    seed = tap_seed() | 1;
    for (int i = 0; i < *count; i++) {
        int any[4];

        random_shape(any);
        make_input(&inputs[i], i < chosen ? shapes[i / KINDS] : any, i % KINDS);
    }
    return inputs;
}

void free_inputs(struct input *inputs, int count)
{
    for (int i = 0; i < count; i++) {
        free(inputs[i].x);
        free(inputs[i].other);
        free(inputs[i].third);
        free(inputs[i].weight);
        free(inputs[i].bias);
        free(inputs[i].square);
        for (int k = 0; k < REGIONS; k++)
            free(inputs[i].regions[k].mask);
    }
    free(inputs);
}
