/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Add to *text what the template begins with, up to and with its first word; *used
 * becomes how much of it that was. */
static enum nst_status fill_next(char **text, size_t *used, const char *template,
                                 const struct nst_template_words *words,
                                 struct nst_err *err)
{
    size_t plain = strcspn(template, "{"), length = strcspn(template + plain, "}");
    const char *word = template + plain + 1;
    char *value = NULL, *longer;

    *used = plain;
    if (template[plain]) {
        if (!template[plain + length])
            return nst_err_set(err, NST_ERR_ARG, "%s: '%s': a { without its }",
                               words->option, template);
        value = words->value(words->ctx, word, length - 1);
        if (!value)
            return nst_err_set(err, NST_ERR_ARG, "%s: {%.*s} is none of %s",
                               words->option, (int)length - 1, word, words->known);
        *used += length + 1;
    }
    longer = nst_xasprintf("%s%.*s%s", *text, (int)plain, template, value ? value : "");
    free(*text);
    free(value);
    *text = longer;
    return NST_OK;
}

enum nst_status nst_template_fill(char **out, const char *template,
                                  const struct nst_template_words *words,
                                  struct nst_err *err)
{
    enum nst_status st = NST_OK;
    size_t used;

    *out = nst_xstrdup("");
    for (; st == NST_OK && *template; template += used)
        st = fill_next(out, &used, template, words, err);
    if (st != NST_OK) {
        free(*out);
        *out = NULL;
    }
    return st;
}
