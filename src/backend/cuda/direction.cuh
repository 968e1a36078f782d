/* SPDX-License-Identifier: MIT */
/*
 * direction.cuh - the direction of L-BFGS on the device, between its files.
 *
 * The two-loop recursion reads a vector after the other and asks for a product each
 * time. But all it asks for follows from the products of the pairs among each other and
 * with g (Byrd, Nocedal and Schnabel 1994). So one pass makes all of these
 * (products.cu), one warp works out what g, each s and each y have for a share in the
 * direction (shares.cu), and a second pass makes it (direction.cu).
 *
 * Sums are made in float over short runs and in double beyond, in an order that n and
 * the number of pairs decide.
 */
#ifndef NST_BACKEND_CUDA_DIRECTION_CUH
#define NST_BACKEND_CUDA_DIRECTION_CUH

#include "backend/cuda/vectors.cuh"

#define PAIRS NST_PAIRS_MOST

/* The pairs, the latest first. */
struct pairs {
    const float *s[PAIRS], *y[PAIRS];
    int count;
    size_t n;
    const float *x, *g; /* x: NULL without a box */
    struct nst_box box;
};

/* g pushes a variable that sits on a bound outwards: it is held, and no part of any
 * product. */
static __device__ __forceinline__ bool is_free(float x, float g, struct nst_box box)
{
    return !((x <= box.lower && g > 0) || (x >= box.upper && g < 0));
}

/* Where a product is among those of count pairs: those of s and y with each other are
 * the two triangles of a matrix of count x count + 1. */
struct places {
    int count;
    __host__ __device__ int sy(int i, int j) const
    {
        return i * (count + 1) + j; /* s_i . y_j, j <= i */
    }
    __host__ __device__ int yy(int i, int j) const
    {
        return j * (count + 1) + i + 1; /* j <= i */
    }
    __host__ __device__ int sg(int i) const
    {
        return count * (count + 1) + i;
    }
    __host__ __device__ int yg(int i) const
    {
        return count * (count + 2) + i;
    }
    __host__ __device__ int gg() const
    {
        return count * (count + 3);
    }
    __host__ __device__ int all() const
    {
        return gg() + 1;
    }
};

/* products.cu: parts[stretch * places.all() + place] is a stretch's part of a product.
 * How many stretches there are: */
int cuda_stretches(size_t n, int count);
void cuda_products(struct cuda *cu, const struct pairs *p, double *parts);
void cuda_products_allow(struct cuda *cu);

/* shares.cu */
struct solving {
    int count, stretches;
    const double *parts;
    double *products; /* the sums of parts */
    float *shares;    /* of g, of each s, of each y */
    unsigned *done;
    double first; /* as in struct nst_descent */
    size_t n;
    bool near;        /* the products fit into shared memory */
    double yy[PAIRS]; /* y.y over all variables */
};
void cuda_shares(struct cuda *cu, struct solving *a);
void cuda_shares_allow(struct cuda *cu);

#endif
