/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/dryrun.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_table(const struct nst_plan *plan, int64_t evaluations,
                        double seconds)
{
    printf("size             %d x %d\n", plan->width, plan->height);
    printf("scales           %d\n",
           plan->width > plan->height ? plan->width : plan->height);
    if (plan->tile_rows * plan->tile_columns > 1)
        printf("tiles            %d x %d of %d pixels, content features %s\n",
               plan->tile_columns, plan->tile_rows, plan->tile,
               plan->recompute_content ? "recomputed" : "kept");
    else
        printf("tiles            none\n");
    printf("curvature pairs  %d\n", plan->curvature_pairs);
    printf("peak memory      %zu MiB of %zu MiB\n", plan->memory >> 20,
           plan->limit >> 20);
    printf("evaluations      %lld\n", (long long)evaluations);
    printf("estimated time   %.3g s\n", seconds);
}

static void print_json(const struct nst_plan *plan, int64_t evaluations, double seconds)
{
    int longest = plan->width > plan->height ? plan->width : plan->height;
    json_t *j =
        json_pack("{s:[i,i], s:[i], s:i, s:[i,i], s:b, s:i, s:I, s:I, s:I, s:f}",
                  "size", plan->width, plan->height, "scales", longest, "tile",
                  plan->tile, "tiles", plan->tile_columns, plan->tile_rows,
                  "recompute_content", plan->recompute_content, "curvature_pairs",
                  plan->curvature_pairs, "peak_memory", (json_int_t)plan->memory,
                  "memory_limit", (json_int_t)plan->limit, "evaluations",
                  (json_int_t)evaluations, "seconds", seconds);
    char *text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6));

    puts(text);
    free(text);
    json_decref(j);
}

enum nst_status nst_dryrun_print(const struct nst_plan *plan,
                                 const struct nst_params *p, double seconds, bool json,
                                 struct nst_err *err)
{
    if (json)
        print_json(plan, nst_plan_evaluations(p), seconds);
    else
        print_table(plan, nst_plan_evaluations(p), seconds);
    if (fflush(stdout) != 0)
        return nst_err_set(err, NST_ERR_IO, "cannot write to standard output: %s",
                           strerror(errno));
    return NST_OK;
}
