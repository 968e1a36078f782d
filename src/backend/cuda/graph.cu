/* SPDX-License-Identifier: MIT */
/*
 * graph.cu - work that is the same each time, as a CUDA graph: one call launches all
 * of it, so that small pictures wait for the device and not for the launches.
 */
#include "config.h"

#include "backend/cuda/operators.cuh"

#include <stdlib.h>

extern "C" {
#include "base/alloc.h"
}

struct nst_graph {
    cudaGraphExec_t exec; /* NULL: there is none yet */
    bool warmed_up;       /* the work was done once: all that it wants is loaded */
    float loss_scale;     /* that the graph has in it */
    bool grad_pending;    /* as the work leaves it */
    const char *scratch;  /* as loss_scale */
};

static void destroy_graph(struct cuda *cu, struct nst_graph *p)
{
    if (p->exec)
        cuda_ok(cu, cudaGraphExecDestroy(p->exec));
    p->exec = NULL;
}

/* Have the stream note what work asks for. */
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
    /* another's tensors may have wanted more scratch */
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
