/* SPDX-License-Identifier: MIT */
/*
 * program.cu - work that is the same each time, as a CUDA graph: one call launches all
 * of it, so that small pictures wait for the device and not for the launches.
 */
#include "config.h"

#include "backend/cuda/operators.cuh"

#include <stdlib.h>

extern "C" {
#include "base/mem.h"
}

struct nst_program {
    cudaGraphExec_t exec; /* NULL: there is none yet */
    bool seen;            /* the work was done once: all that it wants is loaded */
    float gradient_scale; /* that the graph has in it */
    bool unsettled;       /* as the work leaves it */
    const char *scratch;  /* as gradient_scale */
};

static void let_go(struct cuda *cu, struct nst_program *p)
{
    if (p->exec)
        cuda_ok(cu, cudaGraphExecDestroy(p->exec));
    p->exec = NULL;
}

/* Have the stream note what work asks for. */
static void capture(struct cuda *cu, struct nst_program *p, void (*work)(void *ctx),
                    void *ctx)
{
    cudaGraph_t graph = NULL;

    if (!cuda_ok(cu, cudaStreamBeginCapture(cu->line.stream,
                                            cudaStreamCaptureModeThreadLocal)))
        return;
    work(ctx);
    cuda_wait_aside(cu);
    if (cuda_ok(cu, cudaStreamEndCapture(cu->line.stream, &graph)) &&
        !cuda_ok(cu, cudaGraphInstantiate(&p->exec, graph, 0)))
        p->exec = NULL;
    if (graph)
        cuda_ok(cu, cudaGraphDestroy(graph));
    p->gradient_scale = cu->base.gradient_scale;
    p->unsettled = cu->unsettled;
    p->scratch = cu->line.scratch;
}

void cuda_repeat(struct nst_backend *be, struct nst_program **program,
                 void (*work)(void *ctx), void *ctx)
{
    struct cuda *cu = cuda_of(be);
    struct nst_program *p = *program;

    if (!p)
        p = *program = static_cast<struct nst_program *>(nst_xcalloc(1, sizeof *p));
    if (!p->seen) {
        p->seen = true;
        work(ctx);
        return;
    }
    /* another's tensors may have wanted more scratch */
    if (p->exec && (p->gradient_scale != cu->base.gradient_scale ||
                    p->scratch != cu->line.scratch))
        let_go(cu, p);
    if (!p->exec)
        capture(cu, p, work, ctx);
    if (p->exec)
        cuda_ok(cu, cudaGraphLaunch(p->exec, cu->line.stream));
    cu->unsettled = p->unsettled;
}

void cuda_forget(struct nst_backend *be, struct nst_program *program)
{
    if (program)
        let_go(cuda_of(be), program);
    free(program);
}
