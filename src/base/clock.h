/* SPDX-License-Identifier: MIT */
/* clock.h - time that never jumps. */
#ifndef NST_BASE_CLOCK_H
#define NST_BASE_CLOCK_H

#include <time.h>

/* Seconds since an arbitrary moment; they never go back. */
static inline double nst_clock_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
