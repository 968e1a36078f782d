/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/temporal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* A pixel counts as changed as the mean difference in the window, this many pixels each
 * way, approaches CHANGE_THRESHOLD; camera noise is below. */
#define WINDOW_RADIUS 3
#define CHANGE_THRESHOLD 0.05

void nst_coherence_clear(struct nst_coherence *f)
{
    free(f->previous);
    free(f->static_mask);
    free(f->warm_start);
    f->previous = f->static_mask = f->warm_start = NULL;
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

enum nst_status nst_coherence_update(struct nst_coherence *f, float *previous,
                                     const float *before, const float *now, int h,
                                     int w, struct nst_err *err)
{
    size_t n = (size_t)h * (size_t)w;
    double *table = calloc((size_t)(h + 1) * (size_t)(w + 1), sizeof *table);
    enum nst_status st = NST_OK;

    nst_coherence_clear(f);
    f->previous = previous;
    if (!table)
        st = nst_err_set(err, NST_ERR_MEM, "out of memory: a frame of %dx%d", w, h);
    if (st == NST_OK)
        st = nst_floats_new(&f->static_mask, 1, (size_t)h, (size_t)w, err);
    if (st == NST_OK)
        st = nst_floats_new(&f->warm_start, 3, (size_t)h, (size_t)w, err);
    if (st != NST_OK) {
        free(table);
        nst_coherence_clear(f);
        return st;
    }
    summed_area_table(table, before, now, h, w);
    for (int r = 0; r < h; r++)
        for (int c = 0; c < w; c++)
            f->static_mask[(size_t)r * (size_t)w + (size_t)c] =
                static_weight(table, h, w, r, c);
    for (size_t i = 0; i < 3 * n; i++) {
        float v = previous[i] + (1 - f->static_mask[i % n]) * (now[i] - before[i]);

        f->warm_start[i] = v > 0 ? v < 1 ? v : 1 : 0;
    }
    free(table);
    return NST_OK;
}
