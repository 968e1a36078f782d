/* SPDX-License-Identifier: MIT */
/*
 * network.h - a small network with random weights, and images of noise, for the tests
 * of whole objectives.
 */
#ifndef NST_TESTS_NETWORK_H
#define NST_TESTS_NETWORK_H

#include <math.h>

#include "model/weights.h"
#include "../tap.h"

#define TEST_CONVS 6

/* width: output channels of each convolution */
static inline struct nst_weights *random_weights_of(const int width[TEST_CONVS],
                                                    unsigned *seed)
{
    struct nst_weights *w = calloc(1, sizeof *w);

    w->convs = TEST_CONVS;
    for (int i = 0; i < TEST_CONVS; i++) {
        struct nst_layer_weights *l = &w->conv[i];
        int n;

        l->cin = i ? width[i - 1] : 3;
        l->cout = width[i];
        n = 9 * l->cin * l->cout;
        l->weight = malloc((size_t)n * sizeof(float));
        l->bias = malloc((size_t)l->cout * sizeof(float));
        for (int k = 0; k < n; k++)
            l->weight[k] = tap_random(seed) * 1.7f / sqrtf((float)(3 * l->cin));
        for (int k = 0; k < l->cout; k++)
            l->bias[k] = 0.1f * tap_random(seed);
    }
    return w;
}

static inline struct nst_weights *random_weights(unsigned *seed)
{
    return random_weights_of((const int[TEST_CONVS]){5, 8, 6, 7, 9, 4}, seed);
}

static inline void random_picture(float *rgb, size_t n, unsigned *seed)
{
    for (size_t i = 0; i < n; i++)
        rgb[i] = 0.5f + 0.5f * tap_random(seed);
}

#endif
