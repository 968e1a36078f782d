/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "options/params.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/models.h"
#include "options/table.h"

const char *nst_params_stream(const struct nst_params *p)
{
    return p->y4m ? "y4m" : p->pnm ? "pnm" : NULL;
}

bool nst_params_init_is_file(const struct nst_params *p)
{
    return strcmp(p->init, "content") != 0 && strcmp(p->init, "noise") != 0;
}

void nst_params_init(struct nst_params *p)
{
    const struct nst_option *o;

    memset(p, 0, sizeof *p);
    for (size_t i = 0; (o = nst_option(i)); i++)
        if (o->default_text)
            nst_params_set(p, o->name, o->default_text, NULL);
    p->size_set = false;
}

static char **text_at(const struct nst_params *p, const struct nst_option *o)
{
    return (char **)((char *)p + o->offset);
}

void nst_params_clear(struct nst_params *p)
{
    const struct nst_option *o;

    for (size_t i = 0; (o = nst_option(i)); i++)
        if (o->type == NST_OPTION_TEXT)
            free(*text_at(p, o));
    for (int i = 0; i < p->styles.count; i++) {
        free(p->styles.item[i].file);
        free(p->styles.item[i].mask);
    }
    memset(p, 0, sizeof *p);
}

static enum nst_status range_error(const struct nst_option *o, const char *text,
                                   const char *kind, struct nst_err *err)
{
    return nst_err_set(err, NST_ERR_ARG,
                       "%s: '%s' is not %s between %.15g and %.15g%s%s", o->name, text,
                       kind, o->min, o->max, o->zero_word ? ", or " : "",
                       o->zero_word ? o->zero_word : "");
}

static enum nst_status set_int(int64_t *to, const struct nst_option *o,
                               const char *text, struct nst_err *err)
{
    long long v;
    char *end;

    if (o->zero_word && strcmp(text, o->zero_word) == 0) {
        *to = 0;
        return NST_OK;
    }
    errno = 0;
    v = strtoll(text, &end, 10);
    if (end == text || *end || errno || (double)v < o->min || (double)v > o->max)
        return range_error(o, text, "a whole number", err);
    *to = v;
    return NST_OK;
}

static enum nst_status set_size(int64_t *to, const struct nst_option *o,
                                const char *text, struct nst_err *err)
{
    static const char units[] = "KMGT";
    const char *unit;
    double v;
    char *end;

    if (o->zero_word && strcmp(text, o->zero_word) == 0) {
        *to = 0;
        return NST_OK;
    }
    v = strtod(text, &end);
    if (end != text && *end && (unit = strchr(units, *end)) && !end[1])
        v *= pow(1024, (double)(unit - units + 1));
    else if (*end)
        v = NAN;
    if (end == text || !(v >= o->min && v <= o->max))
        return nst_err_set(err, NST_ERR_ARG,
                           "%s: '%s' is not a size from %.0fM to %.0fT, or %s", o->name,
                           text, o->min / 1048576, o->max / 1099511627776,
                           o->zero_word ? o->zero_word : "nothing else");
    *to = (int64_t)v;
    return NST_OK;
}

static enum nst_status set_real(double *to, const struct nst_option *o,
                                const char *text, struct nst_err *err)
{
    double v;
    char *end;

    v = strtod(text, &end);
    if (end == text || *end || !(v >= o->min && v <= o->max))
        return range_error(o, text, "a number", err);
    *to = v;
    return NST_OK;
}

static enum nst_status set_list(struct nst_list *to, const struct nst_option *o,
                                const char *text, struct nst_err *err)
{
    bool scales = strcmp(o->name, "scales") == 0;
    struct nst_list list = {.automatic = strcmp(text, "auto") == 0};
    const char *at = text;
    char *end;

    if (!list.automatic && strcmp(text, o->zero_word) != 0)
        for (;; at = end + 1) {
            long long v = strtoll(at, &end, 10);
            bool within = end > at && (double)v >= o->min && (double)v <= o->max;

            if (scales && within && at == text && strcmp(end, "..") == 0) {
                list.automatic = true;
                list.first = v;
                break;
            }
            if (!within || (*end && *end != ',') || list.count == NST_LIST_MAX)
                return nst_err_set(err, NST_ERR_ARG,
                                   "%s: '%s' is not a list of up to %d whole numbers "
                                   "between %.15g and %.15g, or %s",
                                   o->name, text, NST_LIST_MAX, o->min, o->max,
                                   scales ? "FROM.., auto or none" : "auto");
            list.value[list.count++] = v;
            if (!*end)
                break;
        }
    for (int i = 1; scales && i < list.count; i++)
        if (list.value[i] <= list.value[i - 1])
            return nst_err_set(
                err, NST_ERR_ARG, "%s: %lld follows %lld, but the sizes must increase",
                o->name, (long long)list.value[i], (long long)list.value[i - 1]);
    *to = list;
    return NST_OK;
}

