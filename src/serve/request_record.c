/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/request.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "serve/film.h"
#include "serve/init_image.h"
#include "serve/request_value.h"
#include "serve/store.h"
#include "serve/styles.h"

/* Add OPTION followed by the path of an upload. False if it no longer exists. */
static bool add_upload(GPtrArray *args, const char *option, const json_t *name,
                       char **error)
{
    const char *file = json_string_value(name);
    char *path;

    if (!file || !serve_store_has("uploads", file)) {
        *error = nst_xasprintf("%s: the picture no longer exists", file ? file : "?");
        return false;
    }
    path = serve_store_path("uploads", file);
    g_ptr_array_add(args, g_strdup_printf("%s%s", option, path));
    free(path);
    return true;
}

/* Add --init. False, with an error, if its picture no longer exists. */
static bool add_init(GPtrArray *args, const json_t *init, char **error)
{
    const char *name = json_string_value(init);

    if (!name || !serve_init_is_word(name))
        return !init || add_upload(args, "--init=", init, error);
    g_ptr_array_add(args, g_strdup_printf("--init=%s", name));
    return true;
}

static bool add_styles(GPtrArray *args, const json_t *styles, char **error)
{
    const json_t *item, *mask;
    size_t i;

    json_array_foreach(styles, i, item) {
        const char *name = json_string_value(json_object_get(item, "name"));
        char *path = name ? serve_styles_path(name) : NULL;

        if (!path) {
            *error = nst_xasprintf("%s: the style no longer exists", name ? name : "?");
            return false;
        }
        g_ptr_array_add(
            args, g_strdup_printf("--style=%s:%g", path,
                                  json_number_value(json_object_get(item, "weight"))));
        free(path);
        mask = json_object_get(item, "mask");
        if (mask && !add_upload(args, "--mask=", mask, error))
            return false;
    }
    return true;
}

bool serve_request_is_net(const json_t *record)
{
    const json_t *style = json_array_get(json_object_get(record, "styles"), 0);
    const char *name = json_string_value(json_object_get(style, "name"));

    return name && serve_styles_is_net(name);
}

char **serve_request_arguments(const json_t *record, char **error)
{
    GPtrArray *args = g_ptr_array_new_with_free_func(g_free);
    const json_t *mask = json_object_get(record, "keep_mask");
    const char *preset = json_string_value(json_object_get(record, "preset")), *name;
    const struct nst_option *o;
    bool complete, is_net = serve_request_is_net(record);
    json_t *v;

    if (preset)
        g_ptr_array_add(args, g_strdup_printf("--preset=%s", preset));
    json_object_foreach(json_object_get(record, "options"), name, v) {
        o = nst_option_find(name);
        if (o && o->optimises && is_net) /* it has no use for it */
            continue;
        if (o && o->type == NST_OPTION_FLAG) {
            if (strcmp(json_string_value(v), "true") == 0)
                g_ptr_array_add(args, g_strdup_printf("--%s", name));
        } else
            g_ptr_array_add(args,
                            g_strdup_printf("--%s=%s", name, json_string_value(v)));
    }
    complete = add_styles(args, json_object_get(record, "styles"), error) &&
               (!mask || add_upload(args, "--keep-mask=", mask, error)) &&
               (is_net || add_init(args, json_object_get(record, "init_image"), error));
    g_ptr_array_add(args, NULL);
    if (complete)
        return (char **)g_ptr_array_free(args, FALSE);
    g_ptr_array_free(args, TRUE);
    return NULL;
}

/* "styles", or "style_image" for a single style without weight and mask. */
static void add_styles_json(json_t *request, const json_t *styles)
{
    const json_t *only =
        json_array_size(styles) == 1 ? json_array_get(styles, 0) : NULL;
    json_t *list;
    size_t i;
    json_t *style;

    if (only && !json_object_get(only, "mask") &&
        json_number_value(json_object_get(only, "weight")) == 1) {
        json_object_set(request, "style_image", json_object_get(only, "name"));
        return;
    }
    list = json_deep_copy(styles);
    json_array_foreach(list, i, style)
        json_object_set_new(style, "weight",
                            serve_value_number_json(
                                json_number_value(json_object_get(style, "weight"))));
    json_object_set_new(request, "styles", list);
}

json_t *serve_request_json(const json_t *record)
{
    static const char *const kept[] = {"keep_mask", "init_image", "preset"};
    json_t *request = json_object(), *v;
    const char *option;

    json_object_set(request, "content_image", json_object_get(record, "content_img"));
    add_styles_json(request, json_object_get(record, "styles"));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if ((v = json_object_get(record, kept[i])))
            json_object_set(request, kept[i], v);
    if (serve_film_frames(record))
        json_object_set_new(request, "frames", json_string("all"));
    json_object_foreach(json_object_get(record, "options"), option, v) {
        const struct nst_option *o = nst_option_find(option);
        char *name = serve_value_option_name(option);

        if (o)
            json_object_set_new(request,
                                strcmp(name, "iterations") == 0 ? "num_steps" : name,
                                serve_value_option_json(o, json_string_value(v)));
        free(name);
    }
    return request;
}

/* {"name", "weight"} of each style. */
static json_t *list_styles(const json_t *styles)
{
    json_t *list = json_array();
    const json_t *style;
    size_t i;

    json_array_foreach(styles, i, style) {
        json_t *name = json_object_get(style, "name");
        bool is_own = serve_store_is_generated_name(json_string_value(name));

        json_array_append_new(
            list, json_pack("{s:O?, s:o}", "name", is_own ? NULL : name, "weight",
                            serve_value_number_json(
                                json_number_value(json_object_get(style, "weight")))));
    }
    return list;
}

json_t *serve_request_settings(const json_t *record)
{
    static const char *const pictures[] = {"content_image", "keep_mask", "style_image",
                                           "init_image"};
    const char *init = json_string_value(json_object_get(record, "init_image"));
    json_t *settings = serve_request_json(record);

    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++)
        json_object_del(settings, pictures[i]);
    if (init && serve_init_is_word(init))
        json_object_set_new(settings, "init_image", json_string(init));
    json_object_set_new(settings, "styles",
                        list_styles(json_object_get(record, "styles")));
    return settings;
}

enum nst_status serve_request_params(const json_t *record, struct nst_params *p,
                                     struct nst_err *err)
{
    const char *preset = json_string_value(json_object_get(record, "preset")), *option;
    enum nst_status st = preset ? nst_preset_apply(p, preset, err) : NST_OK;
    json_t *v;

    json_object_foreach(json_object_get(record, "options"), option, v)
        if (st == NST_OK)
            st = nst_params_set(p, option, json_string_value(v), err);
    return st;
}
