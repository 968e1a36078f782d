/* SPDX-License-Identifier: MIT */
/*
 * vector.h - n floats in a backend's numbers: made, shown to visitors of a minimiser's
 * state, which are of the host, and taken from its memory and back.
 */
#ifndef NST_OPTIM_VECTOR_H
#define NST_OPTIM_VECTOR_H

#include "backend/backend.h"
#include "optim/serialise.h"

/* What a minimiser's vectors have in common. */
struct nst_vector_space {
    struct nst_backend *be;
    size_t n;
};

/* Zeros. *out belongs to the caller: nst_vector_free(). NST_ERR_MEM. */
enum nst_status nst_vector_new(const struct nst_vector_space *v, float **out,
                               struct nst_err *err);
void nst_vector_free(const struct nst_vector_space *v, float *x); /* NULL is fine */

/* False if the visitor said so, there is no memory to show x in, or the device has
 * given up. */
bool nst_vector_serialise(const struct nst_vector_space *v, const char *name, float *x,
                          nst_serialise_fn *visit, void *ctx);

#endif