/* A colon and a number at the end give the weight. */
static enum nst_status append_style(struct nst_styles *s, const struct nst_option *o,
                                    const char *text, struct nst_err *err)
{
    const char *colon = strrchr(text, ':');
    size_t length = strlen(text);
    double weight = 1;
    char *end;

    if (colon && colon > text && colon[1]) {
        double v = strtod(colon + 1, &end);

        if (!*end && !(v > 0 && v <= 1e6))
            return nst_err_set(err, NST_ERR_ARG,
                               "%s: '%s': the weight must be above 0 and at most 1e6",
                               o->name, text);
        if (!*end) {
            weight = v;
            length = (size_t)(colon - text);
        }
    }
    if (!length)
        return nst_err_set(err, NST_ERR_ARG, "%s: the value is empty", o->name);
    if (s->count == NST_STYLES_MAX)
        return nst_err_set(err, NST_ERR_ARG, "%s: '%s': at most %d styles are allowed",
                           o->name, text, NST_STYLES_MAX);
    s->item[s->count++] = (struct nst_style_option){
        .file = nst_xasprintf("%.*s", (int)length, text), .weight = weight};
    return NST_OK;
}

/* Set the mask or the layers of the latest style. */
static enum nst_status set_style_attribute(struct nst_styles *s,
                                           const struct nst_option *o, const char *text,
                                           struct nst_err *err)
{
    struct nst_style_option *latest;

    if (!s->count)
        return nst_err_set(err, NST_ERR_ARG,
                           "%s: '%s': must follow the --style that it applies to",
                           o->name, text);
    if (!*text)
        return nst_err_set(err, NST_ERR_ARG, "%s: the value is empty", o->name);
    latest = &s->item[s->count - 1];
    if (o->type == NST_OPTION_STYLE_MASK) {
        free(latest->mask);
        latest->mask = nst_xstrdup(text);
        return NST_OK;
    }
    if (nst_layers_parse(&latest->layers, text, err) != NST_OK) {
        nst_err_prefix(err, o->name);
        return NST_ERR_ARG;
    }
    return NST_OK;
}

static char *format_list(const struct nst_list *list, const struct nst_option *o)
{
    char *s = nst_xstrdup(list->automatic ? "auto" : list->count ? "" : o->zero_word);

    if (list->first) {
        free(s);
        s = nst_xasprintf("%lld..", (long long)list->first);
    }
    for (int i = 0; i < list->count; i++) {
        char *longer =
            nst_xasprintf("%s%s%lld", s, i ? "," : "", (long long)list->value[i]);

        free(s);
        s = longer;
    }
    return s;
}

static enum nst_status set_text(char **to, const struct nst_option *o, const char *text,
                                struct nst_err *err)
{
    if (!*text)
        return nst_err_set(err, NST_ERR_ARG, "%s: the value is empty", o->name);
    if (strcmp(o->name, "model") == 0) { /* may be a list */
        struct nst_models models;
        enum nst_status st = nst_models_parse(&models, text, err);

        nst_models_clear(&models);
        if (st != NST_OK)
            return st;
    }
    free(*to);
    *to = nst_xstrdup(text);
    return NST_OK;
}

/* Index of a word in "a|b|c", or -1. */
static int choice_index(const char *choices, const char *word)
{
    size_t len = strlen(word);
    int i = 0;

    for (const char *s = choices;; s++, i++) {
        size_t n = strcspn(s, "|");

        if (n == len && strncmp(s, word, n) == 0)
            return i;
        s += n;
        if (!*s)
            return -1;
    }
}

