/* SPDX-License-Identifier: MIT */
/* padding.h - what a convolution reads beyond the border of a map. */
#ifndef NST_KERNELS_PADDING_H
#define NST_KERNELS_PADDING_H

/* CUDA kernels use these functions, too. */
#ifdef __CUDACC__
#define NST_ON_DEVICE __host__ __device__
#else
#define NST_ON_DEVICE
#endif

/* Zeros; the nearest pixel; or the map mirrored at its outermost pixels, which are not
 * repeated. */
enum nst_padding { NST_PADDING_ZERO, NST_PADDING_REPLICATE, NST_PADDING_REFLECT };

/* The pixel of 0 to n - 1 that stands for pixel i, -1 to n; or -1: a zero. A single
 * pixel has no neighbour to mirror: it is repeated. */
NST_ON_DEVICE static inline int nst_padded_index(int i, int n, enum nst_padding padding)
{
    int inward = padding == NST_PADDING_REFLECT && n > 1;

    if (i >= 0 && i < n)
        return i;
    if (padding == NST_PADDING_ZERO)
        return -1;
    return i < 0 ? inward : n - 1 - inward;
}

/*
 * The transpose: the outputs i of a convolution along n pixels whose tap u, 0 to 2,
 * reads pixel p, inside or as padding. Returns their number, and the outputs in from.
 */
NST_ON_DEVICE static inline int nst_padded_readers(int p, int u, int n,
                                                   enum nst_padding padding,
                                                   int from[2])
{
    int count = 0;

    if (p - u + 1 >= 0 && p - u + 1 < n)
        from[count++] = p - u + 1;
    if (u == 0 && nst_padded_index(-1, n, padding) == p)
        from[count++] = 0;
    if (u == 2 && nst_padded_index(n, n, padding) == p)
        from[count++] = n - 1;
    return count;
}

#endif
