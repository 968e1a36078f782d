/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "net/net_file.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/jpeg.h"
#include "model/safetensors.h"

#define FORMAT "nst net 1"
#define PREVIEW "preview"

const char *nst_net_text_name(enum nst_net_text which)
{
    static const char *const names[] = {"title",   "artist", "year",     "credit",
                                        "licence", "from",   "training", "made_by"};

    return names[which];
}

void nst_net_file_set_text(struct nst_net_file *f, enum nst_net_text which,
                           const char *text)
{
    char *copy = text ? nst_xstrdup(text) : NULL;

    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    free(f->text[which]);
    f->text[which] = copy;
}

enum nst_status nst_net_file_set_preview(struct nst_net_file *f, const void *bytes,
                                         size_t size, struct nst_err *err)
{
    if (size > NST_NET_PREVIEW_MAX)
        return nst_err_set(err, NST_ERR_ARG,
                           "the preview has %zu bytes, and may have %d: make it "
                           "smaller",
                           size, NST_NET_PREVIEW_MAX);
    if (!nst_looks_like_jpeg(bytes, size))
        return nst_err_set(err, NST_ERR_ARG, "the preview is not a JPEG");
    free(f->preview);
    f->preview = nst_xcalloc(size, 1);
    memcpy(f->preview, bytes, size);
    f->preview_size = size;
    return NST_OK;
}

void nst_net_file_clear(struct nst_net_file *f)
{
    nst_net_weights_clear(&f->weights);
    for (int i = 0; i < NST_NET_TEXTS; i++)
        free(f->text[i]);
    free(f->preview);
    *f = (struct nst_net_file){0};
}

static void array_shape(const struct nst_net_parameter *p, struct nst_array *a)
{
    a->rank = p->rank;
    a->count = p->count;
    for (int i = 0; i < p->rank; i++)
        a->shape[i] = (uint64_t)p->shape[i];
}

/* A copy of the parameters as F16, which the caller frees, or NULL. */
static enum nst_status to_halves(const struct nst_net_weights *w, uint16_t **out,
                                 struct nst_err *err)
{
    uint16_t *halves = nst_xcalloc(w->count, sizeof *halves);

    for (size_t i = 0; i < w->count; i++) {
        halves[i] = nst_float_to_half(w->values[i]);
        if ((halves[i] & 0x7c00) == 0x7c00) {
            free(halves);
            return nst_err_set(err, NST_ERR_ARG,
                               "a parameter is %g, and 16-bit floats end at 65504: "
                               "store the network as 32-bit floats",
                               (double)w->values[i]);
        }
    }
    *out = halves;
    return NST_OK;
}

static enum nst_status check_finite(const struct nst_net_weights *w,
                                    struct nst_err *err)
{
    for (size_t i = 0; i < w->count; i++)
        if (!isfinite(w->values[i]))
            return nst_err_set(err, NST_ERR_ARG,
                               "the network holds a value that is not finite");
    return NST_OK;
}

static void write_texts(const struct nst_net_file *f, struct nst_safetensors_writer *w)
{
    char number[16];

    nst_safetensors_write_metadata(w, "format", FORMAT);
    snprintf(number, sizeof number, "%d", f->weights.shape.width);
    nst_safetensors_write_metadata(w, "width", number);
    snprintf(number, sizeof number, "%d", f->weights.shape.blocks);
    nst_safetensors_write_metadata(w, "blocks", number);
    for (int i = 0; i < NST_NET_TEXTS; i++)
        if (f->text[i])
            nst_safetensors_write_metadata(w, nst_net_text_name((enum nst_net_text)i),
                                           f->text[i]);
}

enum nst_status nst_net_file_save(const struct nst_net_file *f, const char *path,
                                  bool half, struct nst_err *err)
{
    struct nst_safetensors_writer *w;
    struct nst_net_parameter p;
    uint16_t *halves = NULL;
    enum nst_status st = check_finite(&f->weights, err);

    if (st == NST_OK && half)
        st = to_halves(&f->weights, &halves, err);
    if (st != NST_OK) {
        nst_err_prefix(err, path);
        return st;
    }
    w = nst_safetensors_writer_new();
    write_texts(f, w);
    for (int i = 0; nst_net_parameter(f->weights.shape, i, &p); i++) {
        struct nst_array a = {.type = half ? NST_F16 : NST_F32};

        array_shape(&p, &a);
        a.bytes = half ? (const void *)(halves + p.at) : f->weights.values + p.at;
        nst_safetensors_write_array(w, p.name, &a);
    }
    if (f->preview) /* last, so that the others stay aligned */
        nst_safetensors_write_array(
            w, PREVIEW,
            &(struct nst_array){
                NST_U8, 1, {f->preview_size}, f->preview_size, f->preview});
    st = nst_safetensors_write(w, path, err);
    nst_safetensors_writer_free(w);
    free(halves);
    return st;
}

static enum nst_status format_error(const struct nst_safetensors *file,
                                    const char *what, struct nst_err *err)
{
    return nst_err_set(err, NST_ERR_FORMAT,
                       "%s: is not a valid network (" FORMAT "): %s",
                       nst_safetensors_path(file), what);
}

/* A number of the metadata, 1 to max; 0: it is missing or another. */
static int read_number(const struct nst_safetensors *file, const char *key, int max)
{
    const char *text = nst_safetensors_metadata(file, key);
    char *end;
    long n;

    if (!text || *text < '0' || *text > '9')
        return 0;
    n = strtol(text, &end, 10);
    return *end || n > max ? 0 : (int)n;
}

static enum nst_status read_texts(struct nst_net_file *f,
                                  const struct nst_safetensors *file,
                                  struct nst_net_shape *shape, struct nst_err *err)
{
    const char *format = nst_safetensors_metadata(file, "format");
    char what[128];

