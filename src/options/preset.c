/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "options/preset.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/path.h"
#include "base/text_file.h"
#include "model/paths.h"
#include "options/json.h"
#include "options/table.h"

#define SUFFIX ".json"

static char *find_path(const char *wanted)
{
    char *name, *path;

    if (strchr(wanted, '/') || nst_has_suffix(wanted, SUFFIX))
        return nst_xstrdup(wanted);
    name = nst_xasprintf("presets/%s%s", wanted, SUFFIX);
    path = nst_user_path("XDG_CONFIG_HOME", ".config", name);
    if (path && access(path, R_OK) != 0) {
        free(path);
        path = NULL;
    }
    if (!path)
        path = nst_find_data(name);
    free(name);
    return path;
}

/* Convert a JSON value to text for nst_params_set(); NULL for lists and objects. */
static char *value_to_text(const json_t *j)
{
    switch (json_typeof(j)) {
    case JSON_STRING:
        return nst_json_text_bytes(json_string_value(j));
    case JSON_INTEGER:
        return nst_xasprintf("%" JSON_INTEGER_FORMAT, json_integer_value(j));
    case JSON_REAL:
        return nst_xasprintf("%.17g", json_real_value(j));
    case JSON_TRUE:
        return nst_xstrdup("true");
    case JSON_FALSE:
        return nst_xstrdup("false");
    default:
        return NULL;
    }
}

typedef bool option_filter(const struct nst_option *o);

static bool preset_allows(const struct nst_option *o)
{
    return o->recipe;
}

static bool config_allows(const struct nst_option *o)
{
    return !o->once;
}

static enum nst_status apply_option(struct nst_params *p, const char *path,
                                    const char *name, const json_t *value,
                                    option_filter *allowed, struct nst_err *err)
{
    const struct nst_option *o = nst_option_find(name);
    enum nst_status st = NST_OK;
    char *s;

    if (!o || !allowed(o))
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: '%s' is not an option that %s may set", path, name,
                           allowed == preset_allows ? "a preset" : "a configuration");
    s = value_to_text(value);
    if (!s)
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: %s: is neither text, number nor truth value", path,
                           name);
    if (nst_params_set(p, name, s, err) != NST_OK) {
        nst_err_prefix(err, path);
        st = NST_ERR_FORMAT;
    }
    free(s);
    return st;
}

static enum nst_status read_file(json_t **out, const char *path, struct nst_err *err)
{
    FILE *f = fopen(path, "re");
    enum nst_status st;
    json_error_t je;

    *out = NULL;
    if (!f)
        return nst_err_set(err, nst_open_status(errno), "%s: %s", path,
                           strerror(errno));
    errno = 0;
    st = nst_text_file_begin(f, path, err);
    if (st == NST_OK) {
        *out = json_loadf(f, JSON_REJECT_DUPLICATES, &je);
        if (!*out && ferror(f)) /* a directory can be opened, but not read */
            st = nst_err_set(err, nst_open_status(errno), "%s: %s", path,
                             strerror(errno));
        else if (!*out)
            st = nst_err_set(err, NST_ERR_FORMAT, "%s: line %d: %s", path, je.line,
                             je.text);
    }
    fclose(f);
    return st;
}

/* Refuse other members, such as options beside "options", which would be ignored. */
static enum nst_status check_members(const char *path, json_t *j, struct nst_err *err)
{
    const char *name;
    json_t *value;

    json_object_foreach(j, name, value) {
        if (strcmp(name, "description") == 0 && !json_is_string(value))
            return nst_err_set(err, NST_ERR_FORMAT, "%s: description: is no text",
                               path);
        if (strcmp(name, "description") != 0 && strcmp(name, "options") != 0)
            return nst_err_set(err, NST_ERR_FORMAT,
                               "%s: '%s' is neither description nor options", path,
                               name);
    }
    return NST_OK;
}

/* Find the object "options", borrowed from j. */
static enum nst_status find_options(const char *path, json_t *j, json_t **options,
                                    struct nst_err *err)
{
    enum nst_status st = check_members(path, j, err);

    *options = json_object_get(j, "options");
    if (st == NST_OK && !json_is_object(*options))
        st = nst_err_set(err, NST_ERR_FORMAT, "%s: has no object called options", path);
    return st;
}

/* Takes j over. */
static enum nst_status apply_json(struct nst_params *p, const char *path, json_t *j,
                                  option_filter *allowed, struct nst_err *err)
{
    json_t *options, *value;
    enum nst_status st = find_options(path, j, &options, err);
    const char *name;

    json_object_foreach(options, name, value) {
        if (st != NST_OK)
            break;
        st = apply_option(p, path, name, value, allowed, err);
    }
    json_decref(j);
    return st;
}

