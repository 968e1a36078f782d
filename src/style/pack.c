/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/pack.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/vgg.h"
#include "style/pack_parts.h"
#include "style/statistics.h"
#include "style/walk.h"

/* A picture is measured in tiles of this size: small enough for any machine. */
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
    for (int i = 0; i < p->layers; i++)
        for (int k = 0; k < p->layer[i].sizes; k++) {
            free(p->layer[i].at[k].products);
            free(p->layer[i].at[k].means);
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

/* Its first and its last marker. */
static bool is_jpeg(const unsigned char *b, size_t size)
{
    return size > 4 && b[0] == 0xff && b[1] == 0xd8 && b[2] == 0xff &&
           b[size - 2] == 0xff && b[size - 1] == 0xd9;
}

enum nst_status nst_pack_set_preview(struct nst_pack *p, const void *bytes, size_t size,
                                     struct nst_err *err)
{
    if (size > NST_PACK_PREVIEW_MAX)
        return nst_err_set(err, NST_ERR_ARG,
                           "the preview has %zu bytes, and may have %d: make it "
                           "smaller",
                           size, NST_PACK_PREVIEW_MAX);
    if (!is_jpeg(bytes, size))
        return nst_err_set(err, NST_ERR_ARG, "the preview is not a JPEG");
    free(p->preview);
    p->preview = nst_xcalloc(size, 1);
    memcpy(p->preview, bytes, size);
    p->preview_size = size;
    return NST_OK;
}

bool nst_pack_layer(const struct nst_pack *p, int i, struct nst_pack_layer *out)
{
    const struct nst_pack_data *l = &p->layer[i];

    if (i >= p->layers)
        return false;
    *out = (struct nst_pack_layer){.tap = l->tap,
                                   .channels = l->channels,
                                   .fingerprint = l->fingerprint,
                                   .pooling = l->pooling,
                                   .sizes = l->sizes};
    for (int k = 0; k < l->sizes; k++)
        out->size[k] = l->at[k].size;
    return true;
}

static const struct nst_pack_data *find_layer(const struct nst_pack *p,
                                              const struct nst_tap *t,
                                              uint64_t fingerprint)
{
    for (int i = 0; i < p->layers; i++) {
        const struct nst_pack_data *l = &p->layer[i];

        if (l->tap.conv == t->conv && l->tap.after_relu == t->after_relu &&
            l->fingerprint == fingerprint)
            return l;
    }
    return NULL;
}

struct nst_pack_data *nst_pack_find(struct nst_pack *p, const struct nst_tap *t,
                                    uint64_t fingerprint)
{
    return (struct nst_pack_data *)find_layer(p, t, fingerprint);
}

static const struct nst_pack_data *layer_of(const struct nst_pack *p,
                                            const struct nst_vgg *v,
                                            const struct nst_tap *t)
{
    return find_layer(p, t, nst_vgg_fingerprint(v, t->conv));
}

void nst_pack_layer_name(const struct nst_tap *tap, char name[16])
{
    struct nst_taps one = {1, {*tap}};

    one.tap[0].weight = 1;
    nst_taps_format(&one, name, 16);
}

struct nst_pack_data *nst_pack_have_layer(struct nst_pack *p, const struct nst_tap *t,
                                          uint64_t fingerprint)
{
    struct nst_pack_data *l = nst_pack_find(p, t, fingerprint);

    if (l || p->layers == NST_PACK_LAYERS)
        return l;
    l = &p->layer[p->layers++];
    *l = (struct nst_pack_data){.tap = *t, .fingerprint = fingerprint};
    l->tap.weight = 1;
    return l;
}

struct nst_pack_part *nst_pack_have_size(struct nst_pack_data *l, int size)
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
    l->at[k] = (struct nst_pack_part){.size = size};
    return &l->at[k];
}

/* Add what a layer has at a size, times share. */
static enum nst_status add_statistics(struct nst_pack_data *l, int size,
                                      const struct nst_statistics *s, double share,
                                      struct nst_err *err)
{
    struct nst_pack_part *part = nst_pack_have_size(l, size);
    size_t c = (size_t)s->channels;
    enum nst_status st = NST_OK;

    if (!part)
        return nst_err_set(err, NST_ERR_ARG,
                           "a style pack holds %d sizes of a layer at most",
                           NST_PACK_SIZES);
    l->channels = s->channels;
    if (!part->products)
        st = nst_floats_new(&part->products, c, c, 1, err);
    if (st == NST_OK && !part->means)
        st = nst_floats_new(&part->means, c, 1, 1, err);
    if (st != NST_OK)
        return st;
    for (size_t i = 0; i < c * c; i++)
        part->products[i] += (float)(share * s->products[i] / s->pixels);
    for (size_t i = 0; i < c; i++)
        part->means[i] += (float)(share * s->sums[i] / s->pixels);
    return NST_OK;
}

static enum nst_status too_many_layers(struct nst_err *err)
{
    return nst_err_set(err, NST_ERR_ARG, "a style pack holds %d layers at most",
                       NST_PACK_LAYERS);
}

static enum nst_status add_layer(struct nst_pack *p, const struct nst_vgg *v, int size,
                                 const struct nst_statistics *s, double share,
                                 struct nst_err *err)
{
    int conv = s->tap.conv;
    struct nst_pack_data *l =
        nst_pack_have_layer(p, &s->tap, nst_vgg_fingerprint(v, conv));

    if (!l)
        return too_many_layers(err);
    l->pooling = nst_conv_below_pool(conv)               ? "any"
                 : nst_vgg_pooling(v) == NST_POOLING_MAX ? "max"
                                                         : "avg";
    return add_statistics(l, size, s, share, err);
}

