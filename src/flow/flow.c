/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "flow/flow.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "flow/flow_internal.h"
#include "kernels/nchw16c.h"

#define MAX_SCALES 16
/* Frames with a shorter side from this on are matched at half their size. */
#define HALF_SIDE 640
/* How often the refinement linearises, at the largest scale less often: the patches of
 * that scale are accurate already. */
#define WARPS 5
#define LAST_WARPS 3

struct nst_flow_estimator {
    int height, width;
    bool is_half; /* the largest scale has half the size of the frames */
    int count;    /* of scales, the largest one first */
    struct flow_scale frame[2][MAX_SCALES];
    int last;       /* index of the frame passed last */
    float *flow[2]; /* at a scale and at the one before */
    float *scratch;
    const struct nst_flow_kernels *kernels;
    struct nst_threads *threads;
};

static int clamp(int value, int most)
{
    return value < 0 ? 0 : value > most ? most : value;
}

bool nst_flow_is_possible(struct nst_image frame)
{
    return frame.height >= FLOW_MIN_SIDE && frame.width >= FLOW_MIN_SIDE;
}

static bool is_matched_at_half(int height, int width)
{
    return height >= HALF_SIDE && width >= HALF_SIDE;
}

/* A side of the largest scale. */
static int matched_side(int side, bool is_half)
{
    return is_half ? (side + 1) / 2 : side;
}

static size_t scratch_floats(int height, int width)
{
    size_t search = nst_flow_search_scratch(height, width);
    size_t refine = nst_flow_refine_scratch(height, width);

    return search > refine ? search : refine;
}

size_t nst_flow_estimator_bytes(int height, int width)
{
    bool is_half = is_matched_at_half(height, width);
    int h = matched_side(height, is_half), w = matched_side(width, is_half);
    size_t plane = nst_area(h + 2 * NST_FLOW_BORDER, w + 2 * NST_FLOW_BORDER);

    /* the smaller scales of both frames are not quite as large as a third scale */
    return sizeof(float) *
           (3 * NST_FLOW_TERMS * plane + 4 * nst_area(h, w) + scratch_floats(h, w));
}

/* Make the planes of all scales of a frame of height x width. */
static enum nst_status make_scales(struct flow_scale s[MAX_SCALES], int *count,
                                   int height, int width, struct nst_err *err)
{
    enum nst_status status = NST_OK;

    for (*count = 0; status == NST_OK && *count < MAX_SCALES &&
                     height >= FLOW_MIN_SIDE && width >= FLOW_MIN_SIDE;
         ++*count, height = (height + 1) / 2, width = (width + 1) / 2)
        for (int t = 0; status == NST_OK && t < NST_FLOW_TERMS; t++)
            status = nst_flow_plane_new(&s[*count].term[t], height, width, err);
    return status;
}

enum nst_status nst_flow_estimator_new(struct nst_flow_estimator **out, int height,
                                       int width, struct nst_threads *threads,
                                       struct nst_err *err)
{
    struct nst_flow_estimator *e = nst_xcalloc(1, sizeof *e);
    enum nst_status status = NST_OK;
    int h, w;

    *e = (struct nst_flow_estimator){.height = height,
                                     .width = width,
                                     .is_half = is_matched_at_half(height, width),
                                     .kernels = nst_flow_kernels_choose(),
                                     .threads = threads};
    h = matched_side(height, e->is_half);
    w = matched_side(width, e->is_half);
    if (!e->kernels)
        status = nst_nchw16c_unknown_isa(err);
    for (int i = 0; status == NST_OK && i < 2; i++) {
        status = make_scales(e->frame[i], &e->count, h, w, err);
        if (status == NST_OK)
            status = nst_floats_new(&e->flow[i], 2, (size_t)h, (size_t)w, err);
    }
    if (status == NST_OK)
        status = nst_floats_new(&e->scratch, 1, 1, scratch_floats(h, w), err);
    *out = e;
    if (status != NST_OK) {
        nst_flow_estimator_free(e);
        *out = NULL;
    }
    return status;
}

