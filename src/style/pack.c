/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/pack.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/jpeg.h"
#include "model/vgg.h"
#include "style/pack_internal.h"
#include "style/statistics.h"
#include "style/tiled_pass.h"

/* Tile size for the statistics of a picture: small enough for any machine. */
#define TILE 512

struct nst_pack *nst_pack_new(const char *model, const char *from)
{
    struct nst_pack *p = nst_xcalloc(1, sizeof *p);

    nst_pack_set_text(p, NST_PACK_MODEL, model);
    nst_pack_set_text(p, NST_PACK_FROM, from);
    return p;
}

void nst_pack_free(struct nst_pack *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->entries; i++)
        for (int k = 0; k < p->entry[i].sizes; k++) {
            free(p->entry[i].at[k].products);
            free(p->entry[i].at[k].means);
        }
    for (int i = 0; i < NST_PACK_TEXTS; i++)
        free(p->text[i]);
    free(p->preview);
    free(p);
}

const char *nst_pack_text_name(enum nst_pack_text which)
{
    static const char *const names[] = {"model", "from", "artist", "title", "year"};

    return names[which];
}

const char *nst_pack_text(const struct nst_pack *p, enum nst_pack_text which)
{
    return p->text[which];
}

void nst_pack_set_text(struct nst_pack *p, enum nst_pack_text which, const char *text)
{
    char *copy = text ? nst_xstrdup(text) : NULL;

    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    free(p->text[which]);
    p->text[which] = copy;
}

const void *nst_pack_preview(const struct nst_pack *p, size_t *size)
{
    *size = p->preview_size;
    return p->preview;
}

enum nst_status nst_pack_set_preview(struct nst_pack *p, const void *bytes, size_t size,
                                     struct nst_err *err)
{
    if (size > NST_PACK_PREVIEW_MAX)
        return nst_err_set(err, NST_ERR_ARG,
                           "the preview has %zu bytes, and may have %d: make it "
                           "smaller",
                           size, NST_PACK_PREVIEW_MAX);
    if (!nst_looks_like_jpeg(bytes, size))
        return nst_err_set(err, NST_ERR_ARG, "the preview is not a JPEG");
    free(p->preview);
    p->preview = nst_xcalloc(size, 1);
    memcpy(p->preview, bytes, size);
    p->preview_size = size;
    return NST_OK;
}

bool nst_pack_layer(const struct nst_pack *p, int i, struct nst_pack_layer *out)
{
    const struct nst_pack_entry *l = &p->entry[i];

    if (i >= p->entries)
        return false;
    *out = (struct nst_pack_layer){.layer = l->layer,
                                   .channels = l->channels,
                                   .fingerprint = l->fingerprint,
                                   .pooling = l->pooling,
                                   .sizes = l->sizes};
    for (int k = 0; k < l->sizes; k++)
        out->size[k] = l->at[k].size;
    return true;
}

static const struct nst_pack_entry *find_entry(const struct nst_pack *p,
                                               const struct nst_layer *t,
                                               uint64_t fingerprint)
{
    for (int i = 0; i < p->entries; i++) {
        const struct nst_pack_entry *l = &p->entry[i];

        if (l->layer.conv == t->conv && l->layer.after_relu == t->after_relu &&
            l->fingerprint == fingerprint)
            return l;
    }
    return NULL;
}

static const struct nst_pack_entry *entry_of(const struct nst_pack *p,
                                             const struct nst_vgg *v,
                                             const struct nst_layer *t)
{
    return find_entry(p, t, nst_vgg_fingerprint(v, t->conv));
}

void nst_pack_layer_name(const struct nst_layer *layer, char name[16])
{
    struct nst_layers one = {1, {*layer}};

    one.layer[0].weight = 1;
    nst_layers_format(&one, name, 16);
}

struct nst_pack_entry *nst_pack_ensure_layer(struct nst_pack *p,
                                             const struct nst_layer *t,
                                             uint64_t fingerprint)
{
    struct nst_pack_entry *l = (struct nst_pack_entry *)find_entry(p, t, fingerprint);

    if (l || p->entries == NST_PACK_LAYERS)
        return l;
    l = &p->entry[p->entries++];
    *l = (struct nst_pack_entry){.layer = *t, .fingerprint = fingerprint};
    l->layer.weight = 1;
    return l;
}

