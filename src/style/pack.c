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
#include "style/walk.h"

#define FORMAT "nst style 1"
#define MOST_LAYERS (2 * NST_VGG_CONVS)
#define MOST_CHANNELS 4096
/* A picture is measured in tiles of this size: small enough for any machine. */
#define TILE 512

/* One layer at one size. */
struct part {
    float *products; /* C x C, over pixels */
    float *means;    /* C */
};

struct nst_pack {
    char *model, *from;
    enum nst_pooling pooling;
    struct nst_taps layers;
    int channels[MOST_LAYERS];
    uint64_t fingerprint[MOST_LAYERS];
    int sizes, size[NST_PACK_SIZES];
    struct part part[NST_PACK_SIZES][MOST_LAYERS];
};

static enum nst_status new_parts(struct nst_pack *p, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    for (int k = 0; k < p->sizes; k++)
        for (int i = 0; st == NST_OK && i < p->layers.count; i++) {
            size_t c = (size_t)p->channels[i];

            st = nst_floats_new(&p->part[k][i].products, c, c, 1, err);
            if (st == NST_OK)
                st = nst_floats_new(&p->part[k][i].means, c, 1, 1, err);
        }
    return st;
}

/* p, if st says so, or nothing. */
static enum nst_status hand_over(struct nst_pack **out, struct nst_pack *p,
                                 enum nst_status st)
{
    *out = st == NST_OK ? p : NULL;
    if (st != NST_OK)
        nst_pack_free(p);
    return st;
}

enum nst_status nst_pack_new(struct nst_pack **out, const struct nst_vgg *v,
                             const char *model, enum nst_pooling pooling,
                             const struct nst_taps *layers, const int size[], int sizes,
                             const char *from, struct nst_err *err)
{
    struct nst_pack *p = nst_xcalloc(1, sizeof *p);

    p->model = nst_xstrdup(model);
    p->from = nst_xstrdup(from);
    p->pooling = pooling;
    p->layers = *layers;
    p->sizes = sizes;
    for (int i = 0; i < sizes; i++)
        p->size[i] = size[i];
    for (int i = 0; i < layers->count; i++) {
        p->layers.tap[i].weight = 1;
        p->channels[i] = nst_vgg_channels(v, layers->tap[i].conv);
        p->fingerprint[i] = nst_vgg_fingerprint(v, layers->tap[i].conv);
    }
    return hand_over(out, p, new_parts(p, err));
}

enum nst_status nst_pack_like(struct nst_pack **out, const struct nst_pack *other,
                              const char *from, struct nst_err *err)
{
    struct nst_pack *p = nst_xcalloc(1, sizeof *p);

    *p = *other;
    memset(p->part, 0, sizeof p->part);
    p->model = nst_xstrdup(other->model);
    p->from = nst_xstrdup(from);
    return hand_over(out, p, new_parts(p, err));
}

