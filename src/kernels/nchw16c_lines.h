/* SPDX-License-Identifier: MIT */
/*
 * nchw16c_lines.h - one line of the transforms of Winograd's F(2x2, 3x3) and F(4x4,
 * 3x3) (Lavin and Gray 2016, sections 4.1 and 4.3). tile, 2 or 4, is a constant after
 * inlining.
 */
#ifndef NST_KERNELS_NCHW16C_LINES_H
#define NST_KERNELS_NCHW16C_LINES_H

#include "kernels/nchw16c_isa.h"

#define MAX_SIDE 6 /* of the input of a tile */

/* One line of B' d. */
INLINE void input_line(int tile, const vec *d, vec *t)
{
    if (tile == 2) {
        t[0] = d[0] - d[2];
        t[1] = d[1] + d[2];
        t[2] = d[2] - d[1];
        t[3] = d[1] - d[3];
    } else {
        vec a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], c = d[4] - d[2],
            e = 2 * (d[3] - d[1]);

        t[0] = 4 * d[0] - 5 * d[2] + d[4];
        t[1] = a + b;
        t[2] = a - b;
        t[3] = c + e;
        t[4] = c - e;
        t[5] = 4 * d[1] - 5 * d[3] + d[5];
    }
}

/* One line of A' m. */
INLINE void output_line(int tile, const vec *m, vec *t)
{
    if (tile == 2) {
        t[0] = m[0] + m[1] + m[2];
        t[1] = m[1] - m[2] - m[3];
    } else {
        vec a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], e = m[3] - m[4];

        t[0] = m[0] + a + c;
        t[1] = b + 2 * e;
        t[2] = a + 4 * c;
        t[3] = b + 8 * e + m[5];
    }
}

#endif
