/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/openapi.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "serve/request.h"

static json_t *words(const char *choices)
{
    json_t *list = json_array();

    while (choices && *choices) {
        size_t n = strcspn(choices, "|");

        json_array_append_new(list, json_stringn(choices, n));
        choices += n + (choices[n] == '|');
    }
    return list;
}

/* Numbers of a range, besides a word that an option may take in place of one. */
static json_t *number_schema(const struct nst_option *o)
{
    json_t *j = json_pack("{s:s, s:f, s:f}", "type",
                          o->type == NST_OPTION_REAL ? "number" : "integer", "minimum",
                          o->min, "maximum", o->max);

    if (!o->zero)
        return j;
    return json_pack("{s:[o, {s:s}]}", "oneOf", j, "const", o->zero);
}

static json_t *schema_of(const struct nst_option *o)
{
    json_t *j;

    if (o->type == NST_OPTION_FLAG)
        j = json_pack("{s:s}", "type", "boolean");
    else if (o->type == NST_OPTION_INT || o->type == NST_OPTION_REAL)
        j = number_schema(o);
    else if (o->type == NST_OPTION_CHOICE)
        j = json_pack("{s:s, s:o}", "type", "string", "enum", words(o->choices));
    else
        j = json_pack("{s:[s, s]}", "type", "string", "array");
    json_object_set_new(j, "description", json_string(o->help));
    if (o->initial && o->type != NST_OPTION_INT && o->type != NST_OPTION_REAL)
        json_object_set_new(j, "default", json_string(o->initial));
    return j;
}

/* Names in JSON have _ where options have -. */
static void add_options(json_t *properties)
{
    const struct nst_option *o;

    for (size_t i = 0; (o = nst_option(i)); i++) {
        char *name = nst_xstrdup(o->name);

        for (char *c = name; *c; c++)
            if (*c == '-')
                *c = '_';
        if (o->offered && !json_object_get(properties, name))
            json_object_set_new(properties, name, schema_of(o));
        free(name);
    }
}

static void set_range(json_t *properties, const char *name, json_int_t least,
                      json_int_t most, json_int_t usual)
{
    json_t *of = json_object_get(properties, name);

    json_object_set_new(of, "minimum", json_integer(least));
    json_object_set_new(of, "maximum", json_integer(most));
    json_object_set_new(of, "default", json_integer(usual));
}

enum nst_status serve_openapi(char **out, const struct serve_settings *s,
                              struct nst_err *err)
{
    char *path = nst_search_data("openapi.json");
    json_error_t e;
    json_t *j, *properties = NULL;

    if (!path)
        return nst_err_set(err, NST_ERR_IO,
                           "openapi.json is not among the installed data");
    j = json_load_file(path, 0, &e);
    if (json_unpack(j, "{s:{s:{s:{s:o}}}}", "components", "schemas", "StyleTransfer",
                    "properties", &properties) != 0) {
        nst_err_set(err, NST_ERR_FORMAT, "%s: line %d: %s", path, e.line, e.text);
        json_decref(j);
        free(path);
        return NST_ERR_FORMAT;
    }
    free(path);
    add_options(properties);
    set_range(properties, "style_weight", SERVE_STYLE_WEIGHT_LEAST,
              SERVE_STYLE_WEIGHT_MOST, SERVE_STYLE_WEIGHT);
    set_range(properties, "num_steps", (json_int_t)s->min_steps, SERVE_STEPS_MOST,
              SERVE_STEPS);
    set_range(properties, "size", 16, (json_int_t)s->max_size, 512);
    json_object_set_new(json_object_get(j, "info"), "version",
                        json_string(PACKAGE_VERSION));
    if (s->prefix)
        json_object_set_new(j, "servers", json_pack("[{s:s}]", "url", s->prefix));
    *out = json_dumps(j, JSON_INDENT(1));
    json_decref(j);
    return NST_OK;
}
