/* SPDX-License-Identifier: MIT */
/*
 * unit.h - what every cmocka test needs: the names of its tests are sentences.
 */
#ifndef NST_TESTS_UNIT_H
#define NST_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>

#include <cmocka.h>

#define SAYS(sentence, function)                                                       \
    {                                                                                  \
        sentence, function, NULL, NULL, NULL                                           \
    }

#endif
