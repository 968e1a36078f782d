/* SPDX-License-Identifier: MIT */
/*
 * tap.h - the few lines that a test without cmocka needs to speak TAP: the tests of
 * floors 0 to 2 run where there is only a compiler.
 */
#ifndef NST_TESTS_TAP_H
#define NST_TESTS_TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int tap_tests, tap_failures;

static inline void tap(int ok, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static inline void tap(int ok, const char *fmt, ...)
{
    va_list ap;

    printf("%sok %d - ", ok ? "" : "not ", ++tap_tests);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
    tap_failures += !ok;
}

static inline int tap_end(void)
{
    printf("1..%d\n", tap_tests);
    return tap_failures > 0;
}

/* A new seed each time, printed; $NST_TEST_SEED repeats a run. */
static inline unsigned tap_seed(void)
{
    const char *given = getenv("NST_TEST_SEED");
    unsigned seed =
        given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL) * 2654435761u;

    printf("# NST_TEST_SEED=%u\n", seed);
    return seed;
}

/* xorshift; *state is not 0 */
static inline float tap_random(unsigned *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return (float)(*state >> 8) / (1 << 23) - 1;
}

#endif
