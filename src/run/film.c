/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/film.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A pixel has changed as far as the mean difference in the square of this many pixels
 * each way around it comes near to MUCH: noise of a camera is less. */
#define AROUND 3
#define MUCH 0.05

void nst_follow_clear(struct nst_follow *f)
{
    free(f->made);
    free(f->still);
    free(f->start);
    *f = (struct nst_follow){NULL};
}

/* sums[r][c]: of the differences above and left of r and c. */
static void add_up(double *sums, const float *a, const float *b, int h, int w)
{
    size_t n = (size_t)h * (size_t)w, line = (size_t)w + 1;

    memset(sums, 0, line * sizeof *sums);
    for (int r = 0; r < h; r++) {
        double row = 0;

        sums[(size_t)(r + 1) * line] = 0;
        for (int c = 0; c < w; c++) {
            size_t i = (size_t)r * (size_t)w + (size_t)c;

            for (int k = 0; k < 3; k++)
                row += fabs((double)a[(size_t)k * n + i] - b[(size_t)k * n + i]) / 3;
            sums[(size_t)(r + 1) * line + (size_t)c + 1] =
                sums[(size_t)r * line + (size_t)c + 1] + row;
        }
    }
}

static float stillness(const double *sums, int h, int w, int r, int c)
{
    int top = r > AROUND ? r - AROUND : 0, left = c > AROUND ? c - AROUND : 0;
    int bottom = r + AROUND + 1 < h ? r + AROUND + 1 : h;
    int right = c + AROUND + 1 < w ? c + AROUND + 1 : w;
    size_t line = (size_t)w + 1;
    double sum = sums[(size_t)bottom * line + (size_t)right] -
                 sums[(size_t)top * line + (size_t)right] -
                 sums[(size_t)bottom * line + (size_t)left] +
                 sums[(size_t)top * line + (size_t)left];
    double change = sum / ((bottom - top) * (right - left)) / MUCH;

    return (float)(change < 1 ? 1 - change * change : 0);
}

enum nst_status nst_follow(struct nst_follow *f, float *made, const float *before,
                           const float *now, int h, int w, struct nst_err *err)
{
    size_t n = (size_t)h * (size_t)w;
    double *sums = calloc((size_t)(h + 1) * (size_t)(w + 1), sizeof *sums);
    enum nst_status st = NST_OK;

    nst_follow_clear(f);
    f->made = made;
    if (!sums)
        st = nst_err_set(err, NST_ERR_MEM, "out of memory: a frame of %dx%d", w, h);
    if (st == NST_OK)
        st = nst_floats_new(&f->still, 1, (size_t)h, (size_t)w, err);
    if (st == NST_OK)
        st = nst_floats_new(&f->start, 3, (size_t)h, (size_t)w, err);
    if (st != NST_OK) {
        free(sums);
        nst_follow_clear(f);
        return st;
    }
    add_up(sums, before, now, h, w);
    for (int r = 0; r < h; r++)
        for (int c = 0; c < w; c++)
            f->still[(size_t)r * (size_t)w + (size_t)c] = stillness(sums, h, w, r, c);
    for (size_t i = 0; i < 3 * n; i++) {
        float v = made[i] + (1 - f->still[i % n]) * (now[i] - before[i]);

        f->start[i] = v > 0 ? v < 1 ? v : 1 : 0;
    }
    free(sums);
    return NST_OK;
}