static enum nst_status set_option(struct nst_params *p, const struct nst_option *o,
                                  const char *name, const char *text,
                                  struct nst_err *err)
{
    void *to;
    int i;

    if (!o)
        return nst_err_set(err, NST_ERR_ARG, "'%s' is not an option", name);
    to = (char *)p + o->offset;
    switch (o->type) {
    case NST_OPTION_FLAG:
        i = choice_index("false|true", text);
        if (i < 0)
            return nst_err_set(err, NST_ERR_ARG, "%s: '%s' is neither true nor false",
                               name, text);
        *(bool *)to = i;
        return NST_OK;
    case NST_OPTION_INT:
        return set_int(to, o, text, err);
    case NST_OPTION_SIZE:
        return set_size(to, o, text, err);
    case NST_OPTION_REAL:
        return set_real(to, o, text, err);
    case NST_OPTION_CHOICE:
        i = choice_index(o->choices, text);
        if (i < 0)
            return nst_err_set(err, NST_ERR_ARG, "%s: '%s' is not one of %s", name,
                               text, o->choices);
        *(int64_t *)to = i;
        return NST_OK;
    case NST_OPTION_TEXT:
        return set_text(to, o, text, err);
    case NST_OPTION_LAYERS:
        if (nst_layers_parse(to, text, err) != NST_OK) {
            nst_err_prefix(err, name);
            return NST_ERR_ARG;
        }
        return NST_OK;
    case NST_OPTION_STYLES:
        return append_style(to, o, text, err);
    case NST_OPTION_STYLE_MASK:
    case NST_OPTION_STYLE_LAYERS:
        return set_style_attribute(to, o, text, err);
    case NST_OPTION_LIST:
        return set_list(to, o, text, err);
    }
    return NST_OK;
}

enum nst_status nst_params_set(struct nst_params *p, const char *name, const char *text,
                               struct nst_err *err)
{
    const struct nst_list *s = &p->scales, *n = &p->scale_iterations;
    enum nst_status st = set_option(p, nst_option_find(name), name, text, err);

    if (st != NST_OK)
        return st;
    /* Update the options that follow from the new value. */
    if (strcmp(name, "scales") == 0 && s->count)
        p->size = s->value[s->count - 1];
    p->size_set |=
        strcmp(name, "size") == 0 || (strcmp(name, "scales") == 0 && s->count);
    if (strcmp(name, "iterations") == 0 ||
        (strcmp(name, "scales") == 0 && n->count && !s->automatic &&
         n->count != (s->count ? s->count : 1))) /* from a preset with other scales */
        p->scale_iterations = (struct nst_list){.automatic = true};
    return NST_OK;
}

char *nst_params_get(const struct nst_params *p, const struct nst_option *o)
{
    const void *at = (const char *)p + o->offset;
    const char *s;
    char layers[1024];

    switch (o->type) {
    case NST_OPTION_FLAG:
        return nst_xstrdup(*(const bool *)at ? "true" : "false");
    case NST_OPTION_INT:
    case NST_OPTION_SIZE:
        if (o->zero_word && *(const int64_t *)at == 0)
            return nst_xstrdup(o->zero_word);
        return nst_xasprintf("%lld", (long long)*(const int64_t *)at);
    case NST_OPTION_REAL:
        return nst_xasprintf("%.17g", *(const double *)at);
    case NST_OPTION_CHOICE:
        s = o->choices;
        for (int64_t i = *(const int64_t *)at; i > 0; i--)
            s += strcspn(s, "|") + 1;
        return nst_xasprintf("%.*s", (int)strcspn(s, "|"), s);
    case NST_OPTION_TEXT:
        return *text_at(p, o) ? nst_xstrdup(*text_at(p, o)) : NULL;
    case NST_OPTION_LAYERS:
        nst_layers_format(at, layers, sizeof layers);
        return nst_xstrdup(layers);
    case NST_OPTION_STYLES: /* no text stands for several styles */
    case NST_OPTION_STYLE_MASK:
    case NST_OPTION_STYLE_LAYERS:
        return NULL;
    case NST_OPTION_LIST:
        return format_list(at, o);
    }
    return NULL;
}
