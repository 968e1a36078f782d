/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/request_value.h"

#include <ctype.h>
#include <glib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define MAX_TEXT 200

const json_t *serve_value_get(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);

    return json_is_null(v) ? NULL : v;
}

char *serve_value_text(const json_t *v)
{
    char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    char *cut = nst_xasprintf("%.*s", MAX_TEXT, text ? text : "?");

    free(text);
    return cut;
}

static bool is_whole(const json_t *v)
{
    return json_is_number(v) && rint(json_number_value(v)) == json_number_value(v);
}

bool serve_value_is_number(const json_t *v, double min, double max, bool whole)
{
    double n = json_number_value(v);

    return (whole ? is_whole(v) : json_is_number(v)) && n >= min && n <= max;
}

/* 15 digits if they parse back to the same number, else 17. */
char *serve_value_number_text(double v)
{
    char *text = nst_xasprintf("%.15g", v);

    if (strtod(text, NULL) != v) {
        free(text);
        text = nst_xasprintf("%.17g", v);
    }
    return text;
}

static char *whole_text(const json_t *v)
{
    return json_is_integer(v) ? nst_xasprintf("%lld", (long long)json_integer_value(v))
                              : nst_xasprintf("%.0f", json_real_value(v));
}

static char *string_text(const json_t *v)
{
    return json_is_string(v) ? nst_xstrdup(json_string_value(v)) : NULL;
}

/* The elements of a list, separated by commas: a new string. NULL unless there are some
 * and all are strings, or whole numbers. */
static char *list_text(const json_t *list, bool strings)
{
    GString *s = g_string_new(NULL);
    bool valid = json_array_size(list) > 0;
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item) {
        char *text = strings          ? string_text(item)
                     : is_whole(item) ? whole_text(item)
                                      : NULL;

        valid = valid && text;
        g_string_append_printf(s, "%s%s", i ? "," : "", text ? text : "");
        free(text);
    }
    return g_string_free(s, !valid);
}

/* True for the words of a list option, such as auto and 64.. */
static bool is_word(const json_t *v)
{
    const char *text = json_string_value(v);
    size_t digits = text ? strspn(text, "0123456789") : 0;

    return text && (digits ? strcmp(text + digits, "..") == 0
                           : isalpha((unsigned char)text[0]) && !strchr(text, ','));
}

char *serve_value_option_text(const struct nst_option *o, const json_t *v,
                              const char **wanted)
{
    switch (o->type) {
    case NST_OPTION_FLAG:
        *wanted = "true or false";
        return json_is_boolean(v) ? nst_xstrdup(json_is_true(v) ? "true" : "false")
                                  : NULL;
    case NST_OPTION_INT:
        *wanted = "a whole number";
        return is_whole(v) ? whole_text(v) : NULL;
    case NST_OPTION_REAL:
        *wanted = "a number";
        return json_is_number(v) ? serve_value_number_text(json_number_value(v)) : NULL;
    case NST_OPTION_LIST:
        *wanted = "a list of whole numbers, or a word";
        return is_word(v) ? string_text(v) : list_text(v, false);
    case NST_OPTION_LAYERS:
        *wanted = "a string, or a list of strings";
        return json_is_array(v) ? list_text(v, true) : string_text(v);
    default:
        *wanted = "a string";
        return string_text(v);
    }
}

json_t *serve_value_number_json(double v)
{
    return rint(v) == v && fabs(v) < 1e15 ? json_integer((json_int_t)v) : json_real(v);
}

static json_t *list_json(const char *text)
{
    char **items = g_strsplit(text, ",", -1);
    json_t *list = json_array();

    for (char **item = items; *item; item++)
        json_array_append_new(list, json_integer(strtoll(*item, NULL, 10)));
    g_strfreev(items);
    return list;
}

json_t *serve_value_option_json(const struct nst_option *o, const char *text)
{
    bool number = isdigit((unsigned char)text[0]) || text[0] == '-';

    if (o->type == NST_OPTION_FLAG)
        return json_boolean(strcmp(text, "true") == 0);
    if (number && (o->type == NST_OPTION_INT || o->type == NST_OPTION_REAL))
        return serve_value_number_json(strtod(text, NULL));
    if (o->type == NST_OPTION_LIST && number && !strstr(text, ".."))
        return list_json(text);
    return json_string(text);
}

char *serve_value_option_name(const char *option)
{
    char *name = nst_xstrdup(option);

    return g_strdelimit(name, "-", '_');
}
