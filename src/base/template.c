/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Append to *text the template up to its first word and that word's value. *used is the
 * length consumed. */
static enum nst_status expand_next(char **text, size_t *used, const char *template,
                                   const struct nst_template_vars *vars,
                                   struct nst_err *err)
{
    size_t plain = strcspn(template, "{"), length = strcspn(template + plain, "}");
    const char *word = template + plain + 1;
    char *value = NULL, *longer;

    *used = plain;
    if (template[plain]) {
        if (!template[plain + length])
            return nst_err_set(err, NST_ERR_ARG, "%s: '%s': a { without its }",
                               vars->option, template);
        value = vars->value(vars->ctx, word, length - 1);
        if (!value)
            return nst_err_set(err, NST_ERR_ARG, "%s: {%.*s} is none of %s",
                               vars->option, (int)length - 1, word, vars->known);
        *used += length + 1;
    }
    longer = nst_xasprintf("%s%.*s%s", *text, (int)plain, template, value ? value : "");
    free(*text);
    free(value);
    *text = longer;
    return NST_OK;
}

enum nst_status nst_template_expand(char **out, const char *template,
                                    const struct nst_template_vars *vars,
                                    struct nst_err *err)
{
    enum nst_status st = NST_OK;
    size_t used;

    *out = nst_xstrdup("");
    for (; st == NST_OK && *template; template += used)
        st = expand_next(out, &used, template, vars, err);
    if (st != NST_OK) {
        free(*out);
        *out = NULL;
    }
    return st;
}
