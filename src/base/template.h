/* SPDX-License-Identifier: MIT */
/* template.h - expands words in braces, as in {stem}.png. */
#ifndef NST_BASE_TEMPLATE_H
#define NST_BASE_TEMPLATE_H

#include <stddef.h>

#include "base/err.h"

struct nst_template_vars {
    /* The value of a word (not terminated): a new string, or NULL if it is unknown. */
    char *(*value)(const void *ctx, const char *word, size_t length);
    const void *ctx;
    const char *option; /* prefix of messages */
    const char *known;  /* the valid words, for messages: "{a}, {b} and {c}" */
};

/* Replace the words of a template. *out is a new string, or NULL on failure.
 * NST_ERR_ARG: an unknown word, or a { without its }. */
enum nst_status nst_template_expand(char **out, const char *template,
                                    const struct nst_template_vars *vars,
                                    struct nst_err *err);

#endif
