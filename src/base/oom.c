/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/oom.h"

#include <stdlib.h>

static void (*oom_handler)(void);

void nst_set_oom_handler(void (*handler)(void))
{
    oom_handler = handler;
}

void nst_out_of_memory(void)
{
    if (oom_handler)
        oom_handler();
    abort();
}
