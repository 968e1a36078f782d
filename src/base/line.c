/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/line.h"

void nst_sanitise_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127)
            *text = ' ';
}
