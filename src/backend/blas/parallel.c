/* SPDX-License-Identifier: MIT */
/*
 * parallel.c - runs items on threads. OpenMP does so with configure --with-blas=openmp.
 * Its idle threads spin for milliseconds, which takes time from other programs.
 */
#include "config.h"

#include "backend/blas/blas.h"

#ifdef _OPENMP
#include <omp.h>

void nst_blas_for(struct nst_backend *be, int items, nst_work_fn *work, void *ctx)
{
#pragma omp parallel for schedule(dynamic) num_threads(nst_threads_active(be->threads))
    for (int i = 0; i < items; i++)
        work(ctx, i, omp_get_thread_num());
}
#else
void nst_blas_for(struct nst_backend *be, int items, nst_work_fn *work, void *ctx)
{
    nst_threads_run(be->threads, items, work, ctx);
}
#endif
