/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "record/digest.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"

char *nst_sha256(const char *path)
{
    static const size_t room = 1 << 16;
    struct stat st;
    GChecksum *sum;
    char *text = NULL;
    guchar *bytes;
    size_t n;
    FILE *f;

    /* a pipe would be opened, and what comes through it lost */
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return NULL;
    f = fopen(path, "re");
    if (!f)
        return NULL;
    bytes = nst_xcalloc(room, 1);
    sum = g_checksum_new(G_CHECKSUM_SHA256);
    while ((n = fread(bytes, 1, room, f)) > 0)
        g_checksum_update(sum, bytes, (gssize)n);
    if (!ferror(f))
        text = nst_xstrdup(g_checksum_get_string(sum));
    g_checksum_free(sum);
    free(bytes);
    fclose(f);
    return text;
}

char *nst_sha256_of(const char *text, size_t size)
{
    gchar *sum =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)text, size);
    char *copy = nst_xstrdup(sum);

    g_free(sum);
    return copy;
}
