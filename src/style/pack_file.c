/* SPDX-License-Identifier: MIT */
/* pack_file.c - reading and writing style packs; pack.h describes the format. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/safetensors.h"
#include "style/pack.h"
#include "style/pack_internal.h"

#define FORMAT "nst style 2"
#define FORMAT_1 "nst style 1"
#define PREVIEW "preview"
#define MAX_CHANNELS 4096

static const char *const poolings[] = {"max", "avg"};

/* Products (upper triangle), then means, as F16. The caller frees them. */
static uint16_t *to_halves(const struct nst_pack_statistics *stats, size_t c)
{
    uint16_t *all = nst_xcalloc(c * (c + 1) / 2 + c, sizeof *all), *to = all;

    for (size_t a = 0; a < c; a++)
        for (size_t b = a; b < c; b++)
            *to++ = nst_float_to_half(stats->products[a * c + b]);
    for (size_t a = 0; a < c; a++)
        *to++ = nst_float_to_half(stats->means[a]);
    return all;
}

static void tensor_key(const struct nst_pack_entry *l, int k, const char *what,
                       char key[64])
{
    char name[16];

    nst_pack_layer_name(&l->layer, name);
    snprintf(key, 64, "%d/%s/%016" PRIx64 "/%s", l->at[k].size, name, l->fingerprint,
             what);
}

static void pooling_key(const struct nst_pack_entry *l, char key[32])
{
    snprintf(key, 32, "pooling/%016" PRIx64, l->fingerprint);
}

static void write_texts(const struct nst_pack *p, struct nst_safetensors_writer *w)
{
    char key[32];

    nst_safetensors_write_metadata(w, "format", FORMAT);
    for (int i = 0; i < NST_PACK_TEXTS; i++)
        if (p->text[i])
            nst_safetensors_write_metadata(w, nst_pack_text_name((enum nst_pack_text)i),
                                           p->text[i]);
    for (int i = 0; i < p->entries; i++) {
        const struct nst_pack_entry *l = &p->entry[i];

        pooling_key(l, key);
        if (l->pooling && strcmp(l->pooling, "any") != 0)
            nst_safetensors_write_metadata(w, key, l->pooling);
    }
}

/* Add a layer's statistics at size index k to w, which borrows the result; the caller
 * frees it. */
static uint16_t *write_part(const struct nst_pack_entry *l, int k,
                            struct nst_safetensors_writer *w)
{
    size_t c = (size_t)l->channels, triangle = c * (c + 1) / 2;
    uint16_t *h = to_halves(&l->at[k], c);
    char key[64];

    tensor_key(l, k, "products", key);
    nst_safetensors_write_array(
        w, key, &(struct nst_array){NST_F16, 1, {triangle}, triangle, h});
    tensor_key(l, k, "means", key);
    nst_safetensors_write_array(w, key,
                                &(struct nst_array){NST_F16, 1, {c}, c, h + triangle});
    return h;
}

enum nst_status nst_pack_save(const struct nst_pack *p, const char *path,
                              struct nst_err *err)
{
    struct nst_safetensors_writer *w = nst_safetensors_writer_new();
    uint16_t *all[NST_PACK_LAYERS][NST_PACK_SIZES] = {{NULL}};
    size_t n = p->preview_size;
    enum nst_status st;

    write_texts(p, w);
    for (int i = 0; i < p->entries; i++)
        for (int k = 0; k < p->entry[i].sizes; k++)
            all[i][k] = write_part(&p->entry[i], k, w);
    if (p->preview) /* last, so that the F16 arrays stay aligned */
        nst_safetensors_write_array(w, PREVIEW,
                                    &(struct nst_array){NST_U8, 1, {n}, n, p->preview});
    st = nst_safetensors_write(w, path, err);
    nst_safetensors_writer_free(w);
    for (int i = 0; i < p->entries; i++)
        for (int k = 0; k < NST_PACK_SIZES; k++)
            free(all[i][k]);
    return st;
}

static enum nst_status format_error(const struct nst_safetensors *f, const char *what,
                                    struct nst_err *err)
{
    return nst_err_set(err, NST_ERR_FORMAT, "%s: is not a sound style pack: %s",
                       nst_safetensors_path(f), what);
}

struct load_ctx {
    struct nst_pack *pack;
    const char *fault; /* NULL: none yet */
};

/* Add the layer and the size of a key SIZE/LAYER/FINGERPRINT/means. */
static void add_key(void *ctx, const char *key)
{
    struct load_ctx *r = ctx;
    struct nst_pack_entry *l;
    uint64_t fingerprint;
    struct nst_layers one;
    char layer[16], end;
    int size;

    if (sscanf(key, "%d/%15[a-z0-9_]/%16" SCNx64 "/mean%c", &size, layer, &fingerprint,
               &end) != 4 ||
        size < 1 || nst_layers_parse(&one, layer, NULL) != NST_OK)
        return;
    l = nst_pack_ensure_layer(r->pack, &one.layer[0], fingerprint);
    if (!l)
        r->fault = "it holds too many layers";
    else if (!nst_pack_ensure_size(l, size))
        r->fault = "it holds too many sizes of a layer";
}

