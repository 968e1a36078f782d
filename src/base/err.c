/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/line.h"

enum nst_status nst_err_set(struct nst_err *err, enum nst_status status,
                            const char *fmt, ...)
{
    va_list ap;

    if (!err)
        return status;
    err->status = status;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    nst_sanitise_line(err->text);
    return status;
}

void nst_err_prefix(struct nst_err *err, const char *prefix)
{
    size_t room = sizeof err->text - 1, n = strlen(prefix) + 2, old;

    if (!err || n > room)
        return;
    old = strlen(err->text);
    if (old > room - n)
        old = room - n;
    memmove(err->text + n, err->text, old);
    memcpy(err->text, prefix, n - 2);
    memcpy(err->text + n - 2, ": ", 2);
    err->text[n + old] = 0;
    nst_sanitise_line(err->text);
}
