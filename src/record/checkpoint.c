/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "record/checkpoint_internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "options/describe.h"
#include "options/preset.h"
#include "options/table.h"
#include "record/provenance.h"

#define FORMAT "nst checkpoint 1"
#define FORMAT_KIND (sizeof "nst checkpoint " - 1) /* characters before the number */

/* A checkpoint is written in two visits: the first declares the arrays for the header,
 * the second writes their data. So the data need exist only during a visit. */
struct checkpoint_writer {
    struct nst_safetensors_writer *w;
    struct nst_atomic_file *file;
    enum nst_status st; /* of the writes */
    struct nst_err *err;
};

static bool declare_array(void *ctx, const char *name, enum nst_dtype type, void *data,
                          size_t count)
{
    struct checkpoint_writer *writer = ctx;
    struct nst_array a = {type, 1, {count}, count, NULL};

    (void)data;
    nst_safetensors_write_array(writer->w, name, &a);
    return true;
}

static bool write_array(void *ctx, const char *name, enum nst_dtype type, void *data,
                        size_t count)
{
    struct checkpoint_writer *writer = ctx;

    (void)name;
    if (writer->st == NST_OK)
        writer->st = nst_atomic_file_write(writer->file, data,
                                           count * nst_dtype_size(type), writer->err);
    return writer->st == NST_OK;
}

/* The visit failed: the write error, or an error of serialise() itself. */
static enum nst_status serialise_error(const struct checkpoint_writer *writer,
                                       const char *path)
{
    if (writer->st != NST_OK)
        return writer->st;
    return nst_err_set(writer->err, NST_ERR_IO,
                       "%s: is not written: the run's state cannot be read", path);
}

/* The options as JSON; a run may be resumed from another directory, so their paths are
 * absolute. A new string. */
static char *describe_options(const struct nst_params *p)
{
    struct nst_params q = *p;
    char *options;

    if (nst_params_init_is_file(p))
        q.init = nst_provenance_absolute_path(p->init);
    if (p->keep_mask)
        q.keep_mask = nst_provenance_absolute_path(p->keep_mask);
    options = nst_describe_recipe(&q);
    if (q.init != p->init)
        free(q.init);
    if (q.keep_mask != p->keep_mask)
        free(q.keep_mask);
    return options;
}

enum nst_status nst_checkpoint_write(const char *path,
                                     const struct nst_checkpoint_content *c,
                                     struct nst_err *err)
{
    struct checkpoint_writer writer = {nst_safetensors_writer_new(), NULL, NST_OK, err};
    char *options = describe_options(c->params);
    char *arguments = nst_provenance_arguments(c->params, c->content, c->output);
    enum nst_status st = NST_OK;

    nst_safetensors_write_metadata(writer.w, "format", FORMAT);
    nst_safetensors_write_metadata(writer.w, "version", PACKAGE_VERSION);
    nst_safetensors_write_metadata(writer.w, "options", options);
    nst_safetensors_write_metadata(writer.w, "arguments", arguments);
    free(options);
    free(arguments);
    if (!c->serialise(c->owner, declare_array, &writer))
        st = serialise_error(&writer, path);
    if (st == NST_OK)
        st = nst_atomic_file_open(&writer.file, path, err);
    if (st == NST_OK)
        st = nst_safetensors_write_header(writer.w, writer.file, err);
    if (st == NST_OK && !c->serialise(c->owner, write_array, &writer))
        st = serialise_error(&writer, path);
    if (st == NST_OK)
        st = writer.st;
    if (st == NST_OK)
        st = nst_atomic_file_commit(writer.file, err);
    nst_atomic_file_free(writer.file);
    nst_safetensors_writer_free(writer.w);
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
        return access(path, F_OK) == 0
                   ? st
                   : nst_err_set(err, st,
                                 "resume: %s: no such checkpoint; check its name, or "
                                 "leave out --resume to begin anew",
                                 path);
    format = nst_safetensors_metadata(f, "format");
    if (format && strncmp(format, FORMAT, FORMAT_KIND) == 0 &&
        strcmp(format, FORMAT) != 0) {
        st = nst_err_set(err, NST_ERR_FORMAT,
                         "%s: has the format '%s', but this version of nst reads '%s'",
                         path, format, FORMAT);
        nst_safetensors_close(f);
        return st;
    }
    if (!format || strcmp(format, FORMAT) != 0 ||
        !nst_safetensors_metadata(f, "options")) {
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
                                 nst_safetensors_metadata(c->f, "options"), err);
}