static enum nst_status read_texts(struct nst_pack *p, const struct nst_safetensors *f,
                                  bool *version_1, struct nst_err *err)
{
    const char *format = nst_safetensors_metadata(f, "format");

    *version_1 = format && strcmp(format, FORMAT_1) == 0;
    if (!format || (!*version_1 && strcmp(format, FORMAT) != 0))
        return format_error(
            f, "its metadata does not say \"" FORMAT "\" or \"" FORMAT_1 "\"", err);
    for (int i = 0; i < NST_PACK_TEXTS; i++) {
        enum nst_pack_text which = (enum nst_pack_text)i;

        nst_pack_set_text(p, which,
                          nst_safetensors_metadata(f, nst_pack_text_name(which)));
    }
    if (!p->text[NST_PACK_MODEL] || !p->text[NST_PACK_FROM])
        return format_error(f, "it does not say its model and what it is from", err);
    return NST_OK;
}

/* Find the layers and their sizes. */
static enum nst_status read_keys(struct nst_pack *p, const struct nst_safetensors *f,
                                 bool version_1, struct nst_err *err)
{
    struct load_ctx r = {p, NULL};

    nst_safetensors_foreach(f, add_key, &r);
    if (!p->entries)
        r.fault = "it holds no layer";
    for (int i = 1; version_1 && i < p->entries; i++) {
        const struct nst_pack_entry *a = &p->entry[0], *b = &p->entry[i];

        if (a->sizes != b->sizes)
            r.fault = "a layer lacks a size";
        for (int k = 0; k < a->sizes && k < b->sizes; k++)
            if (a->at[k].size != b->at[k].size)
                r.fault = "a layer lacks a size";
    }
    return r.fault ? format_error(f, r.fault, err) : NST_OK;
}

/* Read the floats of a key. *count is their number; 0: unknown, at most max_count. */
static enum nst_status read_floats(const struct nst_safetensors *f, const char *key,
                                   size_t *count, size_t max_count, float **out,
                                   struct nst_err *err)
{
    struct nst_array a;
    enum nst_status st = nst_safetensors_find(f, key, &a, err);

    if (st == NST_OK &&
        (a.rank != 1 || (*count && a.count != *count) || a.count > max_count))
        return nst_err_set(err, NST_ERR_FORMAT, "%s: %s: the shape is not that of %s",
                           nst_safetensors_path(f), key,
                           max_count == MAX_CHANNELS ? "channels"
                                                     : "a triangle of them");
    if (st == NST_OK)
        st = nst_safetensors_read_floats(f, key, &a, out, err);
    if (st == NST_OK)
        *count = (size_t)a.count;
    return st;
}

static enum nst_status read_part(struct nst_pack_entry *l, int k,
                                 const struct nst_safetensors *f, struct nst_err *err)
{
    struct nst_pack_statistics *stats = &l->at[k];
    size_t c = (size_t)l->channels, triangle;
    float *packed = NULL, *at;
    enum nst_status st;
    char key[64];

    tensor_key(l, k, "means", key);
    st = read_floats(f, key, &c, MAX_CHANNELS, &stats->means, err);
    if (st != NST_OK)
        return st;
    l->channels = (int)c;
    triangle = c * (c + 1) / 2;
    tensor_key(l, k, "products", key);
    st = read_floats(f, key, &triangle, triangle, &packed, err);
    if (st == NST_OK)
        st = nst_floats_new(&stats->products, c, c, 1, err);
    at = packed;
    for (size_t a = 0; st == NST_OK && a < c; a++)
        for (size_t b = a; b < c; b++)
            stats->products[a * c + b] = stats->products[b * c + a] = *at++;
    free(packed);
    return st;
}

/* Set the pooling below a layer if the file has it. */
static void read_pooling(struct nst_pack_entry *l, const struct nst_safetensors *f)
{
    const char *text;
    char key[32];

    pooling_key(l, key);
    text = nst_safetensors_metadata(f, key);
    l->pooling = nst_conv_in_first_block(l->layer.conv) ? "any" : NULL;
    for (size_t i = 0; text && i < sizeof poolings / sizeof *poolings; i++)
        if (!l->pooling && strcmp(text, poolings[i]) == 0)
            l->pooling = poolings[i];
}

static enum nst_status read_preview(struct nst_pack *p, const struct nst_safetensors *f,
                                    struct nst_err *err)
{
    struct nst_array a;
    enum nst_status st;

    if (!nst_safetensors_has(f, PREVIEW))
        return NST_OK;
    st = nst_safetensors_find(f, PREVIEW, &a, err);
    if (st != NST_OK)
        return st;
    if (a.type != NST_U8 || a.rank != 1)
        return format_error(f, "its preview is not a row of bytes", err);
    st = nst_pack_set_preview(p, a.bytes, (size_t)a.count, err);
    if (st != NST_OK) {
        st = NST_ERR_FORMAT;
        nst_err_prefix(err, nst_safetensors_path(f));
    }
    return st;
}

static enum nst_status read_pack(struct nst_pack *p, const struct nst_safetensors *f,
                                 struct nst_err *err)
{
    bool version_1; /* the format is FORMAT_1 */
    enum nst_status st = read_texts(p, f, &version_1, err);

    if (st == NST_OK)
        st = read_keys(p, f, version_1, err);
    for (int i = 0; st == NST_OK && i < p->entries; i++) {
        read_pooling(&p->entry[i], f);
        for (int k = 0; st == NST_OK && k < p->entry[i].sizes; k++)
            st = read_part(&p->entry[i], k, f, err);
    }
    return st == NST_OK ? read_preview(p, f, err) : st;
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
