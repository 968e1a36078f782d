/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/pyramid.h"

#include <math.h>
#include <string.h>

/* First automatic scale, and the minimum of its shorter side. */
#define AUTO_FIRST 64
#define AUTO_MIN_SIDE 16

/* Of a later frame of a film, see nst_pyramid_warm_start(). */
#define LATER_HELD 0.2
#define LATER_DIVISOR 10

static void divide_iterations(const struct nst_params *p, struct nst_level *level,
                              int count)
{
    const struct nst_list *given = &p->scale_iterations;
    int64_t remaining = p->iterations;

    for (int i = 0; i < count; i++) {
        int64_t steps = i < count - 1 ? remaining / 2 : remaining;

        if (given->count)
            steps = given->value[i < given->count ? i : given->count - 1];
        level[i].iterations = steps > 1 ? steps : 1;
        remaining -= steps;
    }
}

/*
 * Each scale is twice the one before. They end below longest, excluding any that is
 * nearly as large. They do not depend on longest, so a large picture begins like a
 * small one.
 */
static int auto_levels(const struct nst_params *p, int longest, int shorter,
                       struct nst_level level[NST_LIST_MAX])
{
    double min_longest = (double)AUTO_MIN_SIDE * longest / shorter;
    int64_t side = p->scales.first ? p->scales.first : AUTO_FIRST;
    int count = 0;

    for (; side * M_SQRT2 < longest; side *= 2)
        if ((double)side >= min_longest && count < NST_LIST_MAX - 1)
            level[count++].longest = (int)side;
    return count;
}

int nst_pyramid_levels(const struct nst_params *p, int height, int width,
                       struct nst_level level[NST_LIST_MAX])
{
    int longest = nst_longest(height, width), shorter = height + width - longest;
    int count = 0;

    for (int i = 0; i < p->scales.count - 1 && p->scales.value[i] < longest; i++)
        level[count++].longest = (int)p->scales.value[i];
    if (p->scales.automatic)
        count = auto_levels(p, longest, shorter, level);
    level[count++].longest = longest;
    divide_iterations(p, level, count);
    return count;
}

int64_t nst_pyramid_iterations(const struct nst_params *p, int height, int width)
{
    struct nst_level level[NST_LIST_MAX];
    int count = nst_pyramid_levels(p, height, width, level);
    int64_t sum = 0;

    for (int i = 0; i < count; i++)
        sum += level[i].iterations;
    return sum;
}

void nst_pyramid_warm_start(struct nst_params *p, int height, int width, double held)
{
    struct nst_level level[NST_LIST_MAX];
    int count = nst_pyramid_levels(p, height, width, level);
    int64_t few = nst_pyramid_iterations(p, height, width) / LATER_DIVISOR;

    p->iterations = level[count - 1].iterations;
    if (count > 1)
        p->iterations += level[count - 2].iterations;
    if (few < NST_LATER_STEPS)
        few = NST_LATER_STEPS;
    if (held >= LATER_HELD && p->iterations > few)
        p->iterations = few;
    p->scales = (struct nst_list){.count = 0};
    p->scale_iterations = (struct nst_list){.automatic = true};
}

void nst_pyramid_first_frame(struct nst_params *p, int height, int width)
{
    struct nst_level level[NST_LIST_MAX];
    int count = nst_pyramid_levels(p, height, width, level);
    struct nst_params later = *p;

    if (count == 1)
        return;
    nst_pyramid_warm_start(&later, height, width, 1);
    level[count - 1].iterations += later.iterations;
    p->scale_iterations = (struct nst_list){.count = count};
    for (int i = 0; i < count; i++)
        p->scale_iterations.value[i] = level[i].iterations;
}

static double cost(const struct nst_level *level, int64_t steps)
{
    return (double)level->longest * level->longest * (double)steps;
}

double nst_pyramid_progress(const struct nst_level *level, int count, int current,
                            int64_t done)
{
    double before = 0, all = 0;

    for (int i = 0; i < count; i++) {
        if (i == current)
            before = all + cost(&level[i], done);
        all += cost(&level[i], level[i].iterations);
    }
    return before / all;
}

enum nst_status nst_pyramid_check(const struct nst_params *p, struct nst_err *err)
{
    const struct nst_list *s = &p->scales, *n = &p->scale_iterations;

    if (n->count && !s->automatic && n->count != (s->count ? s->count : 1))
        return nst_err_set(err, NST_ERR_ARG,
                           "scale-iterations: %d values for %d scales", n->count,
                           s->count ? s->count : 1);
    return NST_OK;
}

/* The mixer of SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t splitmix64(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void nst_uniform_noise(float *x, size_t n, int64_t seed)
{
    uint64_t state = splitmix64((uint64_t)seed + 1);

    for (size_t i = 0; i < n; i++)
        x[i] = (float)(splitmix64(state += 0x9e3779b97f4a7c15u) >> 40) / (1 << 24);
}
