/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/networks.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/models.h"
#include "model/paths.h"
#include "model/weights.h"
#include "run/report.h"
#include "run/pyramid.h"
#include "style/pack.h"

/* Mark networks that a scale uses; all if the size of a picture is not known. */
static void find_used(const struct nst_models *m, const struct nst_params *p,
                      const struct nst_batch *b, bool used[NST_MODELS_MAX])
{
    struct nst_level level[NST_LIST_MAX];

    for (size_t i = 0; i < b->items; i++) {
        const struct nst_samples *samples = &b->item[i].picture;
        int height = p->size ? (int)p->size : samples->height;
        int width = p->size ? (int)p->size : samples->width, levels = 0;
        bool known = p->size || samples->data;

        if (known)
            levels = nst_pyramid_levels(p, height, width, level);
        for (int k = 0; k < levels; k++)
            used[nst_models_for_size(m, level[k].longest)] = true;
        for (int k = 0; !known && k < m->count; k++)
            used[k] = true;
        if (p->size) /* the same for all */
            break;
    }
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
        nst_models_filter(&models, used);
        *model = nst_models_format(&models);
    }
    nst_models_clear(&models);
    return st;
}

/* The networks of each style that is a pack. */
struct pack_models {
    char *model[NST_STYLES_MAX]; /* NULL for a picture */
    const char *style[NST_STYLES_MAX];
    int styles;
};

static enum nst_status read_packs(struct pack_models *packs, const struct nst_params *p,
                                  struct nst_err *err)
{
    enum nst_status st = NST_OK;

    packs->styles = p->styles.count;
    for (int i = 0; st == NST_OK && i < packs->styles; i++) {
        char *path = nst_find_pack(p->styles.item[i].file);
        struct nst_pack *pack = NULL;

        packs->style[i] = p->styles.item[i].file;
        if (path)
            st = nst_pack_load(&pack, path, err);
        if (pack)
            packs->model[i] = nst_xstrdup(nst_pack_text(pack, NST_PACK_MODEL));
        nst_pack_free(pack);
        free(path);
    }
    return st;
}

/* Whether text lists the network name. */
static bool lists_network(const char *text, const char *name)
{
    struct nst_models models;
    bool found = false;

    if (nst_models_parse(&models, text, NULL) == NST_OK)
        for (int i = 0; i < models.count; i++)
            found |= strcmp(models.model[i].name, name) == 0;
    nst_models_clear(&models);
    return found;
}

/* Report that a pack selects another network than a style image would. */
static void report_choice(const char *style, const char *model,
                          const struct nst_run_events *events)
{
    char *path, *name;

    if (nst_find_model(&path, NULL, NULL) != NST_OK)
        return;
    name = nst_model_name(path);
    if (strcmp(name, model) != 0)
        nst_run_message(
            events,
            "style pack '%s' selects the network %s; a style image would use %s", style,
            model, name);
    free(name);
    free(path);
}

/* Why an optional network is skipped, a new string; NULL if it is used. */
static char *reason_to_skip(const struct nst_model *one,
                            const struct pack_models *packs)
{
    char *path = NULL, *name, *reason = NULL;
    bool found =
        nst_find_model(&path, one->name, NULL) == NST_OK && nst_path_is_file(path);
    int pack = 0;

    name = nst_model_name(path ? path : one->name);
    while (pack < packs->styles &&
           (!packs->model[pack] || lists_network(packs->model[pack], name)))
        pack++;
    if (pack < packs->styles)
        reason = nst_xasprintf("style pack '%s' is for %s; continuing without %s",
                               packs->style[pack], packs->model[pack], name);
    else if (!found)
        reason = nst_xasprintf(
            "network %s not found; continuing without it%s", name,
            strcmp(name, "vgg19") == 0 ? " (scripts/fetch-model installs it)" : "");
    free(name);
    free(path);
    return reason;
}

