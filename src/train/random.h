/* SPDX-License-Identifier: MIT */
/*
 * random.h - random numbers of the training. Each decision has a stream of its own,
 * which the seed and two numbers name, so that none depends on those before it: a
 * resumed training needs no state of a generator.
 */
#ifndef NST_TRAIN_RANDOM_H
#define NST_TRAIN_RANDOM_H

#include <math.h>
#include <stdint.h>

struct nst_random {
    uint64_t state;
};

/* SplitMix64 (Steele, Lea and Flood 2014). */
static inline uint64_t nst_random_next(struct nst_random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline struct nst_random nst_random_stream(uint64_t seed, uint64_t a, uint64_t b)
{
    struct nst_random r = {seed};

    r.state = nst_random_next(&r) ^ a;
    r.state = nst_random_next(&r) ^ b;
    return r;
}

/* From 0 to n - 1. */
static inline uint64_t nst_random_below(struct nst_random *r, uint64_t n)
{
    return nst_random_next(r) % n;
}

/* From low up to high. */
static inline double nst_random_between(struct nst_random *r, double low, double high)
{
    return low + (high - low) * (double)(nst_random_next(r) >> 11) * 0x1p-53;
}

/* Mean 0, variance 1: the sum of four uniform numbers, which is near enough. */
static inline double nst_random_normal(struct nst_random *r)
{
    double sum = 0;

    for (int i = 0; i < 4; i++)
        sum += nst_random_between(r, -0.5, 0.5);
    return sum * sqrt(3);
}

#endif
