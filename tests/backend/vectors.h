/* SPDX-License-Identifier: MIT */
/* vectors.h - what the sources of checkvectors know of each other. */
#ifndef NST_TESTS_VECTORS_H
#define NST_TESTS_VECTORS_H

#include "backend/backend.h"

#define BEHIND 5 /* floats behind the end of a vector, which must stay */

static const struct nst_box box = {-0.5f, 0.5f};

/* vectors.c */
extern double worst; /* error over tolerance, of what was compared */

void begin_values(void); /* by a new seed, or the one of the environment */
float any(void);         /* -1 to 1 */
void compare(double got, double want, double tolerance);
/* n floats in [-1, 1] times scale, or NaNs; BEHIND marks behind them. */
float *values(size_t n, float scale);
float *nans(size_t n);
float *there(struct nst_backend *be, size_t n, const float *host);
/* What is there now; freed there. Marks must be what they were. */
float *back(struct nst_backend *be, size_t n, float *v);
void drop(struct nst_backend *be, float *v);
double into(double v); /* the box */

/* directions.c: of vectors of n, to the bit the same by both. */
void check_directions(struct nst_backend *be, struct nst_backend *other, size_t n);

#endif