enum nst_status nst_checkpoint_apply_files(const struct nst_checkpoint *c,
                                           struct nst_params *p, bool styles,
                                           bool output, char **content,
                                           struct nst_err *err)
{
    const char *text = nst_safetensors_metadata(c->f, "arguments");
    json_t *list = json_loads(text ? text : "[]", 0, NULL), *pair;
    enum nst_status st = NST_OK;
    size_t i;

    *content = NULL;
    json_array_foreach(list, i, pair) {
        const char *name = json_string_value(json_array_get(pair, 0));
        const char *value = json_string_value(json_array_get(pair, 1));
        bool is_output =
            name && (strcmp(name, "output") == 0 || strcmp(name, "format") == 0);

        if (name && value && !*name && !*content)
            *content = nst_xstrdup(value);
        else if (st == NST_OK && name && value && *name &&
                 (is_output ? output : styles))
            st = nst_params_set(p, name, value, err);
    }
    json_decref(list);
    if (st == NST_OK)
        return NST_OK;
    nst_err_prefix(err, nst_safetensors_path(c->f));
    free(*content);
    *content = NULL;
    return NST_ERR_FORMAT;
}

const char *nst_checkpoint_version(const struct nst_checkpoint *c)
{
    const char *version = nst_safetensors_metadata(c->f, "version");

    return version ? version : "unknown";
}

/* Whether the values of an option are the same; those of files may be relative. */
static bool same_value(const char *name, const char *a, const char *b)
{
    char *from, *to;
    bool same;

    if (!a || !b)
        return !a && !b;
    if (strcmp(name, "init") != 0 && strcmp(name, "keep-mask") != 0)
        return strcmp(a, b) == 0;
    from = nst_provenance_absolute_path(a);
    to = nst_provenance_absolute_path(b);
    same = strcmp(from, to) == 0;
    free(from);
    free(to);
    return same;
}

enum nst_status nst_checkpoint_check(const struct nst_checkpoint *c,
                                     const struct nst_params *p, struct nst_err *err)
{
    const struct nst_option *o;
    struct nst_params saved;
    enum nst_status st;

    nst_params_init(&saved);
    st = nst_checkpoint_apply(c, &saved, err);
    for (size_t i = 0; st == NST_OK && (o = nst_option(i)); i++) {
        char *a = nst_params_get(&saved, o), *b = nst_params_get(p, o);
        /* a resumed run may have another duration */
        bool is_duration = strcmp(o->name, "iterations") == 0 ||
                           strcmp(o->name, "scale-iterations") == 0 ||
                           strcmp(o->name, "max-evaluations") == 0;

        if (o->recipe && !is_duration && !same_value(o->name, a, b))
            st = nst_err_set(
                err, NST_ERR_ARG, "resume: %s is %s in %s, and cannot become %s",
                o->name, a ? a : "unset", nst_safetensors_path(c->f), b ? b : "unset");
        free(a);
        free(b);
    }
    nst_params_clear(&saved);
    return st;
}

bool nst_checkpoint_read_array(void *ctx, const char *name, enum nst_dtype type,
                               void *data, size_t count)
{
    const struct nst_checkpoint *c = ctx;
    struct nst_array a;

    if (nst_safetensors_find(c->f, name, &a, NULL) != NST_OK || a.type != type ||
        a.count != count)
        return false;
    memcpy(data, a.bytes, count * nst_dtype_size(type));
    return true;
}
