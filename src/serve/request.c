/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/request.h"

#include <glib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/owners.h"
#include "serve/store.h"
#include "serve/styles.h"

#define MAX_TEXT 200

struct parser {
    const struct serve_settings *settings;
    const struct serve_identity *who;
    json_t *record, *options;
    struct nst_params params; /* validates values */
    char *error;              /* the first error, or NULL */
};

static void set_error(struct parser *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void set_error(struct parser *r, const char *fmt, ...)
{
    va_list ap;

    if (r->error)
        return;
    va_start(ap, fmt);
    r->error = g_strdup_vprintf(fmt, ap);
    va_end(ap);
}

/* A JSON value for a message, truncated: a new string. */
static char *value_text(const json_t *v)
{
    char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    char *cut = nst_xasprintf("%.*s", MAX_TEXT, text ? text : "?");

    free(text);
    return cut;
}

/* A number from min to max; without one, the default. */
static double get_number(struct parser *r, const json_t *body, const char *name,
                         double min, double max, double default_value, bool whole)
{
    const json_t *v = json_object_get(body, name);
    double n = json_number_value(v);
    char *text;

    if (!v || json_is_null(v))
        return default_value;
    if ((whole ? json_is_integer(v) : json_is_number(v)) && n >= min && n <= max)
        return n;
    text = value_text(v);
    set_error(r, "%s: %s is not a%s number from %g to %g", name, text,
              whole ? " whole" : "", min, max);
    free(text);
    return default_value;
}

/* The error of a field that is not the name of something ("a known style"), or that is
 * missing ("a style"). */
static void set_unknown(struct parser *r, const json_t *v, const char *field,
                        const char *known, const char *missing)
{
    char *text = v ? value_text(v) : NULL;

    if (v)
        set_error(r, "%s: %s is not %s", field, text, known);
    else
        set_error(r, "%s: missing: must be the name of %s", field, missing);
    free(text);
}

/* The name of an uploaded picture; NULL, with an error, if there is none. */
static const char *get_upload(struct parser *r, const json_t *v, const char *field)
{
    const char *name = json_string_value(v);

    if (name && serve_store_has("uploads", name) &&
        serve_owner_sees_picture(r->who, name))
        return name;
    set_unknown(r, v, field, "an uploaded picture", "an uploaded picture");
    return NULL;
}

static bool check_style(struct parser *r, const json_t *v, const char *field)
{
    const char *name = json_string_value(v);
    char *path = name ? serve_styles_path(name) : NULL;
    bool known = path && serve_owner_sees_picture(r->who, name);

    if (!known)
        set_unknown(r, v, field, "a known style", "a style");
    free(path);
    return known;
}

/* An element of "styles": {"name", "weight", "mask"}. */
static void parse_style(struct parser *r, const json_t *from, json_t *styles)
{
    const json_t *name = json_object_get(from, "name");
    const json_t *mask = json_object_get(from, "mask");
    json_t *style;

    if (!json_is_object(from))
        set_error(
            r,
            "styles: must contain objects with name, and optionally weight and mask");
    else if (check_style(r, name, "styles.name")) {
        style = json_pack("{s:O, s:f}", "name", name, "weight",
                          get_number(r, from, "weight", 1e-6, 1e6, 1, false));
        if (mask && !json_is_null(mask) && get_upload(r, mask, "styles.mask"))
            json_object_set(style, "mask", (json_t *)mask);
        json_array_append_new(styles, style);
    }
}

static void parse_styles(struct parser *r, const json_t *body)
{
    const json_t *list = json_object_get(body, "styles"), *item;
    const json_t *single = json_object_get(body, "style_image"); /* without styles */
    json_t *styles = json_array();
    size_t i;

    if (list && !json_is_null(list)) {
        if (!json_is_array(list) || json_array_size(list) < 1 ||
            json_array_size(list) > NST_STYLES_MAX)
            set_error(r, "styles: must be a list of 1 to %d objects", NST_STYLES_MAX);
        json_array_foreach(list, i, item)
            parse_style(r, item, styles);
    } else if (check_style(r, single, "style_image"))
        json_array_append_new(styles,
                              json_pack("{s:O, s:f}", "name", single, "weight", 1.0));
    if (!r->error)
        json_object_set(r->record, "style_img",
                        json_object_get(json_array_get(styles, 0), "name"));
    json_object_set_new(r->record, "styles", styles);
}

/* 15 digits if they parse back to the same number, else 17: a new string. */
static char *real_text(double v)
{
    char *text = nst_xasprintf("%.15g", v);

    if (strtod(text, NULL) != v) {
        free(text);
        text = nst_xasprintf("%.17g", v);
    }
    return text;
}

/* An option's value for the command line of nst: a new string, or NULL. */
static char *option_text(const json_t *v)
{
    GString *s;
    const json_t *item;
    size_t i;

    if (json_is_string(v))
        return nst_xstrdup(json_string_value(v));
    if (json_is_boolean(v))
        return nst_xstrdup(json_is_true(v) ? "true" : "false");
    if (json_is_integer(v))
        return nst_xasprintf("%lld", (long long)json_integer_value(v));
    if (json_is_real(v))
        return real_text(json_real_value(v));
    if (!json_is_array(v))
        return NULL;
    s = g_string_new(NULL);
    json_array_foreach(v, i, item) {
        char *text = json_is_array(item) ? NULL : option_text(item);

        g_string_append_printf(s, "%s%s", i ? "," : "", text ? text : "?");
        free(text);
    }
    return g_string_free(s, FALSE);
}

static void parse_option(struct parser *r, const struct nst_option *o, const json_t *v)
{
    char *text = option_text(v), *json;
    struct nst_err err;

    if (!text) {
        json = value_text(v);
        set_error(r, "%s: %s is not a string, number, boolean or list", o->name, json);
        free(json);
        return;
    }
    if (nst_params_set(&r->params, o->name, text, &err) != NST_OK)
        set_error(r, "%s", err.text);
    else
        json_object_set_new(r->options, o->name, json_string(text));
    free(text);
}

/* The offered option for a JSON key, which has _ instead of -; NULL if unknown. */
static const struct nst_option *find_option(const char *key)
{
    char *name = nst_xstrdup(key);
    const struct nst_option *o;

    for (char *c = name; *c; c++)
        if (*c == '_')
            *c = '-';
    o = nst_option_find(name);
    free(name);
    return o && o->offered ? o : NULL;
}

static bool is_field(const char *key)
{
    static const char *const fields[] = {"content_image", "style_image", "style_weight",
                                         "num_steps",     "styles",      "preset",
                                         "keep_mask"};

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(fields[i], key) == 0)
            return true;
    return false;
}

