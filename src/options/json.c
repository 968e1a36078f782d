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

/* Whether the character of n bytes at s is from U+EF80 to U+EFFF, which stand for a
 * byte. */
static bool is_escape(const char *s, size_t n)
{
    return n == 3 && (s[0] & 0xff) == 0xee && ((s[1] & 0xfe) == 0xbe);
}

/* Bytes of the UTF-8 character at s; 0 if there is none. */
static size_t character_length(const char *s)
{
    size_t length = strnlen(s, 4);

    for (size_t n = 1; n <= length; n++) {
        json_t *j = json_stringn(s, n);

        json_decref(j);
        if (j)
            return n;
    }
    return 0;
}

json_t *nst_json_text(const char *s)
{
    char *escaped, *to;
    json_t *j;

    if (!s)
        return json_null();
    to = escaped = nst_xcalloc(3 * strlen(s) + 1, 1);
    while (*s) {
        size_t n = *s & 0x80 ? character_length(s) : 1;

        if (n && !is_escape(s, n)) {
            memcpy(to, s, n);
            to += n;
            s += n;
            continue;
        }
        for (n += !n; n > 0; n--, s++) {
            *to++ = (char)0xee;
            *to++ = (char)(0xbc | (*s & 0xff) >> 6);
            *to++ = (char)(0x80 | (*s & 0x3f));
        }
    }
    j = json_string(escaped);
    free(escaped);
    return j;
}

char *nst_json_text_bytes(const char *text)
{
    char *bytes = nst_xstrdup(text), *to = bytes;

    for (const char *s = bytes; *s; s++)
        if (is_escape(s, strnlen(s, 3))) {
            *to++ = (char)((s[1] & 3) << 6 | (s[2] & 0x3f));
            s += 2;
        } else
            *to++ = *s;
    *to = 0;
    return bytes;
}

json_t *nst_json_with_bytes(const json_t *j)
{
    json_t *copy, *value;
    const char *name;
    char *bytes;
    size_t i;

    if (json_is_string(j)) {
        bytes = nst_json_text_bytes(json_string_value(j));
        copy = json_string_nocheck(bytes);
        free(bytes);
    } else if (json_is_array(j)) {
        copy = json_array();
        json_array_foreach(j, i, value)
            json_array_append_new(copy, nst_json_with_bytes(value));
    } else if (json_is_object(j)) {
        copy = json_object();
        json_object_foreach((json_t *)j, name, value)
            json_object_set_new(copy, name, nst_json_with_bytes(value));
    } else
        copy = json_copy((json_t *)j);
    return copy;
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
