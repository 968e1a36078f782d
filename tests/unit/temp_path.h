/* SPDX-License-Identifier: MIT */
/* temp_path.h - a file of its own for each test program: set-up and tear-down of a
 * group. */
#ifndef NST_TESTS_TEMP_PATH_H
#define NST_TESTS_TEMP_PATH_H

#include <stdlib.h>
#include <unistd.h>

static char path[] = "/tmp/nst-test-XXXXXX";

static int make_path(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int drop_path(void **state)
{
    (void)state;
    return unlink(path);
}

#endif
