/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/networks.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/scales.h"
#include "model/models.h"
#include "model/search.h"
#include "run/say.h"
#include "style/pack.h"

static void note_scales(const struct nst_models *m, const struct nst_params *p,
                        int height, int width, bool used[NST_MODELS_MAX])
{
    struct nst_scale scale[NST_LIST_MAX];
    int scales = nst_scales(p, height, width, scale);

    for (int i = 0; i < scales; i++)
        used[nst_models_serving(m, scale[i].longest)] = true;
}

/* Those that a scale uses; all where a picture's size is not known beforehand. */
static void find_used(const struct nst_models *m, const struct nst_params *p,
                      const struct nst_batch *b, bool used[NST_MODELS_MAX])
{
    bool sized = false;

    for (size_t i = 0; i < b->items; i++) {
        const struct nst_item *item = &b->item[i];

        if (item->pixels)
            note_scales(m, p, item->height, item->width, used);
        else if (!sized && p->size)
            note_scales(m, p, (int)p->size, (int)p->size, used);
        sized |= !item->pixels;
    }
    for (int i = 0; sized && !p->size && i < m->count; i++)
        used[i] = true;
}

enum nst_status nst_networks_used(char **model, const struct nst_params *p,
                                  const struct nst_batch *b, struct nst_err *err)
{
    struct nst_models models;
    bool used[NST_MODELS_MAX] = {false};
    enum nst_status st = nst_models_parse(&models, p->model, err);

    *model = NULL;
    if (st == NST_OK) {
        find_used(&models, p, b, used);
        nst_models_keep(&models, used);
        *model = nst_models_text(&models);
    }
    nst_models_clear(&models);
    return st;
}

/* What the style packs of a run are of: of each style that is one, its networks. */
struct packs {
    char *model[NST_STYLES_MAX]; /* or NULL */
    const char *style[NST_STYLES_MAX];
    int styles;
};

static enum nst_status read_packs(struct packs *packs, const struct nst_params *p,
                                  struct nst_err *err)
{
    enum nst_status st = NST_OK;

    packs->styles = p->styles.count;
    for (int i = 0; st == NST_OK && i < packs->styles; i++) {
        char *path = nst_search_pack(p->styles.of[i].file);
        struct nst_pack *pack = NULL;

        packs->style[i] = p->styles.of[i].file;
        if (path)
            st = nst_pack_load(&pack, path, err);
        if (pack)
            packs->model[i] = nst_xstrdup(nst_pack_text(pack, NST_PACK_MODEL));
        nst_pack_free(pack);
        free(path);
    }
    return st;
}

static void clear_packs(struct packs *packs)
{
    for (int i = 0; i < packs->styles; i++)
        free(packs->model[i]);
}

/* The first style that is a pack, or -1. */
static int first_pack(const struct packs *packs)
{
    for (int i = 0; i < packs->styles; i++)
        if (packs->model[i])
            return i;
    return -1;
}

/* Is a network called name among those of text? */
static bool is_among(const char *text, const char *name)
{
    struct nst_models models;
    bool among = false;

    if (nst_models_parse(&models, text, NULL) == NST_OK)
        for (int i = 0; i < models.count; i++)
            among |= strcmp(models.of[i].name, name) == 0;
    nst_models_clear(&models);
    return among;
}

/* The first pack that lacks the network called name, or -1. */
static int lacking(const struct packs *packs, const char *name)
{
    for (int i = 0; i < packs->styles; i++)
        if (packs->model[i] && !is_among(packs->model[i], name))
            return i;
    return -1;
}

/* Nobody asked for the pack's network, and a picture would be made by another. */
static void say_choice(const char *style, const char *model,
                       const struct nst_run_events *events)
{
    char *path, *name;

    if (nst_search_model(&path, NULL, NULL) != NST_OK)
        return;
    name = nst_search_name(path);
    if (strcmp(name, model) != 0)
        nst_say(events,
                "style pack '%s' selects the network %s; a style image would use %s",
                style, model, name);
    free(name);
    free(path);
}

/* Why an optional network is left out, NULL if it is not; a new string. */
static char *why_not(const struct nst_model *one, const struct packs *packs)
{
    char *path = NULL, *name, *why = NULL;
    bool found =
        nst_search_model(&path, one->name, NULL) == NST_OK && nst_search_is_file(path);
    int pack;

    name = nst_search_name(path ? path : one->name);
    pack = lacking(packs, name);
    if (pack >= 0)
        why = nst_xasprintf("style pack '%s' is for %s; continuing without %s",
                            packs->style[pack], packs->model[pack], name);
    else if (!found)
        why = nst_xasprintf(
            "network %s not found; continuing without it%s", name,
            strcmp(name, "vgg19") == 0 ? " (scripts/fetch-model installs it)" : "");
    free(name);
    free(path);
    return why;
}

/* Leave out optional ones that no scale uses, or that cannot be had. */
static void leave_out(struct nst_models *m, const bool used[NST_MODELS_MAX],
                      const struct packs *packs, bool quiet,
                      const struct nst_run_events *events)
{
    bool keep[NST_MODELS_MAX] = {false};

    for (int i = 0; i < m->count; i++) {
        char *why = NULL;

        keep[i] = !m->of[i].optional;
        if (!keep[i] && used[i]) {
            why = why_not(&m->of[i], packs);
            keep[i] = !why;
        }
        if (why && !quiet)
            nst_say(events, "%s", why);
        m->of[i].optional = false; /* those that stay are there */
        free(why);
    }
    nst_models_keep(m, keep);
}

/* Is each named, and none of them optional? */
static bool is_fixed(const struct nst_models *m)
{
    for (int i = 0; i < m->count; i++)
        if (!m->of[i].name || m->of[i].optional)
            return false;
    return true;
}

enum nst_status nst_networks_choose(char **model, const struct nst_params *p,
                                    const struct nst_batch *b,
                                    const struct nst_run_events *events,
                                    struct nst_err *err)
{
    struct packs packs = {.styles = 0};
    struct nst_models models;
    bool used[NST_MODELS_MAX] = {false};
    enum nst_status st = nst_models_parse(&models, p->model, err);
    int pack;

    *model = NULL;
    if (st == NST_OK && is_fixed(&models))
        *model = nst_xstrdup(p->model);
    else if (st == NST_OK)
        st = read_packs(&packs, p, err);
    if (st == NST_OK && !*model) {
        find_used(&models, p, b, used);
        leave_out(&models, used, &packs, p->quiet, events);
        *model = nst_models_text(&models);
        pack = first_pack(&packs);
        if (!*model && pack >= 0) {
            *model = nst_xstrdup(packs.model[pack]);
            if (!p->model && !p->quiet)
                say_choice(packs.style[pack], *model, events);
        }
    }
    clear_packs(&packs);
    nst_models_clear(&models);
    return st;
}
