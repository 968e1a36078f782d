/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "options/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "options/table.h"

json_t *nst_json_number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *nst_json_text(const char *s)
{
    json_t *j = json_string(s);
    char *copy;

    if (j || !s)
        return j ? j : json_null();
    copy = nst_xstrdup(s);
    for (char *c = copy; *c; c++)
        if (*c & 0x80)
            *c = '?';
    j = json_string(copy);
    free(copy);
    return j;
}

static json_t *option_value(const struct nst_params *p, const struct nst_option *o)
{
    const char *at = (const char *)p + o->offset;
    char *s;
    json_t *j;

    if (o->type == NST_OPTION_FLAG)
        return json_boolean(*(const bool *)at);
    if (o->type == NST_OPTION_REAL)
        return nst_json_number(*(const double *)at);
    if (o->type == NST_OPTION_INT && (!o->zero_word || *(const int64_t *)at != 0))
        return json_integer(*(const int64_t *)at);
    s = nst_params_get(p, o);
    j = nst_json_text(s);
    free(s);
    return j;
}

json_t *nst_json_recipe(const struct nst_params *p)
{
    const struct nst_option *o;
    json_t *j = json_object();

    for (size_t i = 0; (o = nst_option(i)); i++) {
        json_t *value;

        if (!o->recipe || strcmp(o->name, "model") == 0)
            continue;
        value = option_value(p, o);
        if (!json_is_null(value))
            json_object_set(j, o->name, value);
        json_decref(value);
    }
    return j;
}
