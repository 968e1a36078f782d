/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "style/pack.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/safetensors.h"
#include "style/statistics.h"
#include "style/walk.h"

#define FORMAT "nst style 1"
#define MOST_LAYERS 64
#define MOST_CHANNELS 4096
/* A picture is measured in tiles of this size: small enough for any machine. */
#define TILE 512

/* One layer of one network. */
struct layer {
    struct nst_tap tap;
    int channels;
    uint64_t fingerprint;
    struct part {
        float *products; /* C x C, over pixels */
        float *means;    /* C */
    } at[NST_PACK_SIZES];
};

struct nst_pack {
    char *model, *from;
    int layers;
    struct layer layer[MOST_LAYERS];
    int sizes, size[NST_PACK_SIZES];
};

struct nst_pack *nst_pack_new(const char *model, const int size[], int sizes,
                              const char *from)
{
    struct nst_pack *p = nst_xcalloc(1, sizeof *p);

    p->model = nst_xstrdup(model);
    p->from = nst_xstrdup(from);
    p->sizes = sizes;
    for (int i = 0; i < sizes; i++)
        p->size[i] = size[i];
    return p;
}

void nst_pack_free(struct nst_pack *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->layers; i++)
        for (int k = 0; k < NST_PACK_SIZES; k++) {
            free(p->layer[i].at[k].products);
            free(p->layer[i].at[k].means);
        }
    free(p->model);
    free(p->from);
    free(p);
}

const char *nst_pack_model(const struct nst_pack *p)
{
    return p->model;
}

const char *nst_pack_from(const struct nst_pack *p)
{
    return p->from;
}

int nst_pack_size(const struct nst_pack *p, int i)
{
    return i < p->sizes ? p->size[i] : 0;
}

bool nst_pack_layer(const struct nst_pack *p, int i, struct nst_tap *tap, int *channels,
                    uint64_t *fingerprint)
{
    if (i >= p->layers)
        return false;
    *tap = p->layer[i].tap;
    *channels = p->layer[i].channels;
    *fingerprint = p->layer[i].fingerprint;
    return true;
}

static const struct layer *find_layer(const struct nst_pack *p, const struct nst_tap *t,
                                      uint64_t fingerprint)
{
    for (int i = 0; i < p->layers; i++) {
        const struct layer *l = &p->layer[i];

        if (l->tap.conv == t->conv && l->tap.after_relu == t->after_relu &&
            l->fingerprint == fingerprint)
            return l;
    }
    return NULL;
}

static const struct layer *layer_of(const struct nst_pack *p, const struct nst_vgg *v,
                                    const struct nst_tap *t)
{
    return find_layer(p, t, nst_vgg_fingerprint(v, t->conv));
}

static void name_layer(const struct nst_tap *tap, char name[16])
{
    struct nst_taps one = {1, {*tap}};

    one.tap[0].weight = 1;
    nst_taps_format(&one, name, 16);
}

/* Room for that layer, or the one it has. */
static enum nst_status have_layer(struct nst_pack *p, const struct nst_tap *tap,
                                  uint64_t fingerprint, int channels,
                                  struct layer **out, struct nst_err *err)
{
    size_t c = (size_t)channels;
    enum nst_status st = NST_OK;
    struct layer *l;

    *out = (struct layer *)find_layer(p, tap, fingerprint);
    if (*out)
        return NST_OK;
    if (p->layers == MOST_LAYERS)
        return nst_err_set(err, NST_ERR_ARG, "a style pack holds %d layers at most",
                           MOST_LAYERS);
    l = *out = &p->layer[p->layers++];
    l->tap = *tap;
    l->tap.weight = 1;
    l->fingerprint = fingerprint;
    l->channels = channels;
    for (int k = 0; st == NST_OK && k < p->sizes; k++) {
        st = nst_floats_new(&l->at[k].products, c, c, 1, err);
        if (st == NST_OK)
            st = nst_floats_new(&l->at[k].means, c, 1, 1, err);
    }
    return st;
}

static void add_statistics(struct part *part, const struct nst_statistics *s,
                           double share)
{
    size_t c = (size_t)s->channels;

    for (size_t i = 0; i < c * c; i++)
        part->products[i] += (float)(share * s->products[i] / s->pixels);
    for (size_t i = 0; i < c; i++)
        part->means[i] += (float)(share * s->sums[i] / s->pixels);
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
        const struct nst_tap *tap = &layers->tap[i];
        struct layer *l;

        if (st == NST_OK)
            st = have_layer(p, tap, nst_vgg_fingerprint(v, tap->conv), s[i].channels,
                            &l, err);
        if (st == NST_OK)
            add_statistics(&l->at[size], &s[i], share);
        nst_statistics_clear(&s[i]);
    }
    return st;
}

