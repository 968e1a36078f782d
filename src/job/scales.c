/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "job/scales.h"

#include <math.h>
#include <string.h>

/* Where automatic scales begin, and the least that their shorter side has there. */
#define FROM 64
#define SHORTER_LEAST 16

static void divide_iterations(const struct nst_params *p, struct nst_scale *scale,
                              int count)
{
    const struct nst_list *given = &p->scale_iterations;
    int64_t left = p->iterations;

    for (int i = 0; i < count; i++) {
        int64_t share = i < count - 1 ? left / 2 : left;

        if (given->count)
            share = given->value[i < given->count ? i : given->count - 1];
        scale[i].iterations = share > 1 ? share : 1;
        left -= share;
    }
}

/*
 * Each twice the one before, up to longest, which is not among them, nor is what is
 * nearly as large. They do not depend on longest: a large picture begins as a small one
 * does.
 */
static int automatic(const struct nst_params *p, int longest, int shorter,
                     struct nst_scale scale[NST_LIST_MAX])
{
    double least = (double)SHORTER_LEAST * longest / shorter;
    int64_t side = p->scales.from ? p->scales.from : FROM;
    int count = 0;

    for (; side * M_SQRT2 < longest; side *= 2)
        if ((double)side >= least && count < NST_LIST_MAX - 1)
            scale[count++].longest = (int)side;
    return count;
}

int nst_scales(const struct nst_params *p, int height, int width,
               struct nst_scale scale[NST_LIST_MAX])
{
    int longest = height > width ? height : width, shorter = height + width - longest;
    int count = 0;

    for (int i = 0; i < p->scales.count - 1 && p->scales.value[i] < longest; i++)
        scale[count++].longest = (int)p->scales.value[i];
    if (p->scales.automatic)
        count = automatic(p, longest, shorter, scale);
    scale[count++].longest = longest;
    divide_iterations(p, scale, count);
    return count;
}

int64_t nst_scales_iterations(const struct nst_params *p, int height, int width)
{
    struct nst_scale scale[NST_LIST_MAX];
    int count = nst_scales(p, height, width, scale);
    int64_t sum = 0;

    for (int i = 0; i < count; i++)
        sum += scale[i].iterations;
    return sum;
}

void nst_scales_follow(struct nst_params *p, int height, int width)
{
    struct nst_scale scale[NST_LIST_MAX];
    int count = nst_scales(p, height, width, scale);

    p->iterations = scale[count - 1].iterations;
    if (count > 1)
        p->iterations += scale[count - 2].iterations;
    p->scales = (struct nst_list){.count = 0};
    p->scale_iterations = (struct nst_list){.automatic = true};
}

static double work(const struct nst_params *p, const struct nst_scale *scale,
                   int64_t steps)
{
    double side = scale->longest + 2 * nst_border(p);

    return side * side * (double)steps;
}

double nst_scales_share(const struct nst_params *p, const struct nst_scale *scale,
                        int count, int at, int64_t done)
{
    double before = 0, all = 0;

    for (int i = 0; i < count; i++) {
        if (i == at)
            before = all + work(p, &scale[i], done);
        all += work(p, &scale[i], scale[i].iterations);
    }
    return before / all;
}

enum nst_status nst_scales_check(const struct nst_params *p, struct nst_err *err)
{
    const struct nst_list *s = &p->scales, *n = &p->scale_iterations;

    if (n->count && !s->automatic && n->count != (s->count ? s->count : 1))
        return nst_err_set(err, NST_ERR_ARG,
                           "scale-iterations: %d values for %d scales", n->count,
                           s->count ? s->count : 1);
    if (p->compat && p->optimiser)
        return nst_err_set(err, NST_ERR_ARG,
                           "optimiser: --compat tutorial has its own optimiser");
    if (p->compat && p->adaptive)
        return nst_err_set(err, NST_ERR_ARG,
                           "adaptive: cannot be combined with --compat");
    if (p->compat && (s->count || s->automatic))
        return nst_err_set(err, NST_ERR_ARG,
                           "compat: works with one scale only; add -p classic");
    return NST_OK;
}

int nst_border(const struct nst_params *p)
{
    return p->padding == NST_PADDING_ZERO ? 0 : 32;
}

bool nst_starts_from_file(const struct nst_params *p)
{
    return strcmp(p->init, "content") != 0 && strcmp(p->init, "noise") != 0;
}

/* Steele, Lea and Flood 2014: the mixer of SplitMix64. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void nst_noise(float *x, size_t n, int64_t seed)
{
    uint64_t state = mix((uint64_t)seed + 1);

    for (size_t i = 0; i < n; i++)
        x[i] = (float)(mix(state += 0x9e3779b97f4a7c15u) >> 40) / (1 << 24);
}
