/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/temporal.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "flow/flow.h"

/* A pixel counts as changed as the mean difference in the window, this many pixels each
 * way, approaches CHANGE_THRESHOLD; camera noise is below. */
#define WINDOW_RADIUS 3
#define CHANGE_THRESHOLD 0.05
/* A pixel moves if, in a window around it, the frames differ this much less along the
 * flow, as a factor and a difference. Where few pixels of a larger window move, nothing
 * does. */
#define MOTION_RADIUS 8
#define MOTION_FACTOR 1.2
#define MOTION_CHANGE 0.001
#define STILL_RADIUS 24
#define STILL_SHARE 0.02F
#define ENTRY_PIXELS 64

void nst_coherence_clear(struct nst_coherence *f)
{
    free(f->previous);
    free(f->static_mask);
    free(f->warm_start);
    f->previous = f->static_mask = f->warm_start = NULL;
    f->held = 0;
}

/* table[r][c]: sum of the differences above row r and left of column c. */
static void summed_area_table(double *table, const float *a, const float *b, int h,
                              int w)
{
    size_t n = (size_t)h * (size_t)w, line = (size_t)w + 1;

    memset(table, 0, line * sizeof *table);
    for (int r = 0; r < h; r++) {
        double row = 0;

        table[(size_t)(r + 1) * line] = 0;
        for (int c = 0; c < w; c++) {
            size_t i = (size_t)r * (size_t)w + (size_t)c;

            for (int k = 0; k < 3; k++)
                row += fabs((double)a[(size_t)k * n + i] - b[(size_t)k * n + i]) / 3;
            table[(size_t)(r + 1) * line + (size_t)c + 1] =
                table[(size_t)r * line + (size_t)c + 1] + row;
        }
    }
}

/* Mean in the window around a pixel, radius pixels each way. */
static double window_of(const double *table, int h, int w, int r, int c, int radius)
{
    int top = r > radius ? r - radius : 0, left = c > radius ? c - radius : 0;
    int bottom = r + radius + 1 < h ? r + radius + 1 : h;
    int right = c + radius + 1 < w ? c + radius + 1 : w;
    size_t line = (size_t)w + 1;
    double sum = table[(size_t)bottom * line + (size_t)right] -
                 table[(size_t)top * line + (size_t)right] -
                 table[(size_t)bottom * line + (size_t)left] +
                 table[(size_t)top * line + (size_t)left];

    return sum / ((bottom - top) * (right - left));
}

static float static_weight(const double *table, int h, int w, int r, int c)
{
    double change = window_of(table, h, w, r, c, WINDOW_RADIUS) / CHANGE_THRESHOLD;

    return (float)(change < 1 ? 1 - change * change : 0);
}

/* Where a pixel that enters the frame takes its first paint from: a fixed distance
 * inwards. As the scene moves on, that copies the paint there without a seam; paint
 * from the edge itself would be repeated in each frame. */
static float entry(float position, float flow, int side)
{
    float distance = fminf(ENTRY_PIXELS, (float)side / 4);
    float there = position + flow;

    return there < 0 ? distance : there > (float)(side - 1) ? -distance : 0;
}

/* Mean of a plane in the window of each pixel, radius pixels each way. */
static void window_mean(float *mean, double *table, const float *plane, int h, int w,
                        int radius)
{
    size_t line = (size_t)w + 1;

    memset(table, 0, line * sizeof *table);
    for (int r = 0; r < h; r++) {
        double *below = table + (size_t)(r + 1) * line, row = 0;

        below[0] = 0;
        for (int c = 0; c < w; c++) {
            row += plane[(size_t)r * (size_t)w + (size_t)c];
            below[c + 1] = below[c + 1 - (ptrdiff_t)line] + row;
        }
    }
    for (int r = 0; r < h; r++)
        for (int c = 0; c < w; c++)
            mean[(size_t)r * (size_t)w + (size_t)c] =
                (float)window_of(table, h, w, r, c, radius);
}

/* still: 1 where nothing moves, 0 elsewhere; moved_before is the frame before, moved
 * along the flow. at_rest and along: two tables. */
static void find_still(float *still, double *at_rest, double *along,
                       const float *before, const float *moved_before, const float *now,
                       int h, int w)
{
    size_t n = nst_area(h, w);

    summed_area_table(at_rest, before, now, h, w);
    summed_area_table(along, moved_before, now, h, w);
    for (int r = 0; r < h; r++)
        for (int c = 0; c < w; c++)
            still[(size_t)r * (size_t)w + (size_t)c] =
                window_of(at_rest, h, w, r, c, MOTION_RADIUS) >
                MOTION_FACTOR * window_of(along, h, w, r, c, MOTION_RADIUS) +
                    MOTION_CHANGE;
    window_mean(still, at_rest, still, h, w, STILL_RADIUS);
    for (size_t i = 0; i < n; i++)
        still[i] = still[i] < STILL_SHARE;
}

/* Stop the flow where nothing moves, so that noise does not move the paint; what is
 * there is visible. What is not visible needs some paint to start from, too. */
