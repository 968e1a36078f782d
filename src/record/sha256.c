/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "record/sha256.h"

#include <dirent.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"

static int is_flow(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return length > 4 && strcmp(entry->d_name + length - 4, ".flo") == 0;
}

static char *folder_digest(const char *path)
{
    struct dirent **entry;
    int n = scandir(path, &entry, is_flow, alphasort);
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
    char *text;

    for (int i = 0; i < n; i++) {
        char *file = nst_xasprintf("%s/%s", path, entry[i]->d_name), *line;
        struct stat st = {0};

        stat(file, &st);
        line = nst_xasprintf("%s %lld %lld.%09ld\n", entry[i]->d_name,
                             (long long)st.st_size, (long long)st.st_mtim.tv_sec,
                             st.st_mtim.tv_nsec);
        g_checksum_update(sum, (const guchar *)line, (gssize)strlen(line));
        free(line);
        free(file);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    text = n >= 0 ? nst_xstrdup(g_checksum_get_string(sum)) : NULL;
    g_checksum_free(sum);
    return text;
}

char *nst_sha256_file(const char *path)
{
    static const size_t buffer_size = 1 << 16;
    struct stat st;
    GChecksum *sum;
    char *text = NULL;
    guchar *bytes;
    size_t n;
    FILE *f;

    if (stat(path, &st) != 0)
        return NULL;
    if (S_ISDIR(st.st_mode))
        return folder_digest(path);
    if (!S_ISREG(st.st_mode)) /* opening a pipe would lose its data */
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
