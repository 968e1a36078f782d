/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "record/sha256.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"

char *nst_sha256_file(const char *path)
{
    static const size_t buffer_size = 1 << 16;
    struct stat st;
    GChecksum *sum;
    char *text = NULL;
    guchar *bytes;
    size_t n;
    FILE *f;

    /* opening a pipe would lose its data */
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return NULL;
    f = fopen(path, "re");
    if (!f)
        return NULL;
    bytes = nst_xcalloc(buffer_size, 1);
    sum = g_checksum_new(G_CHECKSUM_SHA256);
    while ((n = fread(bytes, 1, buffer_size, f)) > 0)
        g_checksum_update(sum, bytes, (gssize)n);
    if (!ferror(f))
        text = nst_xstrdup(g_checksum_get_string(sum));
    g_checksum_free(sum);
    free(bytes);
    fclose(f);
    return text;
}

char *nst_sha256_text(const char *text, size_t size)
{
    gchar *sum =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)text, size);
    char *copy = nst_xstrdup(sum);

    g_free(sum);
    return copy;
}
