/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "job/scales.h"

#include <string.h>

/* auto does not begin below this. */
#define LEAST 256

static int64_t iterations_at(const struct nst_params *p, int i)
{
    const struct nst_list *given = &p->scale_iterations;
    int64_t n = p->iterations >> i;

    if (given->count)
        return given->value[i < given->count ? i : given->count - 1];
    return given->automatic && i > 0 ? (n > 0 ? n : 1) : p->iterations;
}

int nst_scales(const struct nst_params *p, int longest,
               struct nst_scale scale[NST_LIST_MAX])
{
    int count = 0;

    for (int i = 0; i < p->scales.count - 1 && p->scales.value[i] < longest; i++)
        scale[count++].longest = (int)p->scales.value[i];
    for (int shift = NST_LIST_MAX - 1; p->scales.automatic && shift > 0; shift--)
        if (longest >> shift >= LEAST)
            scale[count++].longest = longest >> shift;
    scale[count++].longest = longest;
    for (int i = 0; i < count; i++)
        scale[i].iterations = iterations_at(p, i);
    return count;
}

int64_t nst_scales_iterations(const struct nst_params *p, int longest)
{
    struct nst_scale scale[NST_LIST_MAX];
    int count = nst_scales(p, longest, scale);
    int64_t sum = 0;

    for (int i = 0; i < count; i++)
        sum += scale[i].iterations;
    return sum;
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
                           "scale-iterations: %d numbers for %d scales", n->count,
                           s->count ? s->count : 1);
    if (p->compat && p->optimiser)
        return nst_err_set(err, NST_ERR_ARG, "optimiser: --compat has its own");
    if (p->compat && p->adaptive)
        return nst_err_set(err, NST_ERR_ARG,
                           "adaptive: the recipe of --compat is fixed");
    if (p->compat && (s->count || s->automatic))
        return nst_err_set(err, NST_ERR_ARG,
                           "scales: the recipe of --compat has only one");
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