void nst_pack_free(struct nst_pack *p)
{
    if (!p)
        return;
    for (int k = 0; k < NST_PACK_SIZES; k++)
        for (int i = 0; i < MOST_LAYERS; i++) {
            free(p->part[k][i].products);
            free(p->part[k][i].means);
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

enum nst_pooling nst_pack_pooling(const struct nst_pack *p)
{
    return p->pooling;
}

const struct nst_taps *nst_pack_layers(const struct nst_pack *p)
{
    return &p->layers;
}

int nst_pack_size(const struct nst_pack *p, int i)
{
    return i < p->sizes ? p->size[i] : 0;
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

enum nst_status nst_pack_add(struct nst_pack *p, struct nst_vgg *v, int size,
                             const float *rgb, int h, int w, double share,
                             struct nst_err *err)
{
    struct nst_statistics s[MOST_LAYERS] = {{{0}}}, *all[MOST_LAYERS];
    bool keep[NST_VGG_CONVS] = {false};
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < p->layers.count; i++) {
        const struct nst_tap *tap = &p->layers.tap[i];

        all[i] = &s[i];
        keep[tap->conv] |= !tap->after_relu;
        st = nst_statistics_init(&s[i], *tap, p->channels[i], true, err);
    }
    if (st == NST_OK)
        st = nst_statistics_measure(all, p->layers.count, v,
                                    nst_walk_tiling(v, h, w, TILE), rgb, keep, err);
    for (int i = 0; i < p->layers.count; i++) {
        if (st == NST_OK)
            add_statistics(&p->part[size][i], &s[i], share);
        nst_statistics_clear(&s[i]);
    }
    return st;
}

/* The index of a layer, or -1. */
static int find_layer(const struct nst_pack *p, const struct nst_tap *tap)
{
    for (int i = 0; i < p->layers.count; i++)
        if (p->layers.tap[i].conv == tap->conv &&
            p->layers.tap[i].after_relu == tap->after_relu)
            return i;
    return -1;
}

static void name_layer(const struct nst_tap *tap, char name[16])
{
    struct nst_taps one = {1, {*tap}};

    one.tap[0].weight = 1;
    nst_taps_format(&one, name, 16);
}

static enum nst_status lacks(const char *name, const struct nst_tap *tap,
                             struct nst_err *err)
{
    char layer[16];

    name_layer(tap, layer);
    return nst_err_set(err, NST_ERR_ARG, "%s: has no statistics of %s", name, layer);
}

enum nst_status nst_pack_check(const struct nst_pack *p, const char *name,
                               const struct nst_vgg *v, const struct nst_taps *layers,
                               struct nst_err *err)
{
    for (int i = 0; i < layers->count; i++) {
        const struct nst_tap *tap = &layers->tap[i];
        int k = find_layer(p, tap);

        if (k < 0)
            return lacks(name, tap, err);
        if (p->fingerprint[k] != nst_vgg_fingerprint(v, tap->conv) ||
            p->channels[k] != nst_vgg_channels(v, tap->conv))
            return nst_err_set(
                err, NST_ERR_ARG, "%s: was made with another network (%s, %s pooling)",
                name, p->model, p->pooling == NST_POOLING_MAX ? "max" : "avg");
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

/* What layer i has at a size. */
static void read_layer(const struct nst_pack *p, int i, int longest, double *products,
                       double *means)
{
    size_t c = (size_t)p->channels[i];
    const struct part *a, *b;
    double part;
    int below;

    place(p, longest, &below, &part);
    a = &p->part[below][i];
    b = part > 0 ? &p->part[below + 1][i] : a;
    for (size_t k = 0; k < c * c; k++)
        products[k] = (1 - part) * a->products[k] + part * b->products[k];
    for (size_t k = 0; means && k < c; k++)
        means[k] = (1 - part) * a->means[k] + part * b->means[k];
}

void nst_pack_read(const struct nst_pack *p, int longest,
                   struct nst_statistics *const s[], int count)
{
    for (int i = 0; i < count; i++) {
        s[i]->pixels = s[i]->area = 1;
        read_layer(p, find_layer(p, &s[i]->tap), longest, s[i]->products, s[i]->sums);
    }
}

enum nst_status nst_pack_add_pack(struct nst_pack *p, const struct nst_pack *other,
                                  double share, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    for (int i = 0; st == NST_OK && i < p->layers.count; i++) {
        const struct nst_tap *tap = &p->layers.tap[i];
        int k = find_layer(other, tap);
        struct nst_statistics s;

        if (k < 0)
            return lacks(other->from, tap, err);
        if (p->fingerprint[i] != other->fingerprint[k] ||
            p->channels[i] != other->channels[k])
            return nst_err_set(err, NST_ERR_ARG,
                               "%s: was made with another network than %s", other->from,
                               p->from);
        st = nst_statistics_init(&s, *tap, p->channels[i], true, err);
        for (int size = 0; st == NST_OK && size < p->sizes; size++) {
            s.pixels = 1;
            read_layer(other, k, p->size[size], s.products, s.sums);
            add_statistics(&p->part[size][i], &s, share);
        }
        nst_statistics_clear(&s);
    }
    return st;
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

static void key_of(const struct nst_pack *p, int size, int layer, const char *what,
                   char key[64])
{
    char name[16];

    name_layer(&p->layers.tap[layer], name);
    snprintf(key, 64, "%d/%s/%s", p->size[size], name, what);
}

static void write_texts(const struct nst_pack *p, struct nst_safetensors_writer *w)
{
    nst_safetensors_write_text(w, "format", FORMAT);
    nst_safetensors_write_text(w, "model", p->model);
    nst_safetensors_write_text(w, "from", p->from);
    nst_safetensors_write_text(w, "pooling",
                               p->pooling == NST_POOLING_MAX ? "max" : "avg");
    for (int i = 0; i < p->layers.count; i++) {
        char name[16], value[32];

        name_layer(&p->layers.tap[i], name);
        snprintf(value, sizeof value, "%016" PRIx64, p->fingerprint[i]);
        nst_safetensors_write_text(w, name, value);
    }
}

enum nst_status nst_pack_save(const struct nst_pack *p, const char *path,
                              struct nst_err *err)
{
    struct nst_safetensors_writer *w = nst_safetensors_writer_new();
    uint16_t *all[NST_PACK_SIZES][MOST_LAYERS] = {{NULL}};
    enum nst_status st;

    write_texts(p, w);
    for (int k = 0; k < p->sizes; k++)
        for (int i = 0; i < p->layers.count; i++) {
            size_t c = (size_t)p->channels[i], triangle = c * (c + 1) / 2;
            uint16_t *h = all[k][i] = halves(&p->part[k][i], c);
            char key[64];

            key_of(p, k, i, "products", key);
            nst_safetensors_write_array(
                w, key, &(struct nst_array){NST_F16, 1, {triangle}, triangle, h});
            key_of(p, k, i, "means", key);
            nst_safetensors_write_array(
                w, key, &(struct nst_array){NST_F16, 1, {c}, c, h + triangle});
        }
    st = nst_safetensors_write(w, path, err);
    nst_safetensors_writer_free(w);
    for (int k = 0; k < p->sizes; k++)
        for (int i = 0; i < p->layers.count; i++)
            free(all[k][i]);
    return st;
}

static enum nst_status bad(const struct nst_safetensors *f, const char *what,
                           struct nst_err *err)
{
    return nst_err_set(err, NST_ERR_FORMAT, "%s: is not a sound style pack: %s",
                       nst_safetensors_path(f), what);
}

/* Note the size and the layer that a key SIZE/LAYER/... speaks of. */
static void note_key(void *ctx, const char *key)
{
    struct nst_pack *p = ctx;
    struct nst_taps one;
    char layer[16], end;
    int size, k = 0;

    if (sscanf(key, "%d/%15[a-z0-9_]/mean%c", &size, layer, &end) != 3 || size < 1 ||
        nst_taps_parse(&one, layer, NULL) != NST_OK)
        return;
    if (find_layer(p, &one.tap[0]) < 0 && p->layers.count < MOST_LAYERS)
        p->layers.tap[p->layers.count++] = one.tap[0];
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
    const char *pooling = nst_safetensors_text(f, "pooling");

    if (!format || strcmp(format, FORMAT) != 0)
        return bad(f, "its metadata does not say \"" FORMAT "\"", err);
    if (!model || !from || !pooling ||
        (strcmp(pooling, "max") != 0 && strcmp(pooling, "avg") != 0))
        return bad(f, "it does not say its model, pooling and what it is from", err);
    p->model = nst_xstrdup(model);
    p->from = nst_xstrdup(from);
    p->pooling = strcmp(pooling, "max") == 0 ? NST_POOLING_MAX : NST_POOLING_AVG;
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

static enum nst_status read_part(struct nst_pack *p, const struct nst_safetensors *f,
                                 int k, int i, struct nst_err *err)
{
    struct part *part = &p->part[k][i];
    size_t c = (size_t)p->channels[i], triangle;
    float *packed = NULL, *at;
    enum nst_status st;
    char key[64];

    key_of(p, k, i, "means", key);
    st = read_floats(f, key, &c, MOST_CHANNELS, &part->means, err);
    if (st != NST_OK)
        return st;
    p->channels[i] = (int)c;
    triangle = c * (c + 1) / 2;
    key_of(p, k, i, "products", key);
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
    for (int i = 0; i < p->layers.count; i++) {
        const char *text;
        char name[16];

        name_layer(&p->layers.tap[i], name);
        text = nst_safetensors_text(f, name);
        if (!text || sscanf(text, "%" SCNx64, &p->fingerprint[i]) != 1)
            return bad(f, "a layer has no fingerprint", err);
        for (int k = 0; st == NST_OK && k < p->sizes; k++)
            st = read_part(p, f, k, i, err);
        if (st != NST_OK)
            return st;
    }
    return NST_OK;
}

enum nst_status nst_pack_load(struct nst_pack **out, const char *path,
                              struct nst_err *err)
{
    struct nst_pack *p = nst_xcalloc(1, sizeof *p);
    struct nst_safetensors *f;
    enum nst_status st = nst_safetensors_open(&f, path, err);

    if (st == NST_OK)
        st = read_pack(p, f, err);
    nst_safetensors_close(f);
    return hand_over(out, p, st);
}
