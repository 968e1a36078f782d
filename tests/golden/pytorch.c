/* SPDX-License-Identifier: MIT */
/*
 * Runs the optimiser of the PyTorch style transfer tutorial (unit/torch_lbfgs.h) on the
 * objective of nst, with options of nst by their long names, and writes a trace:
 * reference.sh compares it with PyTorch's, evaluation by evaluation.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "image/load.h"
#include "model/vgg.h"
#include "optim/vector.h"
#include "options/preset.h"
#include "record/provenance.h"
#include "run/plan.h"
#include "session/session.h"
#include "style/objective.h"
#include "unit/torch_lbfgs.h"

struct descent {
    struct nst_vector_space v;
    struct nst_objective *objective;
    struct nst_trace *trace;
    int64_t evaluations, budget;
};

static void must(enum nst_status st, const struct nst_err *err)
{
    if (st == NST_OK)
        return;
    fprintf(stderr, "pytorch: %s\n", err->text);
    exit(1);
}

static bool evaluate(void *ctx, const struct nst_buffer *x, const struct nst_buffer *d,
                     double *f, struct nst_buffer *g, struct nst_measures *m)
{
    struct descent *run = ctx;
    struct nst_losses losses;

    if (run->evaluations == run->budget)
        return false;
    nst_objective_evaluate(run->objective, x, &losses, g);
    *m = run->v.be->ops->vectors->measure(run->v.be, run->v.n, g, d);
    *f = losses.total;
    nst_trace_evaluation(run->trace,
                         &(struct nst_evaluation){.evaluation = ++run->evaluations,
                                                  .content_loss = losses.content,
                                                  .style_loss = losses.style,
                                                  .total_loss = losses.total,
                                                  .gradient_max = m->max_abs,
                                                  .gradient_norm = sqrt(m->sq_norm),
                                                  .accepted = true});
    return true;
}

static void parse(struct nst_params *p, int argc, char **argv)
{
    struct nst_err err;

    nst_params_init(p);
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i] + strspn(argv[i], "-");

        if (strcmp(name, "p") == 0)
            must(nst_preset_apply(p, argv[i + 1], &err), &err);
        else if (strcmp(name, "compat") != 0)
            must(nst_params_set(p,
                                strcmp(name, "s") == 0   ? "style"
                                : strcmp(name, "o") == 0 ? "output"
                                                         : name,
                                argv[i + 1], &err),
                 &err);
    }
}

int main(int argc, char **argv)
{
    const struct nst_picture_size native = {.longest = 0};
    struct nst_picture *content, *style;
    struct nst_style_image image = {.weight = 1};
    struct nst_objective_config config;
    struct descent run = {.budget = 0};
    struct torch_lbfgs *optimiser;
    struct nst_session *s;
    struct nst_buffer *x;
    struct nst_params p;
    struct nst_vgg *vgg;
    struct nst_err err;

    parse(&p, argc, argv);
    run.budget = p.iterations;
    must(nst_picture_init(argv[0], &err), &err);
    must(nst_picture_load(&content, argv[argc - 1], &native, &err), &err);
    must(nst_picture_load(&style, p.styles.item[0].file, &native, &err), &err);
    image.image = nst_picture_image(style);
    must(nst_session_new(&s, &p, &err), &err);
    vgg = nst_session_network_at(s, 0)->vgg;
    run.v = (struct nst_vector_space){nst_vgg_backend(vgg),
                                      3 * nst_area(content->height, content->width)};
    config = nst_plan_objective_config(&(struct nst_plan){.tile = 0}, &p);
    must(nst_objective_new(&run.objective, vgg, &config, nst_picture_image(content),
                           &(struct nst_style){&image, 1}, &err),
         &err);
    must(nst_vector_new(&run.v, &x, &err), &err);
    run.v.be->ops->buffer_upload(run.v.be, x, content->rgb,
                                 run.v.n * sizeof *content->rgb);
    must(nst_trace_open(&run.trace, p.trace, &err), &err);
    must(torch_lbfgs_new(&optimiser, run.v.n, run.v.be, &err), &err);
    while (torch_lbfgs_step(optimiser, evaluate, &run, x))
        ;
    must(nst_trace_close(run.trace, NULL, &err), &err);
    torch_lbfgs_free(optimiser);
    nst_vector_free(&run.v, x);
    nst_objective_free(run.objective);
    nst_session_free(s);
    nst_picture_free(content);
    nst_picture_free(style);
    nst_params_clear(&p);
    nst_picture_shutdown();
    return 0;
}
