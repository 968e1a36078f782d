/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "options/describe.h"

#include <stdlib.h>
#include <string.h>

#include "options/json.h"
#include "options/table.h"

char *nst_describe_recipe(const struct nst_params *p)
{
    json_t *j = json_pack("{s:o}", "options", nst_json_recipe(p)), *options;
    char *s;

    options = json_object_get(j, "options");
    if (p->model)
        json_object_set_new(options, "model", nst_json_text(p->model));
    s = json_dumps(j, JSON_INDENT(4) | JSON_REAL_PRECISION(15));
    json_decref(j);
    return s;
}

static json_t *choice_list(const char *choices)
{
    json_t *list = json_array();

    while (choices && *choices) {
        size_t n = strcspn(choices, "|");

        json_array_append_new(list, json_stringn(choices, n));
        choices += n + (choices[n] == '|');
    }
    return list;
}

static json_t *describe_option(const struct nst_option *o)
{
    static const char *const types[] = {[NST_OPTION_FLAG] = "flag",
                                        [NST_OPTION_INT] = "integer",
                                        [NST_OPTION_SIZE] = "size",
                                        [NST_OPTION_REAL] = "real",
                                        [NST_OPTION_CHOICE] = "choice",
                                        [NST_OPTION_TEXT] = "text",
                                        [NST_OPTION_LAYERS] = "layers",
                                        [NST_OPTION_STYLES] = "style",
                                        [NST_OPTION_STYLE_MASK] = "mask",
                                        [NST_OPTION_STYLE_LAYERS] = "layers of a style",
                                        [NST_OPTION_LIST] = "list"};
    char letter[] = {(char)o->key, 0};
    json_t *j = json_pack("{s:s, s:s}", "name", o->name, "type", types[o->type]);

    if (o->key)
        json_object_set_new(j, "letter", json_string(letter));
    if (o->min < o->max) {
        json_object_set_new(j, "min", json_real(o->min));
        json_object_set_new(j, "max", json_real(o->max));
    }
    if (o->choices)
        json_object_set_new(j, "choices", choice_list(o->choices));
    if (o->zero_word)
        json_object_set_new(j, "word", json_string(o->zero_word));
    if (o->default_text)
        json_object_set_new(j, "default", json_string(o->default_text));
    if (o->arg)
        json_object_set_new(j, "argument", json_string(o->arg));
    json_object_set_new(j, "help", json_string(o->help));
    json_object_set_new(j, "group", json_string(nst_option_group(o->group)));
    json_object_set_new(j, "recipe", json_boolean(o->recipe));
    json_object_set_new(j, "offered", json_boolean(o->offered));
    json_object_set_new(j, "once", json_boolean(o->once));
    json_object_set_new(j, "optimises", json_boolean(o->optimises));
    return j;
}

char *nst_describe_options(void)
{
    const struct nst_option *o;
    json_t *list = json_array();
    char *s;

    for (size_t i = 0; (o = nst_option(i)); i++)
        json_array_append_new(list, describe_option(o));
    s = json_dumps(list, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    json_decref(list);
    return s;
}
