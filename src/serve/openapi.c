/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/openapi.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "model/data_path.h"
#include "serve/request.h"

/* The JSON schema for an entry of nst_describe_options(). */
static json_t *option_schema(const json_t *o)
{
    const char *type = json_string_value(json_object_get(o, "type"));
    json_t *word = json_object_get(o, "word"), *j;

    if (strcmp(type, "flag") == 0)
        j = json_pack("{s:s}", "type", "boolean");
    else if (strcmp(type, "integer") == 0 || strcmp(type, "real") == 0)
        j = json_pack("{s:s, s:O, s:O}", "type", *type == 'r' ? "number" : "integer",
                      "minimum", json_object_get(o, "min"), "maximum",
                      json_object_get(o, "max"));
    else if (strcmp(type, "choice") == 0)
        j = json_pack("{s:s, s:O, s:O}", "type", "string", "enum",
                      json_object_get(o, "choices"), "default",
                      json_object_get(o, "default"));
    else
        j = json_pack("{s:[s, s]}", "type", "string", "array");
    if (word && json_object_get(j, "minimum")) /* a word instead of a number */
        j = json_pack("{s:[o, {s:O}]}", "oneOf", j, "const", word);
    json_object_set(j, "description", json_object_get(o, "help"));
    return j;
}

/* Add the offered options. Their JSON names have _ instead of -. */
static void add_options(json_t *properties)
{
    char *text = nst_describe_options();
    json_t *options = json_loads(text, 0, NULL), *o;
    size_t i;

    json_array_foreach(options, i, o) {
        char *name = nst_xstrdup(json_string_value(json_object_get(o, "name")));

        for (char *c = name; *c; c++)
            if (*c == '-')
                *c = '_';
        if (json_is_true(json_object_get(o, "offered")) &&
            !json_object_get(properties, name))
            json_object_set_new(properties, name, option_schema(o));
        free(name);
    }
    json_decref(options);
    free(text);
}

static void set_range(json_t *properties, const char *name, json_int_t min,
                      json_int_t max, json_int_t default_value)
{
    json_t *property = json_object_get(properties, name);

    json_object_set_new(property, "minimum", json_integer(min));
    json_object_set_new(property, "maximum", json_integer(max));
    json_object_set_new(property, "default", json_integer(default_value));
}

enum nst_status serve_openapi(char **out, const struct serve_settings *s,
                              struct nst_err *err)
{
    char *path = nst_find_data("openapi.json");
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
    set_range(properties, "style_weight", SERVE_STYLE_WEIGHT_MIN,
              SERVE_STYLE_WEIGHT_MAX, SERVE_STYLE_WEIGHT_DEFAULT);
    set_range(properties, "num_steps", (json_int_t)s->min_steps, SERVE_STEPS_MAX,
              SERVE_STEPS_DEFAULT);
    if (!s->webhook_secret_file)
        json_object_del(properties, "webhook");
    set_range(properties, "size", 16, (json_int_t)s->max_size, 512);
    json_object_set_new(json_object_get(j, "info"), "version",
                        json_string(PACKAGE_VERSION));
    if (s->prefix)
        json_object_set_new(j, "servers", json_pack("[{s:s}]", "url", s->prefix));
    *out = json_dumps(j, JSON_INDENT(1));
    json_decref(j);
    return NST_OK;
}
