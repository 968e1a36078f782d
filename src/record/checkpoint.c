/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "record/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/place.h"
#include "record/describe.h"
#include "record/preset.h"

#define FORMAT "nst checkpoint 1"

/* A checkpoint is written in two visits: what the parts are, for the header, and what
 * they hold, which need be there for no longer than it is shown. */
struct writing {
    struct nst_safetensors_writer *w;
    struct nst_place *place;
    enum nst_status st; /* of what was added */
    struct nst_err *err;
};

static bool note_part(void *ctx, const char *name, enum nst_number type, void *data,
                      size_t count)
{
    struct writing *writing = ctx;
    struct nst_array a = {type, 1, {count}, count, NULL};

    (void)data;
    nst_safetensors_write_array(writing->w, name, &a);
    return true;
}

static bool add_part(void *ctx, const char *name, enum nst_number type, void *data,
                     size_t count)
{
    struct writing *writing = ctx;

    (void)name;
    if (writing->st == NST_OK)
        writing->st = nst_place_add(writing->place, data, count * nst_number_size(type),
                                    writing->err);
    return writing->st == NST_OK;
}

/* Not shown, though nothing was wrong with the file. */
static enum nst_status not_shown(const struct writing *writing, const char *path)
{
    if (writing->st != NST_OK)
        return writing->st;
    return nst_err_set(writing->err, NST_ERR_IO,
                       "%s: is not written: the run's state cannot be read", path);
}

enum nst_status nst_checkpoint_write(const char *path, const struct nst_params *p,
                                     bool (*state)(void *owner, nst_state_visit *visit,
                                                   void *ctx),
                                     void *owner, struct nst_err *err)
{
    struct writing writing = {nst_safetensors_writer_new(), NULL, NST_OK, err};
    char *options = nst_describe_recipe(p);
    enum nst_status st = NST_OK;

    nst_safetensors_write_text(writing.w, "format", FORMAT);
    nst_safetensors_write_text(writing.w, "version", PACKAGE_VERSION);
    nst_safetensors_write_text(writing.w, "options", options);
    free(options);
    if (!state(owner, note_part, &writing))
        st = not_shown(&writing, path);
    if (st == NST_OK)
        st = nst_place_open(&writing.place, path, err);
    if (st == NST_OK)
        st = nst_safetensors_write_header(writing.w, writing.place, err);
    if (st == NST_OK && !state(owner, add_part, &writing))
        st = not_shown(&writing, path);
    if (st == NST_OK)
        st = writing.st;
    if (st == NST_OK)
        st = nst_place_finish(writing.place, err);
    nst_place_free(writing.place);
    nst_safetensors_writer_free(writing.w);
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
