/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/dryrun.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/line.h"
#include "options/json.h"

static void print_picture(const char *name)
{
    char *line = nst_xstrdup(name);

    nst_sanitise_line(line);
    printf("picture          %s\n", line);
    free(line);
}

/* Number of consecutive scales with the same network, from first on. */
static int same_network_scales(const struct nst_estimate *e, int first)
{
    int n = 1;

    while (first + n < e->scales &&
           strcmp(e->network[first + n], e->network[first]) == 0)
        n++;
    return n;
}

static void print_networks(const struct nst_estimate *e)
{
    printf("networks         ");
    for (int i = 0, n; i < e->scales; i += n) {
        n = same_network_scales(e, i);
        printf("%s%s (%d", i ? ", " : "", e->network[i], e->longest[i]);
        for (int k = i + 1; k < i + n; k++)
            printf(", %d", e->longest[k]);
        putchar(')');
    }
    putchar('\n');
}

static void print_duration(double seconds)
{
    long long s = (long long)seconds, minutes = s / 60, hours = minutes / 60;

    fputs("estimated time   ", stdout);
    if (seconds < 60)
        printf("%.*f s\n", seconds < 10, seconds);
    else if (hours == 0)
        printf("%lld min %lld s\n", minutes, s % 60);
    else if (hours < 24)
        printf("%lld h %lld min\n", hours, minutes % 60);
    else
        printf("%lld days %lld h\n", hours / 24, hours % 24);
}

static void print_table(const struct nst_estimate *e, const char *picture)
{
    if (picture)
        print_picture(picture);
    printf("size             %d x %d\n", e->width, e->height);
    if (e->feed_forward) {
        printf("network          %s, in one pass\n", e->network[0]);
        printf("peak memory      %zu MiB of %zu MiB\n", e->memory >> 20,
               e->limit >> 20);
        print_duration(e->seconds);
        return;
    }
    printf("scales           ");
    for (int i = 0; i < e->scales; i++)
        printf("%s%d (%lld steps)", i ? ", " : "", e->longest[i],
               (long long)e->iterations[i]);
    putchar('\n');
    print_networks(e);
    if (e->tile_rows * e->tile_columns > 1)
        printf("tiles            %d x %d of %d pixels, content features %s\n",
               e->tile_columns, e->tile_rows, e->tile,
               e->recompute_content ? "recomputed" : "kept");
    else
        printf("tiles            none\n");
    printf("curvature pairs  %d\n", e->curvature_pairs);
    printf("peak memory      %zu MiB of %zu MiB\n", e->memory >> 20, e->limit >> 20);
    if (e->device_memory)
        printf("GPU memory       %zu MiB of %zu MiB\n", e->device_memory >> 20,
               e->device_limit >> 20);
    printf("evaluations      %lld\n", (long long)e->evaluations);
    print_duration(e->seconds);
}

static json_t *json_steps(const struct nst_estimate *e)
{
    json_t *list = json_array();

    for (int i = 0; i < e->scales; i++)
        json_array_append_new(list, json_integer((json_int_t)e->iterations[i]));
    return list;
}

static json_t *json_scales(const struct nst_estimate *e)
{
    json_t *list = json_array();

    for (int i = 0; i < e->scales; i++)
        json_array_append_new(list, json_integer(e->longest[i]));
    return list;
}

static json_t *json_networks(const struct nst_estimate *e)
{
    json_t *list = json_array();

    for (int i = 0; i < e->scales; i += same_network_scales(e, i)) {
        json_t *sizes = json_array();

        for (int k = i; k < i + same_network_scales(e, i); k++)
            json_array_append_new(sizes, json_integer(e->longest[k]));
        json_array_append_new(list,
                              json_pack("{s:o, s:o}", "name",
                                        nst_json_text(e->network[i]), "scales", sizes));
    }
    return list;
}

static void print_json(const struct nst_estimate *e, const char *picture)
{
    json_t *j = json_pack(
        "{s:[i,i], s:o, s:o, s:i, s:[i,i], s:b, s:i, s:I, s:I, s:I, s:f}", "size",
        e->width, e->height, "scales", json_scales(e), "networks", json_networks(e),
        "tile", e->tile, "tiles", e->tile_columns, e->tile_rows, "recompute_content",
        e->recompute_content, "curvature_pairs", e->curvature_pairs, "peak_memory",
        (json_int_t)e->memory, "memory_limit", (json_int_t)e->limit, "evaluations",
        (json_int_t)e->evaluations, "seconds", e->seconds);
    char *text;

    json_object_set_new(j, "steps", json_steps(e));
    if (e->device_memory) {
        json_object_set_new(j, "device_memory",
                            json_integer((json_int_t)e->device_memory));
        json_object_set_new(j, "device_limit",
                            json_integer((json_int_t)e->device_limit));
    }
    if (picture)
        json_object_set_new(j, "picture", nst_json_text(picture));
    text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6));
    puts(text);
    free(text);
    json_decref(j);
}

void nst_dryrun_print(const struct nst_estimate *e, const char *picture, bool json)
{
    (json ? print_json : print_table)(e, picture);
}