struct nst_pack_statistics *nst_pack_ensure_size(struct nst_pack_entry *l, int size)
{
    int k = 0;

    while (k < l->sizes && l->at[k].size < size)
        k++;
    if (k < l->sizes && l->at[k].size == size)
        return &l->at[k];
    if (l->sizes == NST_PACK_SIZES)
        return NULL;
    memmove(l->at + k + 1, l->at + k, (size_t)(l->sizes - k) * sizeof *l->at);
    l->sizes++;
    l->at[k] = (struct nst_pack_statistics){.size = size};
    return &l->at[k];
}

/* Add weight times a layer's statistics at a size. */
static enum nst_status add_statistics(struct nst_pack_entry *l, int size,
                                      const struct nst_statistics *s, double weight,
                                      struct nst_err *err)
{
    struct nst_pack_statistics *stats = nst_pack_ensure_size(l, size);
    size_t c = (size_t)s->channels;
    enum nst_status st = NST_OK;

    if (!stats)
        return nst_err_set(err, NST_ERR_ARG,
                           "a style pack holds %d sizes of a layer at most",
                           NST_PACK_SIZES);
    l->channels = s->channels;
    if (!stats->products)
        st = nst_floats_new(&stats->products, c, c, 1, err);
    if (st == NST_OK && !stats->means)
        st = nst_floats_new(&stats->means, c, 1, 1, err);
    if (st != NST_OK)
        return st;
    for (size_t i = 0; i < c * c; i++)
        stats->products[i] += (float)(weight * s->products[i] / s->pixels);
    for (size_t i = 0; i < c; i++)
        stats->means[i] += (float)(weight * s->sums[i] / s->pixels);
    return NST_OK;
}

static enum nst_status too_many_layers(struct nst_err *err)
{
    return nst_err_set(err, NST_ERR_ARG, "a style pack holds %d layers at most",
                       NST_PACK_LAYERS);
}

static enum nst_status add_entry(struct nst_pack *p, const struct nst_vgg *v, int size,
                                 const struct nst_statistics *s, double weight,
                                 struct nst_err *err)
{
    int conv = s->layer.conv;
    struct nst_pack_entry *l =
        nst_pack_ensure_layer(p, &s->layer, nst_vgg_fingerprint(v, conv));

    if (!l)
        return too_many_layers(err);
    l->pooling = nst_conv_in_first_block(conv)           ? "any"
                 : nst_vgg_pooling(v) == NST_POOLING_MAX ? "max"
                                                         : "avg";
    return add_statistics(l, size, s, weight, err);
}

enum nst_status nst_pack_add(struct nst_pack *p, struct nst_vgg *v,
                             const struct nst_layers *layers, struct nst_image image,
                             double weight, struct nst_err *err)
{
    int size = nst_longest(image.height, image.width);
    struct nst_statistics s[2 * NST_VGG_CONVS] = {{{0}}}, *all[2 * NST_VGG_CONVS];
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < layers->count; i++) {
        const struct nst_layer *layer = &layers->layer[i];

        all[i] = &s[i];
        st = nst_statistics_init(&s[i], nst_vgg_backend(v), *layer,
                                 nst_vgg_channels(v, layer->conv), true, err);
    }
    if (st == NST_OK)
        st = nst_statistics_compute(
            all, layers->count, v,
            nst_tiled_pass_tiling(v, image.height, image.width, TILE), image.rgb, err);
    for (int i = 0; i < layers->count; i++) {
        if (st == NST_OK)
            st = add_entry(p, v, size, &s[i], weight, err);
        nst_statistics_clear(&s[i]);
    }
    return st;
}

