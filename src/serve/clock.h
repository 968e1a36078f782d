/* SPDX-License-Identifier: MIT */
/* clock.h - the time of day. */
#ifndef NST_SERVE_CLOCK_H
#define NST_SERVE_CLOCK_H

#include <stddef.h>
#include <time.h>

#include "base/clock.h" /* nst_clock_seconds(), for intervals */

/* Seconds since 1970. */
static inline double serve_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define SERVE_TIME_SIZE sizeof "YYYY-MM-DDThh:mm:ssZ"

/* The time of day as text, in UTC. */
static inline const char *serve_time_text(char text[static SERVE_TIME_SIZE])
{
    const time_t now = time(NULL);
    struct tm tm;

    strftime(text, SERVE_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    return text;
}

#endif