enum nst_status nst_pack_check(const struct nst_pack *p, const char *name,
                               const struct nst_vgg *v, const struct nst_taps *layers,
                               struct nst_err *err)
{
    for (int i = 0; i < layers->count; i++) {
        const struct nst_tap *tap = &layers->tap[i];
        const struct layer *l = layer_of(p, v, tap);
        char layer[16];

        name_layer(tap, layer);
        if (!l || l->channels != nst_vgg_channels(v, tap->conv))
            return nst_err_set(
                err, NST_ERR_ARG,
                "style '%s': the pack, of %s, knows nothing of %s of this "
                "network with this pooling (nst-style info)",
                name, p->model, layer);
    }
    return NST_OK;
}

/* Where a size lies: between size[*below] and the next, a part of the way. */
static void place(const struct nst_pack *p, int longest, int *below, double *part)
{
    int i = 0;

    while (i + 1 < p->sizes && p->size[i + 1] <= longest)
        i++;
    *below = i;
    *part = 0;
    if (i + 1 < p->sizes && longest > p->size[i])
        *part = log((double)longest / p->size[i]) /
                log((double)p->size[i + 1] / p->size[i]);
}

/* What a layer has at a size. */
static void read_layer(const struct nst_pack *p, const struct layer *l, int longest,
                       struct nst_statistics *s)
{
    size_t c = (size_t)l->channels;
    const struct part *a, *b;
    double part;
    int below;

    place(p, longest, &below, &part);
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
        read_layer(p, layer_of(p, v, &s[i]->tap), longest, s[i]);
}

enum nst_status nst_pack_add_pack(struct nst_pack *p, const struct nst_pack *other,
                                  double share, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < other->layers; i++) {
        const struct layer *from = &other->layer[i];
        struct nst_statistics s;
        struct layer *l = NULL;

        st = nst_statistics_init(&s, NULL, from->tap, from->channels, true, err);
        if (st == NST_OK)
            st = have_layer(p, &from->tap, from->fingerprint, from->channels, &l, err);
        for (int k = 0; st == NST_OK && k < p->sizes; k++) {
            read_layer(other, from, p->size[k], &s);
            add_statistics(&l->at[k], &s, share);
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
        const struct layer *l =
            find_layer(b, &a->layer[i].tap, a->layer[i].fingerprint);

        same = l && l->channels == a->layer[i].channels;
    }
    if (same)
        return NST_OK;
    return nst_err_set(err, NST_ERR_ARG,
                       "the packs of %s (%s) and of %s (%s) have different layers or "
                       "networks",
                       a->from, a->model, b->from, b->model);
}

/* Halves of everything, kept until the file is written. */
static uint16_t *halves(const struct part *part, size_t c)
{
    uint16_t *all = nst_xcalloc(c * (c + 1) / 2 + c, sizeof *all), *to = all;

    for (size_t a = 0; a < c; a++)
        for (size_t b = a; b < c; b++)
            *to++ = nst_half(part->products[a * c + b]);
    for (size_t a = 0; a < c; a++)
        *to++ = nst_half(part->means[a]);
    return all;
}

static void key_of(const struct nst_pack *p, int k, const struct layer *l,
                   const char *what, char key[64])
{
    char name[16];

    name_layer(&l->tap, name);
    snprintf(key, 64, "%d/%s/%016" PRIx64 "/%s", p->size[k], name, l->fingerprint,
             what);
}

enum nst_status nst_pack_save(const struct nst_pack *p, const char *path,
                              struct nst_err *err)
{
    struct nst_safetensors_writer *w = nst_safetensors_writer_new();
    uint16_t *all[MOST_LAYERS][NST_PACK_SIZES] = {{NULL}};
    enum nst_status st;

    nst_safetensors_write_text(w, "format", FORMAT);
    nst_safetensors_write_text(w, "model", p->model);
    nst_safetensors_write_text(w, "from", p->from);
    for (int k = 0; k < p->sizes; k++)
        for (int i = 0; i < p->layers; i++) {
            const struct layer *l = &p->layer[i];
            size_t c = (size_t)l->channels, triangle = c * (c + 1) / 2;
            uint16_t *h = all[i][k] = halves(&l->at[k], c);
            char key[64];

            key_of(p, k, l, "products", key);
            nst_safetensors_write_array(
                w, key, &(struct nst_array){NST_F16, 1, {triangle}, triangle, h});
            key_of(p, k, l, "means", key);
            nst_safetensors_write_array(
                w, key, &(struct nst_array){NST_F16, 1, {c}, c, h + triangle});
        }
    st = nst_safetensors_write(w, path, err);
    nst_safetensors_writer_free(w);
    for (int k = 0; k < p->sizes; k++)
        for (int i = 0; i < p->layers; i++)
            free(all[i][k]);
    return st;
}

