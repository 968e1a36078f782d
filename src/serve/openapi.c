/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/openapi.h"

#include <glib.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "model/data_path.h"
#include "nst.h"
#include "serve/request.h"
#include "serve/request_value.h"

/* The pattern of the words that a list option takes instead of a list, a new string:
 * "^(auto|[0-9]+\\.\\.)$" for the argument LIST|FROM..|auto. */
static char *word_pattern(const char *argument)
{
    char **words = g_strsplit(argument, "|", -1);
    GString *s = g_string_new("^(");

    for (char **word = words + 1; words[0] && *word; word++)
        g_string_append_printf(s, "%s%s", word == words + 1 ? "" : "|",
                               g_str_has_suffix(*word, "..") ? "[0-9]+\\.\\." : *word);
    g_strfreev(words);
    g_string_append(s, ")$");
    return g_string_free(s, FALSE);
}

/* A list of whole numbers, or a word. */
static json_t *list_schema(const json_t *o)
{
    char *pattern = word_pattern(json_string_value(json_object_get(o, "argument")));
    json_t *j = json_pack(
        "{s:[{s:s, s:i, s:i, s:{s:s, s:O, s:O}}, {s:s, s:s}, {s:s}]}", "oneOf", "type",
        "array", "minItems", 1, "maxItems", NST_LIST_MAX, "items", "type", "integer",
        "minimum", json_object_get(o, "min"), "maximum", json_object_get(o, "max"),
        "type", "string", "pattern", pattern, "type", "null");

    g_free(pattern);
    return j;
}

static json_t *choice_schema(const json_t *o)
{
    json_t *words = json_deep_copy(json_object_get(o, "choices"));

    json_array_append_new(words, json_null());
    return json_pack("{s:[s, s], s:o, s:O}", "type", "string", "null", "enum", words,
                     "default", json_object_get(o, "default"));
}

/* The JSON schema for an entry of nst_describe_options(). */
static json_t *option_schema(const json_t *o)
{
    const char *type = json_string_value(json_object_get(o, "type"));
    json_t *j;

    if (strcmp(type, "flag") == 0)
        j = json_pack("{s:[s, s]}", "type", "boolean", "null");
    else if (strcmp(type, "integer") == 0 || strcmp(type, "real") == 0)
        j = json_pack("{s:[s, s], s:O, s:O}", "type",
                      *type == 'r' ? "number" : "integer", "null", "minimum",
                      json_object_get(o, "min"), "maximum", json_object_get(o, "max"));
    else if (strcmp(type, "choice") == 0)
        j = choice_schema(o);
    else if (strcmp(type, "list") == 0)
        j = list_schema(o);
    else
        j = json_pack("{s:[{s:s}, {s:s, s:i, s:{s:s}}, {s:s}]}", "oneOf", "type",
                      "string", "type", "array", "minItems", 1, "items", "type",
                      "string", "type", "null");
    json_object_set(j, "description", json_object_get(o, "help"));
    return j;
}

/* Add the offered options. */
static void add_options(json_t *properties)
{
    char *text = nst_describe_options();
    json_t *options = json_loads(text, 0, NULL), *o;
    size_t i;

    json_array_foreach(options, i, o) {
        char *name =
            serve_value_option_name(json_string_value(json_object_get(o, "name")));

        if (json_is_true(json_object_get(o, "offered")) &&
            !json_object_get(properties, name))
            json_object_set_new(properties, name, option_schema(o));
        free(name);
    }
    json_decref(options);
    free(text);
}

static void set_range(json_t *properties, const char *name, json_int_t min,
                      json_int_t max, double default_value)
{
    json_t *property = json_object_get(properties, name);

    json_object_set_new(property, "minimum", json_integer(min));
    json_object_set_new(property, "maximum", json_integer(max));
    json_object_set_new(property, "default", serve_value_number_json(default_value));
}

static void set_film_limits(json_t *frames, const struct serve_settings *s)
{
    json_object_set_new(frames, "x-max-frames",
                        json_integer((json_int_t)s->max_frames));
    json_object_set_new(frames, "x-max-size",
                        json_integer((json_int_t)s->max_film_size));
    json_object_set_new(frames, "x-max-bytes", json_integer((json_int_t)s->max_upload));
}

enum nst_status serve_openapi(char **out, const struct serve_settings *s,
                              struct nst_err *err)
{
    char *path = nst_find_data("openapi.json");
    json_error_t e;
    json_t *j, *properties = NULL;
    struct nst_params params;

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
    nst_params_init(&params);
    add_options(properties);
    set_range(properties, "style_weight", SERVE_STYLE_WEIGHT_MIN,
              SERVE_STYLE_WEIGHT_MAX, params.style_weight);
    set_range(properties, "num_steps", (json_int_t)s->min_steps, SERVE_STEPS_MAX,
              (double)params.iterations);
    if (!s->webhook_secret_file)
        json_object_del(properties, "webhook");
    set_range(properties, "size", 16, (json_int_t)s->max_size, (double)params.size);
    set_film_limits(json_object_get(properties, "frames"), s);
    nst_params_clear(&params);
    json_object_set_new(json_object_get(j, "info"), "version",
                        json_string(PACKAGE_VERSION));
    if (s->prefix)
        json_object_set_new(j, "servers", json_pack("[{s:s}]", "url", s->prefix));
    *out = json_dumps(j, JSON_INDENT(1));
    json_decref(j);
    return NST_OK;
}
