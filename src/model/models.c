/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/models.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/search.h"

#define LEAST 16
#define MOST 65536
#define FORM "NAME:PIXELS,...,NAME as in vgg19:256,vgg19-lite"

/* Does it name a model that is there? */
static bool is_there(const char *name)
{
    char *path = NULL;
    bool there =
        nst_search_model(&path, name, NULL) == NST_OK && nst_search_is_file(path);

    free(path);
    return there;
}

/* The colon of the first ":DIGITS" that what comes then ends, or NULL. */
static const char *find_bound(const char *s, char then)
{
    for (const char *colon = s; (colon = strchr(colon, ':')); colon++) {
        size_t digits = strspn(colon + 1, "0123456789");

        if (digits && colon[1 + digits] == then)
            return colon;
    }
    return NULL;
}

/* One more, its name of that length, which serves sizes up to upto. */
static enum nst_status add(struct nst_models *m, const char *text, const char *name,
                           size_t length, long upto, struct nst_err *err)
{
    struct nst_model *one = &m->of[m->count];

    if (!length)
        return nst_err_set(err, NST_ERR_ARG, "model: '%s': names no network: " FORM,
                           text);
    if (m->count == NST_MODELS_MAX)
        return nst_err_set(err, NST_ERR_ARG,
                           "model: '%s': has more than %d networks: " FORM, text,
                           NST_MODELS_MAX);
    *one = (struct nst_model){.name = nst_xasprintf("%.*s", (int)length, name),
                              .upto = (int)upto};
    m->count++;
    if (length > 1 && name[length - 1] == '?' && !is_there(one->name)) {
        one->name[length - 1] = 0;
        one->optional = true;
    }
    if (strchr(one->name, ',') && !is_there(one->name))
        return nst_err_set(err, NST_ERR_ARG,
                           "model: '%s': '%s': every network but the last needs the "
                           "largest size that it serves: " FORM,
                           text, one->name);
    return NST_OK;
}

static enum nst_status parse(struct nst_models *m, const char *text,
                             struct nst_err *err)
{
    const char *at = text, *colon;
    long before = 0, upto;
    enum nst_status st = NST_OK;
    char *end;

    while (st == NST_OK && (colon = find_bound(at, ','))) {
        upto = strtol(colon + 1, &end, 10);
        if (upto < LEAST || upto > MOST || upto <= before)
            return nst_err_set(err, NST_ERR_ARG,
                               "model: '%s': '%.*s' is not a whole number between %d "
                               "and %d, each larger than the one before: " FORM,
                               text, (int)(end - colon - 1), colon + 1, LEAST, MOST);
        st = add(m, text, at, (size_t)(colon - at), upto, err);
        before = upto;
        at = end + 1;
    }
    if (st == NST_OK && find_bound(at, 0) && !is_there(at))
        return nst_err_set(err, NST_ERR_ARG,
                           "model: '%s': the last network serves all larger sizes, "
                           "and has no number: " FORM,
                           text);
    return st == NST_OK ? add(m, text, at, strlen(at), 0, err) : st;
}

enum nst_status nst_models_parse(struct nst_models *m, const char *text,
                                 struct nst_err *err)
{
    *m = (struct nst_models){.count = 0};
    if (text && !is_there(text))
        return parse(m, text, err);
    m->count = 1;
    m->of[0].name = text ? nst_xstrdup(text) : NULL;
    return NST_OK;
}

void nst_models_clear(struct nst_models *m)
{
    for (int i = 0; i < m->count; i++)
        free(m->of[i].name);
    m->count = 0;
}

char *nst_models_text(const struct nst_models *m)
{
    char *all = NULL;

    for (int i = 0; i < m->count && m->of[i].name; i++) {
        const struct nst_model *one = &m->of[i];
        char *longer = nst_xasprintf("%s%s%s", all ? all : "", one->name,
                                     one->optional ? "?" : "");

        free(all);
        all = longer;
        if (one->upto) {
            longer = nst_xasprintf("%s:%d,", all, one->upto);
            free(all);
            all = longer;
        }
    }
    return all;
}

int nst_models_serving(const struct nst_models *m, int longest)
{
    int i = 0;

    while (i < m->count - 1 && longest > m->of[i].upto)
        i++;
    return i;
}

void nst_models_keep(struct nst_models *m, const bool keep[NST_MODELS_MAX])
{
    int kept = 0;

    for (int i = 0; i < m->count; i++) {
        struct nst_model one = m->of[i];

        m->of[i].name = NULL;
        if (!keep[i])
            free(one.name);
        else if (kept && strcmp(m->of[kept - 1].name, one.name) == 0) {
            m->of[kept - 1].upto = one.upto;
            free(one.name);
        } else
            m->of[kept++] = one;
    }
    if (kept)
        m->of[kept - 1].upto = 0;
    else
        m->of[kept++] = (struct nst_model){.name = NULL};
    m->count = kept;
}

void nst_models_leave_missing(struct nst_models *m)
{
    bool keep[NST_MODELS_MAX];

    for (int i = 0; i < m->count; i++)
        keep[i] = !m->of[i].optional || is_there(m->of[i].name);
    nst_models_keep(m, keep);
}
