/* SPDX-License-Identifier: MIT */
/* blas.h - the backend blas for a test; without it or a BLAS, a test that is skipped.
 */
#ifndef NST_TESTS_BLAS_H
#define NST_TESTS_BLAS_H

#include "backend/backend.h"
#include "tap.h"

static inline const struct nst_backend_ops *blas_or_skip(void)
{
    struct nst_backend_config config = {.threads = 1};
    const struct nst_backend_ops *ops;
    struct nst_backend *be;
    struct nst_err err;

    if (nst_backend_open(&be, "blas", &config, &err) != NST_OK) {
        tap(1, "blas # SKIP %s", err.text);
        return NULL;
    }
    ops = be->ops;
    ops->close(be);
    return ops;
}

#endif
