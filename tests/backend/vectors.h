/* SPDX-License-Identifier: MIT */
/* vectors.h - functions shared by the sources of checkvectors. */
#ifndef NST_TESTS_VECTORS_H
#define NST_TESTS_VECTORS_H

#include "backend/backend.h"

#define BEHIND 5 /* guard values behind the end of a vector */

static const struct nst_box box = {-0.5f, 0.5f};

/* vectors.c */
extern double worst; /* maximum error / tolerance of the comparisons */

void begin_values(void); /* new random seed, or that of $NST_TEST_SEED */
float any(void);         /* -1 to 1 */
void compare(double got, double want, double tolerance);
/* n random floats in [-scale, scale], or NaNs, and the guard values. */
float *values(size_t n, float scale);
float *nans(size_t n);
/* Upload to a new buffer. */
struct nst_buffer *there(struct nst_backend *be, size_t n, const float *host);
/* Download and free the buffer. The guard values must be intact. */
float *back(struct nst_backend *be, size_t n, struct nst_buffer *v);
void drop(struct nst_backend *be, struct nst_buffer *v);
double into(double v); /* clamp to the box */

/* directions.c: vectors of n floats; both backends must give equal bits. */
void check_directions(struct nst_backend *be, struct nst_backend *other, size_t n);

#endif
