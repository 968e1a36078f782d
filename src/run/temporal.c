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
/* Where neighbouring frames are alike to this weight, and the flow is shorter than so
 * many pixels, nothing moves. */
#define STILL 0.7F
#define STILL_PIXELS 0.5F
#define ENTRY_PIXELS 64

void nst_coherence_clear(struct nst_coherence *f)
{
    free(f->previous);
    free(f->static_mask);
    free(f->warm_start);
    *f = (struct nst_coherence){NULL};
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

static float static_weight(const double *table, int h, int w, int r, int c)
{
    int top = r > WINDOW_RADIUS ? r - WINDOW_RADIUS : 0,
        left = c > WINDOW_RADIUS ? c - WINDOW_RADIUS : 0;
    int bottom = r + WINDOW_RADIUS + 1 < h ? r + WINDOW_RADIUS + 1 : h;
    int right = c + WINDOW_RADIUS + 1 < w ? c + WINDOW_RADIUS + 1 : w;
    size_t line = (size_t)w + 1;
    double sum = table[(size_t)bottom * line + (size_t)right] -
                 table[(size_t)top * line + (size_t)right] -
                 table[(size_t)bottom * line + (size_t)left] +
                 table[(size_t)top * line + (size_t)left];
    double change = sum / ((bottom - top) * (right - left)) / CHANGE_THRESHOLD;

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

/* Move the result of the frame before, and the frame itself, along the flow from the
 * frame now. Where neighbouring frames are alike and the flow is short or cannot be
 * trusted, nothing moves, and the pixel is visible: interpolation would blur it a
 * little more in each frame. What was not visible needs some paint to start from, too.
 */
static void follow_motion(float *moved, float *moved_before, const float *previous,
                          const float *before, float *back, const float *unchanged,
                          float *visible, int h, int w)
{
    size_t n = nst_area(h, w);

    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            float *u = &back[(size_t)y * (size_t)w + (size_t)x], *v = u + n;
            size_t i = (size_t)(u - back);
            float du = entry((float)x, *u, w), dv = entry((float)y, *v, h);
            bool is_short = hypotf(*u, *v) < STILL_PIXELS;
            bool is_hidden = visible[i] == 0,
                 enters = !is_short && (du != 0 || dv != 0);

            if (!is_hidden && !is_short)
                continue;
            if (unchanged[i] > STILL && !enters) {
                *u = *v = 0;
                visible[i] = 1;
            } else if (is_hidden) {
                *u = enters ? du : 0;
                *v = enters ? dv : 0;
            }
        }
    nst_flow_warp(moved, (struct nst_image){previous, h, w}, back);
    nst_flow_warp(moved_before, (struct nst_image){before, h, w}, back);
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
                                     int w, struct nst_err *err)
{
    float *moved, *visible = NULL;
    enum nst_status st = nst_floats_new(&moved, 3, (size_t)h, (size_t)w, err);

    if (st == NST_OK)
        st = nst_floats_new(&visible, 1, (size_t)h, (size_t)w, err);
    if (st != NST_OK) {
        free(moved);
        return st;
    }
    nst_flow_visible(visible, motion->back, motion->forward, h, w);
    nst_flow_exclude_boundaries(visible, motion->back, h, w);
    compare_frames(f->static_mask, table, before, now, h, w);
    follow_motion(moved, moved_before, f->previous, before, motion->back,
                  f->static_mask, visible, h, w);
    compare_frames(f->static_mask, table, moved_before, now, h, w);
    apply_visible(f->static_mask, visible, h, w);
    free(f->previous);
    f->previous = moved;
    free(visible);
    return NST_OK;
}

enum nst_status nst_coherence_update(struct nst_coherence *f, float *previous,
                                     const float *before, const float *now,
                                     struct nst_motion *motion, int h, int w,
                                     struct nst_err *err)
{
    size_t n = nst_area(h, w);
    double *table = calloc((size_t)(h + 1) * (size_t)(w + 1), sizeof *table);
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
            st = move_previous(f, motion, moved_before, table, before, now, h, w, err);
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