void nst_flow_estimator_free(struct nst_flow_estimator *e)
{
    if (!e)
        return;
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < MAX_SCALES; k++)
            for (int t = 0; t < NST_FLOW_TERMS; t++)
                nst_flow_plane_free(&e->frame[i][k].term[t]);
        free(e->flow[i]);
    }
    free(e->scratch);
    free(e);
}

void nst_flow_estimator_next(struct nst_flow_estimator *e, struct nst_image frame)
{
    struct flow_scale *s = e->frame[1 - e->last];

    e->last = 1 - e->last;
    nst_flow_plane_of_image(&s[0].term[0], frame, e->is_half, e->kernels, e->threads);
    for (int i = 0; i < e->count; i++) {
        if (i > 0)
            nst_flow_plane_halve(&s[i].term[0], &s[i - 1].term[0], e->kernels,
                                 e->threads);
        nst_flow_plane_derive(&s[i].term[1], &s[i].term[2], &s[i].term[0], e->kernels,
                              e->threads);
    }
}

/* Twice the size and twice the displacements, interpolated. */
struct upsampling {
    float *to;
    int height, width;
    const float *from;
    int from_height, from_width;
};

static void upsample_row(void *ctx, int y, int thread)
{
    const struct upsampling *u = ctx;
    size_t n = nst_area(u->height, u->width),
           m = nst_area(u->from_height, u->from_width);
    float fy = y & 1 ? 0.25F : 0.75F;
    int top = clamp((y - 1) >> 1, u->from_height - 1);
    int bottom = clamp(((y - 1) >> 1) + 1, u->from_height - 1);

    (void)thread;
    for (int k = 0; k < 2; k++) {
        const float *a = u->from + (size_t)k * m + nst_area(top, u->from_width);
        const float *b = u->from + (size_t)k * m + nst_area(bottom, u->from_width);
        float *to = u->to + (size_t)k * n + nst_area(y, u->width);

        for (int x = 0; x < u->width; x++) {
            float fx = x & 1 ? 0.25F : 0.75F;
            int left = clamp((x - 1) >> 1, u->from_width - 1);
            int right = clamp(((x - 1) >> 1) + 1, u->from_width - 1);

            to[x] = 2 * ((1 - fy) * ((1 - fx) * a[left] + fx * a[right]) +
                         fy * ((1 - fx) * b[left] + fx * b[right]));
        }
    }
}

static void upsample(float *to, int height, int width, const float *from,
                     const struct nst_flow_plane *size, struct nst_threads *threads)
{
    struct upsampling u = {to, height, width, from, size->height, size->width};

    nst_threads_run(threads, height, upsample_row, &u);
}

void nst_flow_estimate(struct nst_flow_estimator *e, bool back, float *flow)
{
    const struct flow_scale *from = e->frame[back ? e->last : 1 - e->last],
                            *to = e->frame[back ? 1 - e->last : e->last];
    size_t bytes = 2 * nst_area(e->height, e->width) * sizeof *flow;

    for (int i = e->count - 1; i >= 0; i--) {
        const struct nst_flow_plane *size = &from[i].term[0];
        struct flow_pair pair = {.from = &from[i],
                                 .to = &to[i],
                                 .flow = e->flow[i & 1],
                                 .scratch = e->scratch,
                                 .kernels = e->kernels,
                                 .threads = e->threads};

        if (i == e->count - 1)
            memset(pair.flow, 0,
                   2 * nst_area(size->height, size->width) * sizeof *flow);
        else
            upsample(pair.flow, size->height, size->width, e->flow[(i + 1) & 1],
                     &from[i + 1].term[0], e->threads);
        nst_flow_search(&pair);
        nst_flow_refine(&pair, i > 0 ? WARPS : LAST_WARPS);
    }
    if (e->is_half)
        upsample(flow, e->height, e->width, e->flow[0], &from[0].term[0], e->threads);
    else
        memcpy(flow, e->flow[0], bytes);
}
