/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "model/models.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/paths.h"

#define MIN_SIZE 16
#define MAX_SIZE 65536
#define SYNTAX "NAME:PIXELS,...,NAME as in vgg19:256,vgg19-lite"

/* True if name is that of an existing model. */
static bool model_exists(const char *name)
{
    char *path = NULL;
    bool exists = nst_find_model(&path, name, NULL) == NST_OK && nst_path_is_file(path);

    free(path);
    return exists;
}

/* The colon of the first ":DIGITS" before terminator, or NULL. */
static const char *find_size(const char *s, char terminator)
{
    for (const char *colon = s; (colon = strchr(colon, ':')); colon++) {
        size_t digits = strspn(colon + 1, "0123456789");

        if (digits && colon[1 + digits] == terminator)
            return colon;
    }
    return NULL;
}

/* Append the model whose name is the first length bytes of name. */
static enum nst_status add_model(struct nst_models *m, const char *text,
                                 const char *name, size_t length, long max_size,
                                 struct nst_err *err)
{
    struct nst_model *model = &m->model[m->count];

    if (!length)
        return nst_err_set(err, NST_ERR_ARG, "model: '%s': names no network: " SYNTAX,
                           text);
    if (m->count == NST_MODELS_MAX)
        return nst_err_set(err, NST_ERR_ARG,
                           "model: '%s': has more than %d networks: " SYNTAX, text,
                           NST_MODELS_MAX);
    *model = (struct nst_model){.name = nst_xasprintf("%.*s", (int)length, name),
                                .max_size = (int)max_size};
    m->count++;
    if (length > 1 && name[length - 1] == '?' && !model_exists(model->name)) {
        model->name[length - 1] = 0;
        model->optional = true;
    }
    if (strchr(model->name, ',') && !model_exists(model->name))
        return nst_err_set(err, NST_ERR_ARG,
                           "model: '%s': '%s': every network but the last needs the "
                           "largest size that it serves: " SYNTAX,
                           text, model->name);
    return NST_OK;
}

static enum nst_status parse(struct nst_models *m, const char *text,
                             struct nst_err *err)
{
    const char *at = text, *colon;
    long previous = 0, max_size;
    enum nst_status st = NST_OK;
    char *end;

    while (st == NST_OK && (colon = find_size(at, ','))) {
        max_size = strtol(colon + 1, &end, 10);
        if (max_size < MIN_SIZE || max_size > MAX_SIZE || max_size <= previous)
            return nst_err_set(err, NST_ERR_ARG,
                               "model: '%s': '%.*s' is not a whole number between %d "
                               "and %d, each larger than the one before: " SYNTAX,
                               text, (int)(end - colon - 1), colon + 1, MIN_SIZE,
                               MAX_SIZE);
        st = add_model(m, text, at, (size_t)(colon - at), max_size, err);
        previous = max_size;
        at = end + 1;
    }
    if (st == NST_OK && find_size(at, 0) && !model_exists(at))
        return nst_err_set(err, NST_ERR_ARG,
                           "model: '%s': the last network serves all larger sizes, "
                           "and has no number: " SYNTAX,
                           text);
    return st == NST_OK ? add_model(m, text, at, strlen(at), 0, err) : st;
}

enum nst_status nst_models_parse(struct nst_models *m, const char *text,
                                 struct nst_err *err)
{
    *m = (struct nst_models){.count = 0};
    if (text && !model_exists(text))
        return parse(m, text, err);
    m->count = 1;
    m->model[0].name = text ? nst_xstrdup(text) : NULL;
    return NST_OK;
}

void nst_models_clear(struct nst_models *m)
{
    for (int i = 0; i < m->count; i++)
        free(m->model[i].name);
    m->count = 0;
}

char *nst_models_format(const struct nst_models *m)
{
    char *all = NULL;

    for (int i = 0; i < m->count && m->model[i].name; i++) {
        const struct nst_model *model = &m->model[i];
        char *longer = nst_xasprintf("%s%s%s", all ? all : "", model->name,
                                     model->optional ? "?" : "");

        free(all);
        all = longer;
        if (model->max_size) {
            longer = nst_xasprintf("%s:%d,", all, model->max_size);
            free(all);
            all = longer;
        }
    }
    return all;
}

int nst_models_for_size(const struct nst_models *m, int longest)
{
    int i = 0;

    while (i < m->count - 1 && longest > m->model[i].max_size)
        i++;
    return i;
}

void nst_models_filter(struct nst_models *m, const bool keep[NST_MODELS_MAX])
{
    int n = 0;

    for (int i = 0; i < m->count; i++) {
        struct nst_model model = m->model[i];

        m->model[i].name = NULL;
        if (!keep[i])
            free(model.name);
        else if (n && strcmp(m->model[n - 1].name, model.name) == 0) {
            m->model[n - 1].max_size = model.max_size;
            free(model.name);
        } else
            m->model[n++] = model;
    }
    if (n)
        m->model[n - 1].max_size = 0;
    else
        m->model[n++] = (struct nst_model){.name = NULL};
    m->count = n;
}

void nst_models_drop_missing(struct nst_models *m)
{
    bool keep[NST_MODELS_MAX];

    for (int i = 0; i < m->count; i++)
        keep[i] = !m->model[i].optional || model_exists(m->model[i].name);
    nst_models_filter(m, keep);
}