static enum nst_status bad(const struct nst_safetensors *f, const char *what,
                           struct nst_err *err)
{
    return nst_err_set(err, NST_ERR_FORMAT, "%s: is not a sound style pack: %s",
                       nst_safetensors_path(f), what);
}

/* Note the size and the layer that a key SIZE/LAYER/FINGERPRINT/means speaks of. */
static void note_key(void *ctx, const char *key)
{
    struct nst_pack *p = ctx;
    uint64_t fingerprint;
    struct nst_taps one;
    char layer[16], end;
    int size, k = 0;

    if (sscanf(key, "%d/%15[a-z0-9_]/%16" SCNx64 "/mean%c", &size, layer, &fingerprint,
               &end) != 4 ||
        size < 1 || nst_taps_parse(&one, layer, NULL) != NST_OK)
        return;
    if (!find_layer(p, &one.tap[0], fingerprint) && p->layers < MOST_LAYERS)
        p->layer[p->layers++] =
            (struct layer){.tap = one.tap[0], .fingerprint = fingerprint};
    while (k < p->sizes && p->size[k] < size)
        k++;
    if (p->sizes == NST_PACK_SIZES || (k < p->sizes && p->size[k] == size))
        return;
    memmove(p->size + k + 1, p->size + k, (size_t)(p->sizes - k) * sizeof *p->size);
    p->size[k] = size;
    p->sizes++;
}

static enum nst_status read_texts(struct nst_pack *p, const struct nst_safetensors *f,
                                  struct nst_err *err)
{
    const char *format = nst_safetensors_text(f, "format");
    const char *model = nst_safetensors_text(f, "model");
    const char *from = nst_safetensors_text(f, "from");

    if (!format || strcmp(format, FORMAT) != 0)
        return bad(f, "its metadata does not say \"" FORMAT "\"", err);
    if (!model || !from)
        return bad(f, "it does not say its model and what it is from", err);
    p->model = nst_xstrdup(model);
    p->from = nst_xstrdup(from);
    return NST_OK;
}

/* The floats of a key whose number is as given, or found out and no more than most. */
static enum nst_status read_floats(const struct nst_safetensors *f, const char *key,
                                   size_t *count, size_t most, float **out,
                                   struct nst_err *err)
{
    struct nst_array a;
    enum nst_status st = nst_safetensors_find(f, key, &a, err);

    if (st == NST_OK &&
        (a.rank != 1 || (*count && a.count != *count) || a.count > most))
        return nst_err_set(err, NST_ERR_FORMAT, "%s: %s: the shape is not that of %s",
                           nst_safetensors_path(f), key,
                           most == MOST_CHANNELS ? "channels" : "a triangle of them");
    if (st == NST_OK)
        st = nst_safetensors_floats(f, key, &a, out, err);
    if (st == NST_OK)
        *count = (size_t)a.count;
    return st;
}

static enum nst_status read_part(const struct nst_pack *p, struct layer *l, int k,
                                 const struct nst_safetensors *f, struct nst_err *err)
{
    struct part *part = &l->at[k];
    size_t c = (size_t)l->channels, triangle;
    float *packed = NULL, *at;
    enum nst_status st;
    char key[64];

    key_of(p, k, l, "means", key);
    st = read_floats(f, key, &c, MOST_CHANNELS, &part->means, err);
    if (st != NST_OK)
        return st;
    l->channels = (int)c;
    triangle = c * (c + 1) / 2;
    key_of(p, k, l, "products", key);
    st = read_floats(f, key, &triangle, triangle, &packed, err);
    if (st == NST_OK)
        st = nst_floats_new(&part->products, c, c, 1, err);
    at = packed;
    for (size_t a = 0; st == NST_OK && a < c; a++)
        for (size_t b = a; b < c; b++)
            part->products[a * c + b] = part->products[b * c + a] = *at++;
    free(packed);
    return st;
}

static enum nst_status read_pack(struct nst_pack *p, const struct nst_safetensors *f,
                                 struct nst_err *err)
{
    enum nst_status st = read_texts(p, f, err);

    if (st != NST_OK)
        return st;
    nst_safetensors_each(f, note_key, p);
    if (!p->sizes)
        return bad(f, "it holds no layer", err);
    for (int i = 0; i < p->layers; i++)
        for (int k = 0; st == NST_OK && k < p->sizes; k++)
            st = read_part(p, &p->layer[i], k, f, err);
    return st;
}

enum nst_status nst_pack_load(struct nst_pack **out, const char *path,
                              struct nst_err *err)
{
    struct nst_pack *p = nst_xcalloc(1, sizeof *p);
    struct nst_safetensors *f;
    enum nst_status st = nst_safetensors_open(&f, path, err);

    if (st == NST_OK) {
        st = read_pack(p, f, err);
        nst_safetensors_close(f);
    }
    *out = st == NST_OK ? p : NULL;
    if (st != NST_OK)
        nst_pack_free(p);
    return st;
}
