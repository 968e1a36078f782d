/* SPDX-License-Identifier: MIT */
/* template.h - texts with words in braces, as {stem}.png, that stand for values. */
#ifndef NST_BASE_TEMPLATE_H
#define NST_BASE_TEMPLATE_H

#include <stddef.h>

#include "base/err.h"

struct nst_template_vars {
    /* What the word of that length stands for: a new string, or NULL for a word that is
     * none of these. */
    char *(*value)(const void *ctx, const char *word, size_t length);
    const void *ctx;
    const char *option; /* how messages begin */
    const char *known;  /* how they name the words: "{a}, {b} and {c}" */
};

/*
 * The template with its words replaced. *out is a new string, NULL on failure.
 * NST_ERR_ARG: another word, or a { without its }.
 */
enum nst_status nst_template_expand(char **out, const char *template,
                                    const struct nst_template_vars *vars,
                                    struct nst_err *err);

#endif