/* --colour match needs the pixels of the style; a pack has none. */
static void require_pictures(struct parser *r)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(r->record, "styles"), i, item) {
        const char *name = json_string_value(json_object_get(item, "name"));
        char *path = serve_styles_picture_path(name);

        if (!path)
            set_error(r, "colour: match needs style pictures, but '%s' is a pack",
                      name);
        free(path);
    }
}

static void parse_options(struct parser *r, const json_t *body)
{
    const struct nst_list *n = &r->params.scale_iterations;
    const struct nst_option *o;
    const char *key;
    json_t *v;
    struct nst_err err;

    json_object_foreach((json_t *)body, key, v) {
        if (is_field(key) || json_is_null(v))
            continue;
        o = find_option(key);
        if (o)
            parse_option(r, o, v);
        else
            set_error(r, "%.*s: is not known", MAX_TEXT, key);
    }
    if (!r->error && nst_run_check(&r->params, &err) != NST_OK)
        set_error(r, "%s", err.text);
    if (!r->error && r->params.colour == NST_COLOUR_MATCH)
        require_pictures(r);
    for (int i = 0; i < n->count;
         i++) /* the limit of num_steps applies to each scale */
        if (n->value[i] > SERVE_STEPS_MAX)
            set_error(r, "scale_iterations: %lld is not from 1 to %d",
                      (long long)n->value[i], SERVE_STEPS_MAX);
    if (r->params.size == 0)
        set_error(r, "size: native is not allowed here: 16 to %lld pixels",
                  (long long)r->settings->max_size);
    else if (r->params.size > r->settings->max_size)
        set_error(r, "size: %lld is not from 16 to %lld", (long long)r->params.size,
                  (long long)r->settings->max_size);
}

