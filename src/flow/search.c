/* SPDX-License-Identifier: MIT */
/* search.c - dense inverse search: patches of one frame are moved until they match the
 * other one, and pixels take the weighted mean of the patches that cover them. */
#include "config.h"

#include "flow/flow_internal.h"

#include <string.h>

#define PATCH NST_FLOW_PATCH

struct search {
    const struct flow_pair *pair;
    int height, width; /* of the frames */
    int rows, columns; /* of patches */
    float *patch;      /* u and v of each */
    float *weights;    /* of each pixel */
};

size_t nst_flow_search_scratch(int height, int width)
{
    return nst_area(height, width) +
           2 * nst_area(nst_flow_patch_count(height), nst_flow_patch_count(width));
}

/* The displacements that the coarser scale found at a patch and around it. */
static void find_starts(const struct search *s, struct nst_flow_match *m)
{
    static const int offsets[NST_FLOW_STARTS][2] = {
        {0, 0}, {-PATCH, 0}, {PATCH, 0}, {0, -PATCH}, {0, PATCH}};
    const float *u = s->pair->flow, *v = u + nst_area(s->height, s->width);

    m->starts = 0;
    for (int i = 0; i < NST_FLOW_STARTS; i++) {
        int x = m->x + PATCH / 2 + offsets[i][0], y = m->y + PATCH / 2 + offsets[i][1];
        size_t at = (size_t)y * (size_t)s->width + (size_t)x;

        if (x < 0 || x >= s->width || y < 0 || y >= s->height)
            continue;
        m->start[m->starts][0] = u[at];
        m->start[m->starts++][1] = v[at];
    }
}

static void search_row(void *ctx, int row, int thread)
{
    const struct search *s = ctx;
    const struct flow_scale *from = s->pair->from;
    struct nst_flow_match m = {.from = &from->term[0],
                               .dx = &from->term[1],
                               .dy = &from->term[2],
                               .to = &s->pair->to->term[0],
                               .y = nst_flow_patch_origin(row, s->height)};
    float *patch = s->patch + 2 * nst_area(row, s->columns);

    (void)thread;
    for (int i = 0; i < s->columns; i++) {
        m.x = nst_flow_patch_origin(i, s->width);
        find_starts(s, &m);
        s->pair->kernels->match(&m);
        patch[2 * i] = m.u;
        patch[2 * i + 1] = m.v;
    }
}

static void densify_row(void *ctx, int y, int thread)
{
    const struct search *s = ctx;
    size_t n = nst_area(s->height, s->width), at = (size_t)y * (size_t)s->width;
    struct nst_flow_spread to = {.from = &s->pair->from->term[0],
                                 .to = &s->pair->to->term[0],
                                 .y = y,
                                 .weight = s->weights + at,
                                 .u = s->pair->flow + at,
                                 .v = s->pair->flow + n + at};
    size_t bytes = (size_t)s->width * sizeof(float);
    int first = y < PATCH ? 0 : (y - PATCH) / NST_FLOW_STRIDE;

    (void)thread;
    memset(to.weight, 0, bytes);
    memset(to.u, 0, bytes);
    memset(to.v, 0, bytes);
    for (int row = first; row < s->rows; row++) {
        to.top = nst_flow_patch_origin(row, s->height);
        to.patch = s->patch + 2 * nst_area(row, s->columns);
        if (to.top > y)
            break;
        if (y < to.top + PATCH)
            s->pair->kernels->spread(&to);
    }
    for (int x = 0; x < s->width; x++) {
        to.u[x] /= to.weight[x];
        to.v[x] /= to.weight[x];
    }
}

void nst_flow_search(const struct flow_pair *p)
{
    int height = p->from->term[0].height, width = p->from->term[0].width;
    struct search s = {.pair = p,
                       .height = height,
                       .width = width,
                       .rows = nst_flow_patch_count(height),
                       .columns = nst_flow_patch_count(width),
                       .weights = p->scratch,
                       .patch = p->scratch + nst_area(height, width)};

    nst_threads_run(p->threads, s.rows, search_row, &s);
    nst_threads_run(p->threads, s.height, densify_row, &s);
}
