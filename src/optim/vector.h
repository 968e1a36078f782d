/* SPDX-License-Identifier: MIT */
/*
 * vector.h - vectors of n floats, backend buffers: allocation and serialisation,
 * which copies device memory to the host and back.
 */
#ifndef NST_OPTIM_VECTOR_H
#define NST_OPTIM_VECTOR_H

#include "backend/backend.h"
#include "optim/serialise.h"

/* Backend and length of an optimiser's vectors. */
struct nst_vector_space {
    struct nst_backend *be;
    size_t n;
};

/* A zero vector. *out belongs to the caller: nst_vector_free(). NST_ERR_MEM. */
enum nst_status nst_vector_new(const struct nst_vector_space *v,
                               struct nst_buffer **out, struct nst_err *err);
/* NULL is fine. */
void nst_vector_free(const struct nst_vector_space *v, struct nst_buffer *x);

/* False if the visitor fails, host memory is short, or the device has an error. */
bool nst_vector_serialise(const struct nst_vector_space *v, const char *name,
                          struct nst_buffer *x, nst_serialise_fn *visit, void *ctx);

#endif
