/* SPDX-License-Identifier: MIT */
/*
 * A library for LD_PRELOAD that makes the programs that nst-serve starts try to escape
 * from their sandbox before they do their work, as a program that a picture has taken
 * over could. If anything succeeds, the program fails with it as its message.
 *   NST_TAKEN_OVER   set: try; "tell": fail in any case, with the number of attempts
 *   NST_ESCAPE_FILES, NST_ESCAPE_FOLDERS   of others, separated by colons
 */
#include "config.h"

#include <libgen.h>

#include "escapes.h"

#define MAX_TEXT 16384

static char *find_argument(char *arguments, size_t size, const char *begin)
{
    for (char *a = arguments; a < arguments + size; a += strlen(a) + 1)
        if (strncmp(a, begin, strlen(begin)) == 0)
            return a + strlen(begin);
    return NULL;
}

/* The folder that the program may write to, or one of others if it has none. */
static const char *own_folder(char *arguments, size_t size)
{
    char *checkpoint = find_argument(arguments, size, "--checkpoint=");
    char *thumbnail = find_argument(arguments, size, "--thumbnail");
    char *output = find_argument(arguments, size, "--output=");

    if (thumbnail) { /* --thumbnail IN OUT */
        thumbnail += 1 + strlen(thumbnail + 1) + 1;
        return dirname(thumbnail);
    }
    return checkpoint ? dirname(checkpoint) : output ? dirname(output) : "/tmp";
}

static void try_all(FILE *out, const char *variable, const char *own,
                    void (*attempt)(FILE *out, const char *path, const char *own))
{
    char *list = strdup(getenv(variable) ? getenv(variable) : ""), *rest = list, *path;

    while ((path = strsep(&rest, ":")))
        if (*path)
            attempt(out, path, own);
    free(list);
}

static void plant(const char *own)
{
    char path[4096];
    FILE *f;

    snprintf(path, sizeof path, "%s/escape.html", own);
    f = fopen(path, "w");
    if (f)
        fclose(f);
}

__attribute__((constructor)) static void take_over(void)
{
    static char arguments[MAX_TEXT], text[MAX_TEXT];
    const char *mode = getenv("NST_TAKEN_OVER"), *own;
    FILE *f = mode ? fopen("/proc/self/cmdline", "r") : NULL, *out;
    size_t size = f ? fread(arguments, 1, sizeof arguments - 1, f) : 0;

    if (f)
        fclose(f);
    if (!find_argument(arguments, size, "--thumbnail") &&
        !find_argument(arguments, size, "--progress=json") &&
        !find_argument(arguments, size, "--quiet") && /* a preview */
        !strstr(arguments, "nst-compare"))
        return;
    out = fmemopen(text, sizeof text, "w");
    own = own_folder(arguments, size);
    escape_to_processes(out);
    escape_by_processes(out);
    escape_to_memory(out);
    escape_to_kernel(out);
    escape_in_folder(out, own);
    try_all(out, "NST_ESCAPE_FILES", own, escape_to_file);
    try_all(out, "NST_ESCAPE_FOLDERS", own, escape_to_folder);
    plant(own);
    if (strcmp(mode, "tell") == 0)
        fprintf(out, "%d attempts", escape_attempts);
    fclose(out);
    if (!text[0])
        return;
    dprintf(STDERR_FILENO, "nst: escaped: %s\n", text);
    _exit(1);
}