    if (!format || strncmp(format, "nst net ", 8) != 0)
        return format_error(file, "its metadata does not say \"" FORMAT "\"", err);
    if (strcmp(format, FORMAT) != 0) {
        snprintf(what, sizeof what,
                 "it is a \"%.40s\", which this nst does not know; use a newer nst",
                 format);
        return format_error(file, what, err);
    }
    shape->width = read_number(file, "width", NST_NET_MAX_WIDTH);
    shape->blocks = read_number(file, "blocks", NST_NET_MAX_BLOCKS);
    if (!shape->width || !shape->blocks) {
        snprintf(what, sizeof what,
                 "its metadata must state a width of 1 to %d and blocks of 1 to %d",
                 NST_NET_MAX_WIDTH, NST_NET_MAX_BLOCKS);
        return format_error(file, what, err);
    }
    for (int i = 0; i < NST_NET_TEXTS; i++) {
        enum nst_net_text which = (enum nst_net_text)i;

        nst_net_file_set_text(f, which,
                              nst_safetensors_metadata(file, nst_net_text_name(which)));
    }
    return NST_OK;
}

/* Find the array of a parameter and check its shape. */
static enum nst_status find_parameter(const struct nst_safetensors *file,
                                      const struct nst_net_parameter *p,
                                      struct nst_array *a, struct nst_err *err)
{
    struct nst_array wanted = {.rank = 0};
    enum nst_status st = nst_safetensors_find(file, p->name, a, err);

    if (st != NST_OK)
        return st;
    array_shape(p, &wanted);
    if (a->rank == wanted.rank &&
        memcmp(a->shape, wanted.shape, (size_t)a->rank * sizeof *a->shape) == 0)
        return NST_OK;
    return nst_err_set(err, NST_ERR_FORMAT,
                       "%s: %s: the shape is not that of a network of this width",
                       nst_safetensors_path(file), p->name);
}

struct search {
    struct nst_net_shape shape;
    const char *extra; /* the first array that is none of the network's, or NULL */
};

static void find_extra(void *ctx, const char *key)
{
    struct search *s = ctx;
    struct nst_net_parameter p;

    if (s->extra || strcmp(key, PREVIEW) == 0)
        return;
    for (int i = 0; nst_net_parameter(s->shape, i, &p); i++)
        if (strcmp(p.name, key) == 0)
            return;
    s->extra = key;
}

/* Refuse arrays that the architecture does not have: the file is of another network,
 * and the result would be another picture. */
static enum nst_status check_keys(const struct nst_safetensors *file,
                                  struct nst_net_shape shape, struct nst_err *err)
{
    struct search s = {.shape = shape};

    nst_safetensors_foreach(file, find_extra, &s);
    if (!s.extra)
        return NST_OK;
    return nst_err_set(err, NST_ERR_FORMAT,
                       "%s: %.60s: is no part of a network with %d block%s",
                       nst_safetensors_path(file), s.extra, shape.blocks,
                       shape.blocks == 1 ? "" : "s");
}

static enum nst_status read_preview(struct nst_net_file *f,
                                    const struct nst_safetensors *file,
                                    struct nst_err *err)
{
    struct nst_array a;
    enum nst_status st;

    if (!nst_safetensors_has(file, PREVIEW))
        return NST_OK;
    st = nst_safetensors_find(file, PREVIEW, &a, err);
    if (st != NST_OK)
        return st;
    if (a.type != NST_U8 || a.rank != 1)
        return format_error(file, "its preview is not a row of bytes", err);
    st = nst_net_file_set_preview(f, a.bytes, (size_t)a.count, err);
    if (st != NST_OK) {
        st = NST_ERR_FORMAT;
        nst_err_prefix(err, nst_safetensors_path(file));
    }
    return st;
}

static enum nst_status read_parameters(struct nst_net_file *f,
                                       const struct nst_safetensors *file,
                                       struct nst_net_shape shape, bool values,
                                       struct nst_err *err)
{
    struct nst_net_parameter p;
    enum nst_status st = NST_OK;

    if (values)
        st = nst_net_weights_new(&f->weights, shape, err);
    f->weights.shape = shape;
    for (int i = 0; st == NST_OK && nst_net_parameter(shape, i, &p); i++) {
        struct nst_array a;
        float *read = NULL;

        st = find_parameter(file, &p, &a, err);
        if (st == NST_OK && values)
            st = nst_safetensors_read_floats(file, p.name, &a, &read, err);
        if (st == NST_OK && values)
            memcpy(f->weights.values + p.at, read, p.count * sizeof *read);
        free(read);
    }
    return st;
}

static enum nst_status load(struct nst_net_file *f, const char *path, bool values,
                            struct nst_err *err)
{
    struct nst_net_shape shape = {0};
    struct nst_safetensors *file;
    enum nst_status st;

    *f = (struct nst_net_file){0};
    st = nst_safetensors_open(&file, path, err);
    if (st != NST_OK)
        return st;
    st = read_texts(f, file, &shape, err);
    if (st == NST_OK)
        st = check_keys(file, shape, err);
    if (st == NST_OK)
        st = read_parameters(f, file, shape, values, err);
    if (st == NST_OK)
        st = read_preview(f, file, err);
    nst_safetensors_close(file);
    return st;
}

enum nst_status nst_net_file_load(struct nst_net_file *f, const char *path,
                                  struct nst_err *err)
{
    return load(f, path, true, err);
}

enum nst_status nst_net_file_load_texts(struct nst_net_file *f, const char *path,
                                        struct nst_err *err)
{
    return load(f, path, false, err);
}