/* Skip optional networks that no scale uses, that are missing or that a pack lacks. */
static void skip_optional(struct nst_models *m, const bool used[NST_MODELS_MAX],
                          const struct pack_models *packs, bool quiet,
                          const struct nst_run_events *events)
{
    bool keep[NST_MODELS_MAX] = {false};

    for (int i = 0; i < m->count; i++) {
        char *reason = NULL;

        keep[i] = !m->model[i].optional;
        if (!keep[i] && used[i]) {
            reason = reason_to_skip(&m->model[i], packs);
            keep[i] = !reason;
        }
        if (reason && !quiet)
            nst_run_message(events, "%s", reason);
        m->model[i].optional = false; /* those that stay exist */
        free(reason);
    }
    nst_models_filter(m, keep);
}

enum nst_status nst_networks_choose(char **model, const struct nst_params *p,
                                    const struct nst_batch *b,
                                    const struct nst_run_events *events,
                                    struct nst_err *err)
{
    struct pack_models packs = {.styles = 0};
    struct nst_models models;
    bool used[NST_MODELS_MAX] = {false};
    enum nst_status st = nst_models_parse(&models, p->model, err);
    bool all_explicit = true; /* every network has a name and none is optional */
    int pack = 0;

    *model = NULL;
    for (int i = 0; st == NST_OK && i < models.count; i++)
        all_explicit &= models.model[i].name && !models.model[i].optional;
    if (st == NST_OK && all_explicit)
        *model = nst_xstrdup(p->model);
    else if (st == NST_OK)
        st = read_packs(&packs, p, err);
    if (st == NST_OK && !*model) {
        find_used(&models, p, b, used);
        skip_optional(&models, used, &packs, p->quiet, events);
        *model = nst_models_format(&models);
        while (pack < packs.styles && !packs.model[pack])
            pack++;
        if (!*model && pack < packs.styles) {
            *model = nst_xstrdup(packs.model[pack]);
            if (!p->model && !p->quiet)
                report_choice(packs.style[pack], *model, events);
        }
    }
    for (int i = 0; i < packs.styles; i++)
        free(packs.model[i]);
    nst_models_clear(&models);
    return st;
}

/* The first layer of a list that is beyond the last convolution; NULL if none is. */
static const struct nst_layer *find_beyond(const struct nst_layers *list, int convs)
{
    for (int i = 0; i < list->count; i++)
        if (list->layer[i].conv >= convs)
            return &list->layer[i];
    return NULL;
}

static bool network_lacks_layer(const char *network, const struct nst_params *p,
                                struct nst_missing_layer *out)
{
    const struct nst_layer *layer = NULL;
    char *path = NULL;

    if (nst_find_model(&path, network, NULL) == NST_OK &&
        nst_weights_count(&out->convs, path, NULL) == NST_OK) {
        layer = find_beyond(&p->content_layers, out->convs);
        out->is_style = !layer;
        if (!layer)
            layer = find_beyond(&p->style_layers, out->convs);
    }
    if (layer) {
        out->layer = *layer;
        out->network = nst_model_name(path);
    }
    free(path);
    return layer != NULL;
}

bool nst_run_lacks_layer(const struct nst_params *p, struct nst_missing_layer *out)
{
    struct nst_batch_item item = {.content = NULL};
    const struct nst_batch one = {.item = &item, .items = 1};
    struct nst_params quiet = *p;
    struct nst_models models = {.count = 0};
    char *chosen = NULL, *used = NULL;
    bool lacks = false;

    quiet.quiet = true;
    if (nst_networks_choose(&chosen, &quiet, &one, NULL, NULL) == NST_OK) {
        quiet.model = chosen;
        if (nst_networks_used(&used, &quiet, &one, NULL) == NST_OK &&
            nst_models_parse(&models, used, NULL) == NST_OK)
            for (int i = 0; i < models.count && !lacks; i++)
                lacks = network_lacks_layer(models.model[i].name, p, out);
    }
    nst_models_clear(&models);
    free(used);
    free(chosen);
    return lacks;
}
