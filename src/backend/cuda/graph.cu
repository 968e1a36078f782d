/* SPDX-License-Identifier: MIT */
/*
 * graph.cu - captures repeated work in a CUDA graph. One call launches all of it, so
 * that small images are not bound by launch overhead.
 */
#include "config.h"

#include "backend/cuda/operators.cuh"

#include <stdlib.h>

extern "C" {
#include "base/alloc.h"
}

struct nst_graph {
    cudaGraphExec_t exec; /* NULL: not captured yet */
    bool warmed_up;       /* the work ran once, which loads all it needs */
    float loss_scale;     /* captured in the graph */
    bool grad_pending;    /* value after the work */
    const char *scratch;  /* captured, too */
};

static void destroy_graph(struct cuda *cu, struct nst_graph *p)
{
    if (p->exec)
        cuda_ok(cu, cudaGraphExecDestroy(p->exec));
    p->exec = NULL;
}

/* Capture the work into a graph. */
static void capture(struct cuda *cu, struct nst_graph *p, void (*work)(void *ctx),
                    void *ctx)
{
    cudaGraph_t graph = NULL;

    if (!cuda_ok(cu, cudaStreamBeginCapture(cu->current.stream,
                                            cudaStreamCaptureModeThreadLocal)))
        return;
    work(ctx);
    cuda_main_wait_side(cu);
    if (cuda_ok(cu, cudaStreamEndCapture(cu->current.stream, &graph)) &&
        !cuda_ok(cu, cudaGraphInstantiate(&p->exec, graph, 0)))
        p->exec = NULL;
    if (graph)
        cuda_ok(cu, cudaGraphDestroy(graph));
    p->loss_scale = cu->base.loss_scale;
    p->grad_pending = cu->grad_pending;
    p->scratch = cu->current.scratch;
}

void cuda_graph_replay(struct nst_backend *be, struct nst_graph **graph,
                       void (*work)(void *ctx), void *ctx)
{
    struct cuda *cu = cuda_of(be);
    struct nst_graph *p = *graph;

    if (!p)
        p = *graph = static_cast<struct nst_graph *>(nst_xcalloc(1, sizeof *p));
    if (!p->warmed_up) {
        p->warmed_up = true;
        work(ctx);
        return;
    }
    /* other tensors may have grown the scratch */
    if (p->exec &&
        (p->loss_scale != cu->base.loss_scale || p->scratch != cu->current.scratch))
        destroy_graph(cu, p);
    if (!p->exec)
        capture(cu, p, work, ctx);
    if (p->exec)
        cuda_ok(cu, cudaGraphLaunch(p->exec, cu->current.stream));
    cu->grad_pending = p->grad_pending;
}

void cuda_graph_free(struct nst_backend *be, struct nst_graph *graph)
{
    if (graph)
        destroy_graph(cuda_of(be), graph);
    free(graph);
}