enum nst_status nst_pack_check(const struct nst_pack *p, const char *name,
                               const struct nst_vgg *v, const char *network,
                               const struct nst_layers *layers, struct nst_err *err)
{
    bool has_network = false; /* p has any layer of v */

    for (int i = 0; i < p->entries && !has_network; i++)
        has_network = p->entry[i].layer.conv < nst_vgg_convs(v) &&
                      entry_of(p, v, &p->entry[i].layer);
    if (!has_network)
        return nst_err_set(err, NST_ERR_ARG,
                           "style '%s': the pack is of %s and lacks the network %s: "
                           "leave out --model, or make a pack of the image by %s "
                           "(nst-style pack --model)",
                           name, p->text[NST_PACK_MODEL], network, network);
    for (int i = 0; i < layers->count; i++) {
        const struct nst_layer *layer = &layers->layer[i];
        const struct nst_pack_entry *l = entry_of(p, v, layer);
        char layer_name[16];

        nst_pack_layer_name(layer, layer_name);
        if (!l || l->channels != nst_vgg_channels(v, layer->conv))
            return nst_err_set(
                err, NST_ERR_ARG,
                "style '%s': the pack, of %s, knows nothing of %s of this "
                "network with this pooling (nst-style info)",
                name, p->text[NST_PACK_MODEL], layer_name);
    }
    return NST_OK;
}

/* Find the sizes around longest: at[*below] and the next one, at this fraction. */
static void locate_size(const struct nst_pack_entry *l, int longest, int *below,
                        double *fraction)
{
    int i = 0;

    while (i + 1 < l->sizes && l->at[i + 1].size <= longest)
        i++;
    *below = i;
    *fraction = 0;
    if (i + 1 < l->sizes && longest > l->at[i].size)
        *fraction = log((double)longest / l->at[i].size) /
                    log((double)l->at[i + 1].size / l->at[i].size);
}

/* Interpolate a layer's statistics for a size. */
static void interpolate(const struct nst_pack_entry *l, int longest,
                        struct nst_statistics *s)
{
    size_t c = (size_t)l->channels;
    const struct nst_pack_statistics *a, *b;
    double fraction;
    int below;

    locate_size(l, longest, &below, &fraction);
    a = &l->at[below];
    b = fraction > 0 ? &l->at[below + 1] : a;
    s->pixels = s->area = 1;
    for (size_t k = 0; k < c * c; k++)
        s->products[k] = (1 - fraction) * a->products[k] + fraction * b->products[k];
    for (size_t k = 0; s->sums && k < c; k++)
        s->sums[k] = (1 - fraction) * a->means[k] + fraction * b->means[k];
}

void nst_pack_interpolate(const struct nst_pack *p, const struct nst_vgg *v,
                          int longest, struct nst_statistics *const s[], int count)
{
    for (int i = 0; i < count; i++)
        interpolate(entry_of(p, v, &s[i]->layer), longest, s[i]);
}

enum nst_status nst_pack_add_pack(struct nst_pack *p, const struct nst_pack *other,
                                  double weight, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < other->entries; i++) {
        const struct nst_pack_entry *from = &other->entry[i];
        struct nst_pack_entry *l =
            nst_pack_ensure_layer(p, &from->layer, from->fingerprint);
        struct nst_statistics s;
        int size[NST_PACK_SIZES], sizes;

        if (!l)
            return too_many_layers(err);
        if (!l->pooling)
            l->pooling = from->pooling;
        sizes = l->sizes ? l->sizes : from->sizes;
        for (int k = 0; k < sizes; k++)
            size[k] = l->sizes ? l->at[k].size : from->at[k].size;
        st = nst_statistics_init(&s, NULL, from->layer, from->channels, true, err);
        for (int k = 0; st == NST_OK && k < sizes; k++) {
            interpolate(from, size[k], &s);
            st = add_statistics(l, size[k], &s, weight, err);
        }
        nst_statistics_clear(&s);
    }
    return st;
}

enum nst_status nst_pack_match(const struct nst_pack *a, const struct nst_pack *b,
                               struct nst_err *err)
{
    bool same = a->entries == b->entries;

    for (int i = 0; same && i < a->entries; i++) {
        const struct nst_pack_entry *l =
            find_entry(b, &a->entry[i].layer, a->entry[i].fingerprint);

        same = l && l->channels == a->entry[i].channels;
    }
    if (same)
        return NST_OK;
    return nst_err_set(err, NST_ERR_ARG,
                       "the packs of %s (%s) and of %s (%s) have different layers or "
                       "networks",
                       a->text[NST_PACK_FROM], a->text[NST_PACK_MODEL],
                       b->text[NST_PACK_FROM], b->text[NST_PACK_MODEL]);
}
