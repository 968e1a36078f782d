/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "record/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "record/describe.h"
#include "record/preset.h"

#define FORMAT "nst checkpoint 1"
/* Arrays of fewer bytes may be gone when the file is written, and are copied. */
#define SMALL 4096

struct copy {
    struct copy *next;
    double bytes[]; /* aligned for any number */
};

struct writing {
    struct nst_safetensors_writer *w;
    struct copy *copies;
};

static bool write_part(void *ctx, const char *name, enum nst_number type, void *data,
                       size_t count)
{
    struct writing *writing = ctx;
    size_t size = count * nst_number_size(type);
    struct nst_array a = {type, 1, {count}, count, data};

    if (size < SMALL) {
        struct copy *c = nst_xcalloc(1, sizeof *c + size);

        memcpy(c->bytes, data, size);
        c->next = writing->copies;
        writing->copies = c;
        a.bytes = c->bytes;
    }
    nst_safetensors_write_array(writing->w, name, &a);
    return true;
}

enum nst_status nst_checkpoint_write(const char *path, const struct nst_params *p,
                                     bool (*state)(void *owner, nst_state_visit *visit,
                                                   void *ctx),
                                     void *owner, struct nst_err *err)
{
    struct writing writing = {nst_safetensors_writer_new(), NULL};
    char *options = nst_describe_recipe(p);
    enum nst_status st;

    nst_safetensors_write_text(writing.w, "format", FORMAT);
    nst_safetensors_write_text(writing.w, "version", PACKAGE_VERSION);
    nst_safetensors_write_text(writing.w, "options", options);
    state(owner, write_part, &writing);
    st = nst_safetensors_write(writing.w, path, err);
    nst_safetensors_writer_free(writing.w);
    while (writing.copies) {
        struct copy *next = writing.copies->next;

        free(writing.copies);
        writing.copies = next;
    }
    free(options);
    return st;
}

struct nst_checkpoint {
    struct nst_safetensors *f;
};

enum nst_status nst_checkpoint_open(struct nst_checkpoint **out, const char *path,
                                    struct nst_err *err)
{
    struct nst_safetensors *f;
    enum nst_status st = nst_safetensors_open(&f, path, err);
    const char *format;

    *out = NULL;
    if (st != NST_OK)
        return st;
    format = nst_safetensors_text(f, "format");
    if (!format || strcmp(format, FORMAT) != 0 || !nst_safetensors_text(f, "options")) {
        nst_safetensors_close(f);
        return nst_err_set(
            err, NST_ERR_FORMAT,
            "%s: is not a checkpoint: its metadata does not say \"" FORMAT "\"", path);
    }
    *out = nst_xcalloc(1, sizeof **out);
    (*out)->f = f;
    return NST_OK;
}

void nst_checkpoint_close(struct nst_checkpoint *c)
{
    if (!c)
        return;
    nst_safetensors_close(c->f);
    free(c);
}

enum nst_status nst_checkpoint_apply(const struct nst_checkpoint *c,
                                     struct nst_params *p, struct nst_err *err)
{
    return nst_preset_apply_text(p, nst_safetensors_path(c->f),
                                 nst_safetensors_text(c->f, "options"), err);
}

/* How long a run goes on may change on the way. */
static bool is_length(const struct nst_option *o)
{
    return strcmp(o->name, "iterations") == 0 ||
           strcmp(o->name, "scale-iterations") == 0 ||
           strcmp(o->name, "max-evaluations") == 0;
}

enum nst_status nst_checkpoint_check(const struct nst_checkpoint *c,
                                     const struct nst_params *p, struct nst_err *err)
{
    const struct nst_option *o;
    struct nst_params was;
    enum nst_status st;

    nst_params_init(&was);
    st = nst_checkpoint_apply(c, &was, err);
    for (size_t i = 0; st == NST_OK && (o = nst_option(i)); i++) {
        char *a = nst_params_get(&was, o), *b = nst_params_get(p, o);

        if (o->recipe && !is_length(o) && (a || b) && (!a || !b || strcmp(a, b) != 0))
            st = nst_err_set(
                err, NST_ERR_ARG, "resume: %s is %s in %s, and cannot become %s",
                o->name, a ? a : "unset", nst_safetensors_path(c->f), b ? b : "unset");
        free(a);
        free(b);
    }
    nst_params_clear(&was);
    return st;
}

bool nst_checkpoint_read(void *ctx, const char *name, enum nst_number type, void *data,
                         size_t count)
{
    const struct nst_checkpoint *c = ctx;
    struct nst_array a;

    if (nst_safetensors_find(c->f, name, &a, NULL) != NST_OK || a.type != type ||
        a.count != count)
        return false;
    memcpy(data, a.bytes, count * nst_number_size(type));
    return true;
}
