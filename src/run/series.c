/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/series.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/path.h"
#include "base/template.h"

/* Values of the words in a template. */
struct template_values {
    int64_t step;
    int scale;
};

static char *expand_word(const void *ctx, const char *word, size_t length)
{
    const struct template_values *n = ctx;

    if (length == 4 && strncmp(word, "step", 4) == 0)
        return nst_xasprintf("%06lld", (long long)n->step);
    if (length == 5 && strncmp(word, "scale", 5) == 0)
        return nst_xasprintf("%d", n->scale);
    return NULL;
}

static enum nst_status expand(char **name, const char *path,
                              const struct template_values *n, struct nst_err *err)
{
    const struct nst_template_vars words = {expand_word, n, "preview",
                                            "{step} and {scale}"};
    const char *last = nst_base_name(path);
    enum nst_status st = nst_template_expand(name, last, &words, err);
    char *file = *name;

    if (st != NST_OK)
        return st;
    *name = nst_xasprintf("%.*s%s", (int)(last - path), path, file);
    free(file);
    return NST_OK;
}

bool nst_series_is_template(const char *path)
{
    return strchr(nst_base_name(path), '{') != NULL;
}

enum nst_status nst_series_check(const char *path, struct nst_err *err)
{
    const struct template_values zeros = {0};
    char *name;
    enum nst_status st = expand(&name, path, &zeros, err);

    free(name);
    return st;
}

char *nst_series_file_name(const char *path, int64_t step, int scale)
{
    const struct template_values n = {step, scale};
    char *name;

    return expand(&name, path, &n, NULL) == NST_OK ? name : nst_xstrdup(path);
}

/* Whether name matches pattern with digits in place of its words. */
static bool matches(const char *pattern, const char *name)
{
    size_t digits;

    for (; *pattern != '{'; pattern++, name++)
        if (*pattern != *name)
            return false;
        else if (!*pattern)
            return true;
    pattern = strchr(pattern, '}');
    digits = pattern ? strspn(name, "0123456789") : 0;
    for (size_t n = 1; n <= digits; n++)
        if (matches(pattern + 1, name + n))
            return true;
    return false;
}

bool nst_series_matches(const char *series, const char *path)
{
    char *pattern = nst_path_canonical(series), *real = nst_path_canonical(path);
    size_t directory_length = (size_t)(nst_base_name(pattern) - pattern);
    bool matched = nst_series_is_template(series) &&
                   strncmp(pattern, real, directory_length) == 0 &&
                   matches(pattern + directory_length, real + directory_length);

    free(pattern);
    free(real);
    return matched;
}

enum nst_status nst_series_protect_inputs(const struct nst_batch *b,
                                          const struct nst_params *p,
                                          const char *series, struct nst_err *err)
{
    const char *template = nst_base_name(series);
    int length = (int)(template - series);
    char *directory = nst_xasprintf("%.*s.", length, series);
    enum nst_status st = NST_OK;
    struct dirent **entry;
    int n = scandir(directory, &entry, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        char *path = nst_xasprintf("%.*s%s", length, series, entry[i]->d_name);

        if (st == NST_OK && matches(template, entry[i]->d_name))
            st = nst_batch_protect_inputs(b, p, path, err);
        free(path);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    free(directory);
    return st;
}
