/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/request.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/init_image.h"
#include "serve/owners.h"
#include "serve/request_value.h"
#include "serve/store.h"
#include "serve/styles.h"

#define MAX_TEXT 200

/* Members of a request beside the offered options. */
static const char *const fields[] = {"content_image", "style_image", "style_weight",
                                     "num_steps",     "styles",      "preset",
                                     "keep_mask",     "frames",      "init_image"};

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

/* The error of an option, with its name in JSON. */
static void set_option_error(struct parser *r, const struct nst_err *err)
{
    size_t n = strcspn(err->text, ": ");
    char *option = g_strndup(err->text, n), *name = serve_value_option_name(option);
    bool is_option = err->text[n] == ':' && nst_option_find(option);

    set_error(r, "%s%s", is_option ? name : option, err->text + n);
    g_free(option);
    free(name);
}

/* The error of a value: "FIELD: VALUE is not WANTED". */
static void set_wrong(struct parser *r, const char *field, const json_t *v,
                      const char *wanted)
{
    char *text = serve_value_text(v);

    set_error(r, "%s: %s is not %s", field, text, wanted);
    free(text);
}

/* The error of a value that is not a number from min to max. */
static void set_out_of_range(struct parser *r, const char *field, const json_t *v,
                             double min, double max, bool whole)
{
    char *wanted = nst_xasprintf("a%s number from %.15g to %.15g",
                                 whole ? " whole" : "", min, max);

    set_wrong(r, field, v, wanted);
    free(wanted);
}

/* A number from min to max; without one, the default. */
static double get_number(struct parser *r, const json_t *body, const char *name,
                         double min, double max, double default_value, bool whole)
{
    const json_t *v = serve_value_get(body, name);

    if (!v)
        return default_value;
    if (serve_value_is_number(v, min, max, whole))
        return json_number_value(v);
    set_out_of_range(r, name, v, min, max, whole);
    return default_value;
}

/* The error of a field that is not the name of something ("a known style"), or that is
 * missing ("a style"). */
static void set_unknown(struct parser *r, const json_t *v, const char *field,
                        const char *known, const char *missing)
{
    if (v)
        set_wrong(r, field, v, known);
    else
        set_error(r, "%s: missing: must be the name of %s", field, missing);
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

/* The picture that the task begins with; NULL: the content, or what the preset says. */
static void parse_init_image(struct parser *r, const json_t *v)
{
    const char *name = json_string_value(v);

    if (!v)
        return;
    if (name && serve_init_is_allowed(r->who, name))
        json_object_set(r->record, "init_image", (json_t *)v);
    else
        set_wrong(r, "init_image", v,
                  "content, noise, an uploaded picture or an existing result");
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

/* The first member whose name is not in the list, which ends with NULL; or NULL. */
static const char *find_unknown(const json_t *object, const char *const *names)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)object, key, v)
        if (!g_strv_contains(names, key))
            return key;
    return NULL;
}

/* An element of "styles": {"name", "weight", "mask"}. */
static void parse_style(struct parser *r, const json_t *from, json_t *styles)
{
    static const char *const members[] = {"name", "weight", "mask", NULL};
    const json_t *name = serve_value_get(from, "name");
    const json_t *mask = serve_value_get(from, "mask");
    const char *unknown = find_unknown(from, members);
    json_t *style;

    if (!json_is_object(from))
        set_wrong(r, "styles", from,
                  "an object with name, and perhaps weight and mask");
    else if (unknown)
        set_error(r, "styles.%.*s: is not known: a style has name, weight and mask",
                  MAX_TEXT, unknown);
    else if (check_style(r, name, "styles.name")) {
        style = json_pack("{s:O, s:f}", "name", name, "weight",
                          get_number(r, from, "weight", 1e-6, 1e6, 1, false));
        if (mask && get_upload(r, mask, "styles.mask"))
            json_object_set(style, "mask", (json_t *)mask);
        json_array_append_new(styles, style);
    }
}

static void parse_styles(struct parser *r, const json_t *body)
{
    const json_t *list = serve_value_get(body, "styles"), *item;
    const json_t *single = serve_value_get(body, "style_image");
    json_t *styles = json_array();
    size_t i;

    if (list && single)
        set_error(r,
                  "style_image: cannot be given beside styles: leave one of them out");
    else if (list &&
             (json_array_size(list) < 1 || json_array_size(list) > NST_STYLES_MAX))
        set_error(r, "styles: must be a list of 1 to %d objects", NST_STYLES_MAX);
    else if (list) {
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

static void parse_option(struct parser *r, const struct nst_option *o,
                         const char *field, const json_t *v)
{
    bool whole = o->type == NST_OPTION_INT,
         number = whole || o->type == NST_OPTION_REAL;
    double max = strcmp(field, "size") == 0 ? (double)r->settings->max_size : o->max;
    const char *wanted;
    char *text = serve_value_option_text(o, v, &wanted);
    struct nst_err err;

    if (number && !serve_value_is_number(v, o->min, max, whole))
        set_out_of_range(r, field, v, o->min, max, whole);
    else if (!text)
        set_wrong(r, field, v, wanted);
    else if (nst_params_set(&r->params, o->name, text, &err) != NST_OK)
        set_option_error(r, &err);
    else
        json_object_set_new(r->options, o->name, json_string(text));
    free(text);
}

/* Refuse members that are neither fields nor offered options. */
static void check_members(struct parser *r, const json_t *body)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(free);
    const struct nst_option *o;
    const char *unknown;

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        g_ptr_array_add(names, nst_xstrdup(fields[i]));
    for (size_t i = 0; (o = nst_option(i)); i++)
        if (o->offered)
            g_ptr_array_add(names, serve_value_option_name(o->name));
    g_ptr_array_add(names, NULL);
    unknown = find_unknown(body, (const char *const *)names->pdata);
    if (unknown)
        set_error(r, "%.*s: is not known", MAX_TEXT, unknown);
    g_ptr_array_free(names, TRUE);
}

/* A network is not mixed with other styles, and takes one step. It would keep the size
 * of the picture, so the size is stated. */
static void check_net(struct parser *r)
{
    const json_t *styles = json_object_get(r->record, "styles"), *item;
    char *size = nst_xasprintf("%lld", (long long)r->params.size);
    const char *net = NULL;
    size_t i;

    json_array_foreach(styles, i, item) {
        const char *name = json_string_value(json_object_get(item, "name"));

        net = serve_styles_is_net(name) ? name : net;
    }
    if (net && json_array_size(styles) > 1)
        set_error(r, "styles: '%s' is a network, which cannot be mixed with others",
                  net);
    if (net) {
        json_object_set_new(r->options, "size", json_string(size));
        json_object_set_new(r->record, "steps", json_integer(1));
    }
    free(size);
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
            set_error(r, "colour: match needs style pictures, but '%s' is a %s", name,
                      serve_styles_is_net(name) ? "network" : "pack");
        free(path);
    }
}

