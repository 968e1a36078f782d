/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gimp/settings.h"

#include <string.h>

#include <libgimp/gimp.h>

/* Longest side of the work before the user chooses one. */
#define DEFAULT_SIZE 1024
/* Options of this group limit threads, memory and so on. */
#define RESOURCES 4

void nst_gimp_settings_default(struct nst_gimp_settings *s)
{
    memset(s, 0, sizeof *s);
    g_strlcpy(s->style, "van-gogh", sizeof s->style);
    s->strength = -1;
    s->size = DEFAULT_SIZE;
    s->colours = -1;
    s->seed = -1;
}

gboolean nst_gimp_settings_load(struct nst_gimp_settings *s)
{
    return gimp_get_data_size(NST_GIMP_PROCEDURE) == (gint)sizeof *s &&
           gimp_get_data(NST_GIMP_PROCEDURE, s);
}

void nst_gimp_settings_store(const struct nst_gimp_settings *s)
{
    gimp_set_data(NST_GIMP_PROCEDURE, s, sizeof *s);
}

gchar *nst_gimp_settings_style_name(const struct nst_gimp_settings *s)
{
    gchar **list = g_strsplit(s->style, ";", 2);
    gchar *name = g_path_get_basename(list[0] ? list[0] : "");
    gchar *dot = strrchr(name, '.');

    if (dot && dot != name)
        *dot = 0;
    g_strfreev(list);
    return name;
}

/* Call set() for each part of a list that semicolons separate. */
static enum nst_status each_part(const gchar *list,
                                 enum nst_status (*set)(struct nst_params *p,
                                                        gchar *part,
                                                        struct nst_err *err),
                                 struct nst_params *p, struct nst_err *err)
{
    gchar **parts = g_strsplit(list, ";", -1);
    enum nst_status st = NST_OK;

    for (gchar **part = parts; *part && st == NST_OK; part++)
        if (*g_strstrip(*part))
            st = set(p, *part, err);
    g_strfreev(parts);
    return st;
}

static enum nst_status set_style(struct nst_params *p, gchar *part, struct nst_err *err)
{
    return nst_params_set(p, "style", part, err);
}

/* Only what makes the picture or limits resources: the plug-in itself knows where the
 * picture comes from and goes to. */
static enum nst_status set_option(struct nst_params *p, gchar *part,
                                  struct nst_err *err)
{
    gchar *value = strchr(part, '=');
    const struct nst_option *o;

    if (value)
        *value++ = 0;
    o = nst_option_find(part);
    if (!o)
        return nst_err_set(
            err, NST_ERR_ARG,
            "options: '%s' is not an option of nst; write NAME=VALUE, as "
            "in iterations=200; max-memory=4G",
            part);
    if (!o->recipe && o->group != RESOURCES && strcmp(o->name, "on-interrupt") != 0)
        return nst_err_set(err, NST_ERR_ARG,
                           "options: '%s' has no meaning in GIMP; options that change "
                           "the picture and those for resources are allowed",
                           part);
    return nst_params_set(p, o->name, value ? value : "true", err);
}

static enum nst_status set_number(struct nst_params *p, const char *name, double value,
                                  struct nst_err *err)
{
    gchar text[G_ASCII_DTOSTR_BUF_SIZE];

    return nst_params_set(p, name, g_ascii_dtostr(text, sizeof text, value), err);
}

static enum nst_status set_colours(struct nst_params *p, gint32 colours,
                                   struct nst_err *err)
{
    static const char *const name[] = {[NST_COLOUR_STYLE] = "style",
                                       [NST_COLOUR_CONTENT] = "content",
                                       [NST_COLOUR_MATCH] = "match"};

    if (colours < (gint32)G_N_ELEMENTS(name))
        return nst_params_set(p, "colour", name[colours], err);
    return nst_err_set(
        err, NST_ERR_ARG,
        "colours: %d; 0 (of the style), 1 (of the layer), 2 (matched) or "
        "-1 (as the preset says) are possible",
        (int)colours);
}

enum nst_status nst_gimp_settings_params(const struct nst_gimp_settings *s, int longest,
                                         struct nst_params *p, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    nst_params_init(p);
    if (s->preset[0])
        st = nst_preset_apply(p, s->preset, err);
    if (st == NST_OK)
        st = each_part(s->style, set_style, p, err);
    if (st == NST_OK && !p->styles.count)
        st =
            nst_err_set(err, NST_ERR_ARG,
                        "style: '%s' names no style; write the name of a style, or the "
                        "path of a picture",
                        s->style);
    if (st == NST_OK)
        st = set_number(p, "size",
                        s->size ? s->size : MAX(longest, NST_PICTURE_MIN_SIDE), err);
    if (st == NST_OK && s->strength >= 0)
        st = set_number(p, "strength", s->strength, err);
    if (st == NST_OK && s->style_scale != 0)
        st = set_number(p, "style-scale", s->style_scale, err);
    if (st == NST_OK && s->colours >= 0)
        st = set_colours(p, s->colours, err);
    if (st == NST_OK && s->seed >= 0)
        st = set_number(p, "seed", s->seed, err);
    if (st == NST_OK)
        st = nst_params_set(p, "on-interrupt", s->keep ? "keep" : "discard", err);
    if (st == NST_OK)
        st = each_part(s->options, set_option, p, err);
    return st;
}