static enum nst_status apply_file(struct nst_params *p, const char *path,
                                  option_filter *allowed, struct nst_err *err)
{
    json_t *j;
    enum nst_status st = read_file(&j, path, err);

    return st == NST_OK ? apply_json(p, path, j, allowed, err) : st;
}

/* Remove the style, which another one replaces; refuse an invalid one even so. */
static enum nst_status remove_style(const char *path, json_t *options,
                                    struct nst_err *err)
{
    const json_t *style = json_object_get(options, "style");
    enum nst_status st = NST_OK;
    struct nst_params p;

    nst_params_init(&p);
    if (style)
        st = apply_option(&p, path, "style", style, config_allows, err);
    nst_params_clear(&p);
    json_object_del(options, "style");
    return st;
}

/* Apply the preset of a configuration, and remove what apply_json() must not set. */
static enum nst_status apply_config_preset(struct nst_params *p, const char *path,
                                           json_t *j,
                                           struct nst_config_overrides overrides,
                                           struct nst_err *err)
{
    json_t *options, *preset;
    enum nst_status st = find_options(path, j, &options, err);

    if (st != NST_OK)
        return st;
    preset = json_object_get(options, "preset");
    if (preset && !json_is_string(preset))
        return nst_err_set(err, NST_ERR_FORMAT, "%s: preset: is no text", path);
    if (preset && !overrides.preset)
        st = nst_preset_apply(p, json_string_value(preset), err);
    if (st != NST_OK) {
        nst_err_prefix(err, path);
        return st;
    }
    json_object_del(options, "preset");
    return overrides.style ? remove_style(path, options, err) : NST_OK;
}

enum nst_status nst_config_apply(struct nst_params *p, const char *wanted,
                                 struct nst_config_overrides overrides,
                                 struct nst_err *err)
{
    char *path = wanted ? nst_xstrdup(wanted)
                        : nst_user_path("XDG_CONFIG_HOME", ".config", "config.json");
    enum nst_status st = NST_OK;
    json_t *j = NULL;

    if (path && (wanted || access(path, F_OK) == 0))
        st = read_file(&j, path, err);
    if (st == NST_OK && j)
        st = apply_config_preset(p, path, j, overrides, err);
    if (st == NST_OK && j)
        st = apply_json(p, path, j, config_allows, err);
    else
        json_decref(j);
    free(path);
    return st;
}

enum nst_status nst_preset_apply_text(struct nst_params *p, const char *path,
                                      const char *text, struct nst_err *err)
{
    json_error_t je;
    json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, &je);

    if (!j)
        return nst_err_set(err, NST_ERR_FORMAT, "%s: options: %s", path, je.text);
    return apply_json(p, path, j, preset_allows, err);
}

struct preset_visitor {
    void (*visit)(void *ctx, const char *name, const char *path,
                  const char *description);
    void *ctx;
};

static void visit_file(const struct preset_visitor *t, const char *path,
                       const char *file)
{
    char *name = nst_xasprintf("%.*s", (int)(strlen(file) - strlen(SUFFIX)), file);
    const char *description = NULL;
    struct nst_params p;
    struct nst_err err;
    json_t *j = NULL;

    nst_params_init(&p);
    if (apply_file(&p, path, preset_allows, &err) != NST_OK ||
        read_file(&j, path, &err) != NST_OK)
        description = err.text;
    else
        description = json_string_value(json_object_get(j, "description"));
    t->visit(t->ctx, name, path, description ? description : "");
    json_decref(j);
    nst_params_clear(&p);
    free(name);
}

static int is_preset(const struct dirent *d)
{
    return nst_has_suffix(d->d_name, SUFFIX);
}

static void visit_directory(const struct preset_visitor *t, const char *directory)
{
    struct dirent **list;
    int n = directory ? scandir(directory, &list, is_preset, alphasort) : -1;

    for (int i = 0; i < n; i++) {
        char *path = nst_xasprintf("%s/%s", directory, list[i]->d_name);

        visit_file(t, path, list[i]->d_name);
        free(path);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
}

void nst_preset_each(void (*visit)(void *ctx, const char *name, const char *path,
                                   const char *description),
                     void *ctx)
{
    struct preset_visitor t = {visit, ctx};
    char *user = nst_user_path("XDG_CONFIG_HOME", ".config", "presets");
    char *installed = nst_find_data("presets");

    visit_directory(&t, user);
    visit_directory(&t, installed);
    free(user);
    free(installed);
}

enum nst_status nst_preset_apply(struct nst_params *p, const char *wanted,
                                 struct nst_err *err)
{
    char *path = find_path(wanted);
    enum nst_status st;

    if (!path)
        return nst_err_set(err, NST_ERR_ARG,
                           "preset '%s': no file %s%s in $XDG_CONFIG_HOME/nst/presets "
                           "(~/.config/nst/presets) or among the installed presets",
                           wanted, wanted, SUFFIX);
    st = apply_file(p, path, preset_allows, err);
    free(path);
    return st;
}