static void check_sizes_and_steps(struct parser *r)
{
    const struct nst_list *n = &r->params.scale_iterations;

    if (r->params.size == 0)
        set_error(r, "size: native is not allowed here: 16 to %lld pixels",
                  (long long)r->settings->max_size);
    else if (r->params.size > r->settings->max_size)
        set_error(r, "size: %lld is not from 16 to %lld", (long long)r->params.size,
                  (long long)r->settings->max_size);
    for (int i = 0; i < n->count; i++) /* the limit of num_steps holds for each scale */
        if (n->value[i] > SERVE_STEPS_MAX)
            set_error(r, "scale_iterations: %lld is not from 1 to %d",
                      (long long)n->value[i], SERVE_STEPS_MAX);
}

/* In the order of the table: some options change those after them. */
static void parse_options(struct parser *r, const json_t *body)
{
    const struct nst_option *o;
    struct nst_err err;

    check_members(r, body);
    for (size_t i = 0; (o = nst_option(i)); i++) {
        char *field = serve_value_option_name(o->name);
        const json_t *v = o->offered ? serve_value_get(body, field) : NULL;

        if (v)
            parse_option(r, o, field, v);
        free(field);
    }
    check_sizes_and_steps(r);
    if (!r->error && nst_run_check(&r->params, &err) != NST_OK)
        set_option_error(r, &err);
    if (!r->error && r->params.colour == NST_COLOUR_MATCH)
        require_pictures(r);
    if (!r->error)
        check_net(r);
}

static void parse_preset(struct parser *r, const json_t *v)
{
    const char *name = json_string_value(v);
    enum nst_status st = NST_ERR_ARG; /* unknown preset */
    struct nst_err err;

    if (!v)
        return;
    if (name && serve_store_is_valid_name(name) && !strchr(name, '.'))
        st = nst_preset_apply(&r->params, name, &err);
    if (st == NST_ERR_ARG)
        set_wrong(r, "preset", v, "a known preset");
    else if (st != NST_OK)
        set_error(r, "%s", err.text);
    else
        json_object_set_new(r->record, "preset", json_string(name));
}

/* Set an option by a field of the request; a preset's value stays if there is none. */
static void set_number(struct parser *r, const json_t *body, const char *field,
                       const char *option, double v)
{
    char *text = serve_value_number_text(v);

    if (serve_value_get(body, field) || !json_object_get(r->record, "preset")) {
        nst_params_set(&r->params, option, text, NULL);
        json_object_set_new(r->options, option, json_string(text));
    }
    free(text);
}

/* Without a preset, the defaults are those of nst. */
static void parse_weight_and_steps(struct parser *r, const json_t *body)
{
    double weight = get_number(r, body, "style_weight", SERVE_STYLE_WEIGHT_MIN,
                               SERVE_STYLE_WEIGHT_MAX, r->params.style_weight, false);
    double steps = get_number(r, body, "num_steps", (double)r->settings->min_steps,
                              SERVE_STEPS_MAX, (double)r->params.iterations, true);

    set_number(r, body, "style_weight", "style-weight", weight);
    set_number(r, body, "num_steps", "iterations", steps);
    json_object_set_new(r->record, "style_weight", serve_value_number_json(weight));
    json_object_set_new(r->record, "steps", json_integer((json_int_t)steps));
}

/* "first", the default, leaves no trace: it makes a still picture. */
static void parse_frames(struct parser *r, const json_t *v)
{
    const char *text = json_string_value(v);

    if (text && strcmp(text, "all") == 0)
        json_object_set(r->record, "frames", (json_t *)v);
    else if (v && !(text && strcmp(text, "first") == 0))
        set_wrong(r, "frames", v, "all or first");
}

json_t *serve_request_parse(const json_t *body, const struct serve_settings *s,
                            const struct serve_identity *who, char **error)
{
    struct parser r = {
        .settings = s, .who = who, .record = json_object(), .options = json_object()};
    const json_t *mask = serve_value_get(body, "keep_mask");
    const char *content;

    nst_params_init(&r.params);
    content = get_upload(&r, serve_value_get(body, "content_image"), "content_image");
    if (content)
        json_object_set_new(r.record, "content_img", json_string(content));
    parse_styles(&r, body);
    if (mask && get_upload(&r, mask, "keep_mask"))
        json_object_set(r.record, "keep_mask", (json_t *)mask);
    parse_frames(&r, serve_value_get(body, "frames"));
    parse_init_image(&r, serve_value_get(body, "init_image"));
    parse_preset(&r, serve_value_get(body, "preset"));
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
