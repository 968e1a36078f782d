/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/text_file.h"

#include <stdbool.h>

/* Whether the file begins with the first n bytes of mark, which are passed over. */
static bool pass_over(FILE *f, const char *mark, int n)
{
    int at = 0, c = 0;

    while (at < n && (c = getc(f)) == (unsigned char)mark[at])
        at++;
    if (at == n)
        return true;
    for (ungetc(c, f); at > 0;) /* glibc and musl take back that many */
        ungetc((unsigned char)mark[--at], f);
    return false;
}

enum nst_status nst_text_file_begin(FILE *f, const char *path, struct nst_err *err)
{
    if (!pass_over(f, "\xef\xbb\xbf", 3) &&
        (pass_over(f, "\xff\xfe", 2) || pass_over(f, "\xfe\xff", 2)))
        return nst_err_set(err, NST_ERR_FORMAT, "%s: is UTF-16 text; save it as UTF-8",
                           path);
    return NST_OK;
}
