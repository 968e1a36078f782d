/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/estimate.h"

#include "job/pyramid.h"

enum nst_status nst_estimate_make(struct nst_estimate *out, const struct nst_plan *plan,
                                  struct nst_engine *e, const struct nst_params *p,
                                  struct nst_err *err)
{
    struct nst_level level[NST_LIST_MAX];
    int border = 2 * nst_padding_width(p);
    int longest = (plan->width > plan->height ? plan->width : plan->height) - border;
    enum nst_status st = NST_OK;

    *out =
        (struct nst_estimate){.height = plan->height - border,
                              .width = plan->width - border,
                              .scales = nst_pyramid_levels(p, plan->height - border,
                                                           plan->width - border, level),
                              .tile = plan->tile,
                              .tile_rows = plan->tile_rows,
                              .tile_columns = plan->tile_columns,
                              .recompute_content = plan->recompute_content,
                              .curvature_pairs = plan->curvature_pairs,
                              .memory = plan->memory,
                              .limit = plan->limit,
                              .device_memory = plan->device_memory,
                              .device_limit = plan->device_limit};
    for (int i = 0; i < out->scales && st == NST_OK; i++) {
        struct nst_params at = *p;
        struct nst_plan small = *plan;
        double ratio = (double)level[i].longest / longest, seconds = 0;

        at.iterations = level[i].iterations;
        small.height = (int)((plan->height - border) * ratio + 0.5) + border;
        small.width = (int)((plan->width - border) * ratio + 0.5) + border;
        st = nst_plan_estimate_seconds(&small, e, &at, &seconds, err);
        out->evaluations += nst_plan_estimate_evaluations(&at);
        out->seconds += seconds;
        out->longest[i] = level[i].longest;
        out->network[i] = nst_engine_network_for(e, level[i].longest)->name;
        out->iterations[i] = level[i].iterations;
    }
    return st;
}