enum nst_status nst_pack_add(struct nst_pack *p, struct nst_vgg *v,
                             const struct nst_taps *layers, int size, const float *rgb,
                             int h, int w, int border, double share,
                             struct nst_err *err)
{
    struct nst_statistics s[2 * NST_VGG_CONVS] = {{{0}}}, *all[2 * NST_VGG_CONVS];
    bool keep[NST_VGG_CONVS] = {false};
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < layers->count; i++) {
        const struct nst_tap *tap = &layers->tap[i];

        all[i] = &s[i];
        keep[tap->conv] |= !tap->after_relu;
        st = nst_statistics_init(&s[i], nst_vgg_backend(v), *tap,
                                 nst_vgg_channels(v, tap->conv), true, err);
    }
    if (st == NST_OK)
        st = nst_statistics_measure(all, layers->count, v,
                                    nst_walk_tiling(v, h, w, TILE), border, rgb, keep,
                                    err);
    for (int i = 0; i < layers->count; i++) {
        if (st == NST_OK)
            st = add_layer(p, v, size, &s[i], share, err);
        nst_statistics_clear(&s[i]);
    }
    return st;
}

/* Does p hold anything of v? */
static bool knows(const struct nst_pack *p, const struct nst_vgg *v)
{
    for (int i = 0; i < p->layers; i++)
        if (p->layer[i].tap.conv < nst_vgg_convs(v) && layer_of(p, v, &p->layer[i].tap))
            return true;
    return false;
}

enum nst_status nst_pack_check(const struct nst_pack *p, const char *name,
                               const struct nst_vgg *v, const char *network,
                               const struct nst_taps *layers, struct nst_err *err)
{
    if (!knows(p, v))
        return nst_err_set(err, NST_ERR_ARG,
                           "style '%s': the pack is of %s and lacks the network %s: "
                           "leave out --model, or make a pack of the picture by %s "
                           "(nst-style pack --model)",
                           name, p->text[NST_PACK_MODEL], network, network);
    for (int i = 0; i < layers->count; i++) {
        const struct nst_tap *tap = &layers->tap[i];
        const struct nst_pack_data *l = layer_of(p, v, tap);
        char layer[16];

        nst_pack_layer_name(tap, layer);
        if (!l || l->channels != nst_vgg_channels(v, tap->conv))
            return nst_err_set(
                err, NST_ERR_ARG,
                "style '%s': the pack, of %s, knows nothing of %s of this "
                "network with this pooling (nst-style info)",
                name, p->text[NST_PACK_MODEL], layer);
    }
    return NST_OK;
}

/* Where a size lies: between at[*below] and the next, a part of the way. */
static void place(const struct nst_pack_data *l, int longest, int *below, double *part)
{
    int i = 0;

    while (i + 1 < l->sizes && l->at[i + 1].size <= longest)
        i++;
    *below = i;
    *part = 0;
    if (i + 1 < l->sizes && longest > l->at[i].size)
        *part = log((double)longest / l->at[i].size) /
                log((double)l->at[i + 1].size / l->at[i].size);
}

/* What a layer has at a size. */
static void read_layer(const struct nst_pack_data *l, int longest,
                       struct nst_statistics *s)
{
    size_t c = (size_t)l->channels;
    const struct nst_pack_part *a, *b;
    double part;
    int below;

    place(l, longest, &below, &part);
    a = &l->at[below];
    b = part > 0 ? &l->at[below + 1] : a;
    s->pixels = s->area = 1;
    for (size_t k = 0; k < c * c; k++)
        s->products[k] = (1 - part) * a->products[k] + part * b->products[k];
    for (size_t k = 0; s->sums && k < c; k++)
        s->sums[k] = (1 - part) * a->means[k] + part * b->means[k];
}

void nst_pack_read(const struct nst_pack *p, const struct nst_vgg *v, int longest,
                   struct nst_statistics *const s[], int count)
{
    for (int i = 0; i < count; i++)
        read_layer(layer_of(p, v, &s[i]->tap), longest, s[i]);
}

enum nst_status nst_pack_add_pack(struct nst_pack *p, const struct nst_pack *other,
                                  double share, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < other->layers; i++) {
        const struct nst_pack_data *from = &other->layer[i];
        struct nst_pack_data *l = nst_pack_have_layer(p, &from->tap, from->fingerprint);
        struct nst_statistics s;
        int size[NST_PACK_SIZES], sizes;

        if (!l)
            return too_many_layers(err);
        if (!l->pooling)
            l->pooling = from->pooling;
        sizes = l->sizes ? l->sizes : from->sizes;
        for (int k = 0; k < sizes; k++)
            size[k] = l->sizes ? l->at[k].size : from->at[k].size;
        st = nst_statistics_init(&s, NULL, from->tap, from->channels, true, err);
        for (int k = 0; st == NST_OK && k < sizes; k++) {
            read_layer(from, size[k], &s);
            st = add_statistics(l, size[k], &s, share, err);
        }
        nst_statistics_clear(&s);
    }
    return st;
}

enum nst_status nst_pack_match(const struct nst_pack *a, const struct nst_pack *b,
                               struct nst_err *err)
{
    bool same = a->layers == b->layers;

    for (int i = 0; same && i < a->layers; i++) {
        const struct nst_pack_data *l =
            find_layer(b, &a->layer[i].tap, a->layer[i].fingerprint);

        same = l && l->channels == a->layer[i].channels;
    }
    if (same)
        return NST_OK;
    return nst_err_set(err, NST_ERR_ARG,
                       "the packs of %s (%s) and of %s (%s) have different layers or "
                       "networks",
                       a->text[NST_PACK_FROM], a->text[NST_PACK_MODEL],
                       b->text[NST_PACK_FROM], b->text[NST_PACK_MODEL]);
}
