/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/dryrun.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/scales.h"

/* What the scales take together. */
struct estimate {
    int height, width; /* of the result */
    int scales;
    struct nst_scale scale[NST_LIST_MAX];
    int64_t evaluations;
    double seconds;
};

static enum nst_status make_estimate(struct estimate *out, const struct nst_plan *plan,
                                     struct nst_engine *e, const struct nst_params *p,
                                     struct nst_err *err)
{
    int border = 2 * nst_border(p);
    int longest = (plan->width > plan->height ? plan->width : plan->height) - border;
    enum nst_status st = NST_OK;

    *out = (struct estimate){0};
    out->height = plan->height - border;
    out->width = plan->width - border;
    out->scales = nst_scales(p, longest, out->scale);
    for (int i = 0; i < out->scales && st == NST_OK; i++) {
        struct nst_params at = *p;
        struct nst_plan small = *plan;
        double part = (double)out->scale[i].longest / longest, seconds = 0;

        at.iterations = out->scale[i].iterations;
        small.height = (int)((plan->height - border) * part) + border;
        small.width = (int)((plan->width - border) * part) + border;
        st = nst_plan_seconds(&small, e, &at, &seconds, err);
        out->evaluations += nst_plan_evaluations(&at);
        out->seconds += seconds;
    }
    return st;
}

static void print_table(const struct nst_plan *plan, const struct estimate *e)
{
    printf("size             %d x %d\n", e->width, e->height);
    printf("scales           ");
    for (int i = 0; i < e->scales; i++)
        printf("%s%d (%lld steps)", i ? ", " : "", e->scale[i].longest,
               (long long)e->scale[i].iterations);
    putchar('\n');
    if (plan->tile_rows * plan->tile_columns > 1)
        printf("tiles            %d x %d of %d pixels, content features %s\n",
               plan->tile_columns, plan->tile_rows, plan->tile,
               plan->recompute_content ? "recomputed" : "kept");
    else
        printf("tiles            none\n");
    printf("curvature pairs  %d\n", plan->curvature_pairs);
    printf("peak memory      %zu MiB of %zu MiB\n", plan->memory >> 20,
           plan->limit >> 20);
    printf("evaluations      %lld\n", (long long)e->evaluations);
    printf("estimated time   %.3g s\n", e->seconds);
}

static json_t *scales_of(const struct estimate *e)
{
    json_t *list = json_array();

    for (int i = 0; i < e->scales; i++)
        json_array_append_new(list, json_integer(e->scale[i].longest));
    return list;
}

static void print_json(const struct nst_plan *plan, const struct estimate *e)
{
    json_t *j =
        json_pack("{s:[i,i], s:o, s:i, s:[i,i], s:b, s:i, s:I, s:I, s:I, s:f}", "size",
                  e->width, e->height, "scales", scales_of(e), "tile", plan->tile,
                  "tiles", plan->tile_columns, plan->tile_rows, "recompute_content",
                  plan->recompute_content, "curvature_pairs", plan->curvature_pairs,
                  "peak_memory", (json_int_t)plan->memory, "memory_limit",
                  (json_int_t)plan->limit, "evaluations", (json_int_t)e->evaluations,
                  "seconds", e->seconds);
    char *text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6));

    puts(text);
    free(text);
    json_decref(j);
}

enum nst_status nst_dryrun_print(const struct nst_plan *plan, struct nst_engine *e,
                                 const struct nst_params *p, bool json,
                                 struct nst_err *err)
{
    struct estimate estimate;
    enum nst_status st = make_estimate(&estimate, plan, e, p, err);

    if (st != NST_OK)
        return st;
    if (json)
        print_json(plan, &estimate);
    else
        print_table(plan, &estimate);
    if (fflush(stdout) != 0)
        return nst_err_set(err, NST_ERR_IO, "cannot write to standard output: %s",
                           strerror(errno));
    return NST_OK;
}