static void correct_flow(float *back, float *visible, const float *still, int h, int w)
{
    size_t n = nst_area(h, w);

    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            float *u = &back[(size_t)y * (size_t)w + (size_t)x], *v = u + n;
            size_t i = (size_t)(u - back);
            float du = entry((float)x, *u, w), dv = entry((float)y, *v, h);

            if (still[i] > 0) {
                *u = *v = 0;
                visible[i] = 1;
            } else if (visible[i] == 0) {
                *u = du;
                *v = dv;
            }
        }
}

/* static_mask: 1 where a and b are alike, 0 where they differ. */
static void compare_frames(float *static_mask, double *table, const float *a,
                           const float *b, int h, int w)
{
    summed_area_table(table, a, b, h, w);
    for (int r = 0; r < h; r++)
        for (int c = 0; c < w; c++)
            static_mask[(size_t)r * (size_t)w + (size_t)c] =
                static_weight(table, h, w, r, c);
}

/* Multiply mask by the mean of visible in 3 x 3 pixels, which softens its edge. */
static void apply_visible(float *mask, const float *visible, int h, int w)
{
    for (int r = 0; r < h; r++)
        for (int c = 0; c < w; c++) {
            float sum = 0;
            int count = 0;

            for (int y = r - 1; y <= r + 1; y++)
                for (int x = c - 1; x <= c + 1; x++)
                    if (y >= 0 && x >= 0 && y < h && x < w) {
                        sum += visible[(size_t)y * (size_t)w + (size_t)x];
                        count++;
                    }
            mask[(size_t)r * (size_t)w + (size_t)c] *= sum / (float)count;
        }
}

/* Replace f->previous by what the motion makes of it, and set f->static_mask.
 * moved_before receives the frame before, moved in the same way. */
static enum nst_status move_previous(struct nst_coherence *f, struct nst_motion *motion,
                                     float *moved_before, double *table,
                                     const float *before, const float *now, int h,
                                     int w, struct nst_threads *threads,
                                     struct nst_err *err)
{
    float *moved, *visible = NULL, *still = NULL;
    enum nst_status st = nst_floats_new(&moved, 3, (size_t)h, (size_t)w, err);

    if (st == NST_OK)
        st = nst_floats_new(&visible, 1, (size_t)h, (size_t)w, err);
    if (st == NST_OK)
        st = nst_floats_new(&still, 1, (size_t)h, (size_t)w, err);
    if (st != NST_OK) {
        free(visible);
        free(moved);
        return st;
    }
    nst_flow_visible(visible, motion->back, motion->forward, h, w);
    nst_flow_exclude_boundaries(visible, motion->back, h, w);
    nst_flow_warp(moved_before, (struct nst_image){before, h, w}, motion->back,
                  threads);
    find_still(still, table, table + (size_t)(h + 1) * (size_t)(w + 1), before,
               moved_before, now, h, w);
    correct_flow(motion->back, visible, still, h, w);
    nst_flow_warp(moved, (struct nst_image){f->previous, h, w}, motion->back, threads);
    nst_flow_warp(moved_before, (struct nst_image){before, h, w}, motion->back,
                  threads);
    compare_frames(f->static_mask, table, moved_before, now, h, w);
    apply_visible(f->static_mask, visible, h, w);
    free(f->previous);
    f->previous = moved;
    free(visible);
    free(still);
    return NST_OK;
}

enum nst_status nst_coherence_update(struct nst_coherence *f, float *previous,
                                     const float *before, const float *now,
                                     struct nst_motion *motion, int h, int w,
                                     struct nst_threads *threads, struct nst_err *err)
{
    size_t n = nst_area(h, w);
    double *table = calloc(2 * (size_t)(h + 1) * (size_t)(w + 1), sizeof *table);
    float *moved_before = NULL;
    enum nst_status st = NST_OK;

    nst_coherence_clear(f);
    f->previous = previous;
    if (!table)
        st = nst_err_set(err, NST_ERR_MEM, "out of memory: a frame of %dx%d", w, h);
    if (st == NST_OK)
        st = nst_floats_new(&f->static_mask, 1, (size_t)h, (size_t)w, err);
    if (st == NST_OK)
        st = nst_floats_new(&f->warm_start, 3, (size_t)h, (size_t)w, err);
    if (st == NST_OK && motion->back) {
        st = nst_floats_new(&moved_before, 3, (size_t)h, (size_t)w, err);
        if (st == NST_OK)
            st = move_previous(f, motion, moved_before, table, before, now, h, w,
                               threads, err);
        before = moved_before;
    } else if (st == NST_OK)
        compare_frames(f->static_mask, table, before, now, h, w);
    free(table);
    if (st != NST_OK)
        nst_coherence_clear(f);
    for (size_t i = 0; st == NST_OK && i < 3 * n; i++) {
        float v = f->previous[i] + (1 - f->static_mask[i % n]) * (now[i] - before[i]);

        f->warm_start[i] = v > 0 ? v < 1 ? v : 1 : 0;
    }
    for (size_t i = 0; st == NST_OK && i < n; i++)
        f->held += f->static_mask[i] / (double)n;
    free(moved_before);
    return st;
}