static void parse_preset(struct parser *r, const json_t *v)
{
    const char *name = json_string_value(v);
    enum nst_status st = NST_ERR_ARG; /* unknown preset */
    struct nst_err err;
    char *text;

    if (!v || json_is_null(v))
        return;
    if (name && serve_store_is_valid_name(name) && !strchr(name, '.'))
        st = nst_preset_apply(&r->params, name, &err);
    if (st == NST_ERR_ARG) {
        text = value_text(v);
        set_error(r, "preset: %s is not a known preset", text);
        free(text);
    } else if (st != NST_OK)
        set_error(r, "%s", err.text);
    else
        json_object_set_new(r->record, "preset", json_string(name));
}

/* The request's weight and steps override those of the preset. */
static void parse_weight_and_steps(struct parser *r, const json_t *body)
{
    const struct serve_settings *s = r->settings;
    bool preset = json_object_get(r->record, "preset") != NULL;
    double weight = get_number(
        r, body, "style_weight", SERVE_STYLE_WEIGHT_MIN, SERVE_STYLE_WEIGHT_MAX,
        preset ? r->params.style_weight : SERVE_STYLE_WEIGHT_DEFAULT, false);
    double steps =
        get_number(r, body, "num_steps", (double)s->min_steps, SERVE_STEPS_MAX,
                   preset ? (double)r->params.iterations : SERVE_STEPS_DEFAULT, true);
    char *text = real_text(weight);

    nst_params_set(&r->params, "style-weight", text, NULL);
    if (!preset || json_object_get(body, "style_weight"))
        json_object_set_new(r->options, "style-weight", json_string(text));
    free(text);
    text = nst_xasprintf("%.0f", steps);
    nst_params_set(&r->params, "iterations", text, NULL);
    if (!preset || json_object_get(body, "num_steps"))
        json_object_set_new(r->options, "iterations", json_string(text));
    free(text);
    json_object_set_new(r->record, "style_weight",
                        floor(weight) == weight ? json_integer((json_int_t)weight)
                                                : json_real(weight));
    json_object_set_new(r->record, "steps", json_integer((json_int_t)steps));
}

json_t *serve_request_parse(const json_t *body, const struct serve_settings *s,
                            const struct serve_identity *who, char **error)
{
    struct parser r = {
        .settings = s, .who = who, .record = json_object(), .options = json_object()};
    const json_t *mask = json_object_get(body, "keep_mask");
    const char *content;

    nst_params_init(&r.params);
    content = get_upload(&r, json_object_get(body, "content_image"), "content_image");
    if (content)
        json_object_set_new(r.record, "content_img", json_string(content));
    parse_styles(&r, body);
    if (mask && !json_is_null(mask) && get_upload(&r, mask, "keep_mask"))
        json_object_set(r.record, "keep_mask", (json_t *)mask);
    parse_preset(&r, json_object_get(body, "preset"));
    parse_weight_and_steps(&r, body);
    parse_options(&r, body);
    json_object_set_new(r.record, "options", r.options);
    nst_params_clear(&r.params);
    *error = r.error;
    if (!r.error)
        return r.record;
    json_decref(r.record);
    return NULL;
}

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

char **serve_request_arguments(const json_t *record, char **error)
{
    GPtrArray *args = g_ptr_array_new_with_free_func(g_free);
    const json_t *mask = json_object_get(record, "keep_mask");
    const char *preset = json_string_value(json_object_get(record, "preset")), *name;
    const struct nst_option *o;
    json_t *v;
    bool complete;

    if (preset)
        g_ptr_array_add(args, g_strdup_printf("--preset=%s", preset));
    json_object_foreach(json_object_get(record, "options"), name, v) {
        o = nst_option_find(name);
        if (o && o->type == NST_OPTION_FLAG) {
            if (strcmp(json_string_value(v), "true") == 0)
                g_ptr_array_add(args, g_strdup_printf("--%s", name));
        } else
            g_ptr_array_add(args,
                            g_strdup_printf("--%s=%s", name, json_string_value(v)));
    }
    complete = add_styles(args, json_object_get(record, "styles"), error) &&
               (!mask || add_upload(args, "--keep-mask=", mask, error));
    g_ptr_array_add(args, NULL);
    if (complete)
        return (char **)g_ptr_array_free(args, FALSE);
    g_ptr_array_free(args, TRUE);
    return NULL;
}
