/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "train/state.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "options/json.h"

#define FORMAT "nst training 1"

static json_t *options_of(const struct nst_train_config *c)
{
    json_t *styles = json_array();

    for (int i = 0; i < c->style_count; i++)
        json_array_append_new(styles, nst_json_text(c->styles[i]));
    return json_pack("{s:o, s:o, s:o, s:I, s:f, s:I, s:I, s:I, s:I, s:f, s:f, s:f, "
                     "s:f, s:f, s:f, s:I}",
                     "style", styles, "from", nst_json_text(c->from), "model",
                     nst_json_text(c->model), "steps", (json_int_t)c->steps, "time",
                     c->minutes, "size", (json_int_t)c->size, "batch",
                     (json_int_t)c->batch, "width", (json_int_t)c->width, "style-size",
                     (json_int_t)c->style_size, "content-weight", c->content_weight,
                     "style-weight", c->style_weight, "tv-weight", c->tv_weight,
                     "stability", c->stability, "detail", c->detail, "rate", c->rate,
                     "seed", (json_int_t)c->seed);
}

char *nst_train_state_options(const struct nst_train_config *c)
{
    json_t *j = options_of(c);
    char *text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(9));

    json_decref(j);
    return text;
}

/* Each value is declared for the header, and written, in the same order. */
struct writer {
    struct nst_safetensors_writer *w;
    struct nst_atomic_file *file;
    enum nst_status st;
    struct nst_err *err;
};

static bool declare(void *ctx, const char *name, enum nst_dtype type, void *data,
                    size_t count)
{
    struct writer *w = ctx;
    struct nst_array a = {type, 1, {count}, count, NULL};

    (void)data;
    nst_safetensors_write_array(w->w, name, &a);
    return true;
}

static bool write_values(void *ctx, const char *name, enum nst_dtype type, void *data,
                         size_t count)
{
    struct writer *w = ctx;

    (void)name;
    if (w->st == NST_OK)
        w->st =
            nst_atomic_file_write(w->file, data, count * nst_dtype_size(type), w->err);
    return w->st == NST_OK;
}

static bool visit_all(struct nst_train_progress *p, struct nst_trainer *t,
                      nst_serialise_fn *visit, void *ctx)
{
    return visit(ctx, "step", NST_I64, &p->step, 1) &&
           visit(ctx, "all steps", NST_I64, &p->steps, 1) &&
           visit(ctx, "skipped", NST_I64, &p->skipped, 1) &&
           visit(ctx, "photos", NST_I64, &p->photos, 1) &&
           nst_trainer_serialise(t, visit, ctx);
}

enum nst_status nst_train_state_write(const char *path,
                                      const struct nst_train_config *c,
                                      struct nst_train_progress *progress,
                                      struct nst_trainer *t, struct nst_err *err)
{
    struct writer w = {nst_safetensors_writer_new(), NULL, NST_OK, err};
    char *options = nst_train_state_options(c);
    enum nst_status st;

    nst_safetensors_write_metadata(w.w, "format", FORMAT);
    nst_safetensors_write_metadata(w.w, "version", PACKAGE_VERSION);
    nst_safetensors_write_metadata(w.w, "options", options);
    free(options);
    visit_all(progress, t, declare, &w);
    st = nst_atomic_file_open(&w.file, path, err);
    if (st == NST_OK)
        st = nst_safetensors_write_header(w.w, w.file, err);
    if (st == NST_OK && !visit_all(progress, t, write_values, &w))
        st = w.st;
    if (st == NST_OK)
        st = nst_atomic_file_commit(w.file, err);
    nst_atomic_file_free(w.file);
    nst_safetensors_writer_free(w.w);
    return st;
}

static bool read_values(void *ctx, const char *name, enum nst_dtype type, void *data,
                        size_t count)
{
    const struct nst_safetensors *f = ctx;
    struct nst_array a;

    if (nst_safetensors_find(f, name, &a, NULL) != NST_OK || a.type != type ||
        a.count != count)
        return false;
    memcpy(data, a.bytes, count * nst_dtype_size(type));
    return true;
}

static enum nst_status check_options(const struct nst_safetensors *f,
                                     const struct nst_train_config *c,
                                     struct nst_err *err)
{
    const char *text = nst_safetensors_metadata(f, "options"), *name;
    json_t *saved = json_loads(text ? text : "{}", 0, NULL), *now, *value;
    char *now_text = nst_train_state_options(c);
    enum nst_status st = NST_OK;

    now = json_loads(now_text, 0, NULL);
    json_object_foreach(now, name, value) {
        json_t *before = json_object_get(saved, name);

        if (st == NST_OK && !json_equal(before, value)) {
            char *a = before ? json_dumps(before, JSON_ENCODE_ANY) : NULL,
                 *b = json_dumps(value, JSON_ENCODE_ANY);

            st = nst_err_set(err, NST_ERR_ARG,
                             "resume: %s is %s in %s, and cannot become %s", name,
                             a ? a : "unset", nst_safetensors_path(f), b);
            free(a);
            free(b);
        }
    }
    json_decref(saved);
    json_decref(now);
    free(now_text);
    return st;
}

#define MOST_STEPS 100000000

static bool is_sound(const struct nst_train_progress *p)
{
    return p->step >= 0 && p->step <= MOST_STEPS && p->steps >= 0 &&
           p->steps <= MOST_STEPS && p->skipped >= 0 && p->skipped <= p->step;
}

enum nst_status nst_train_state_read(const char *path, const struct nst_train_config *c,
                                     struct nst_train_progress *progress,
                                     struct nst_trainer *t, struct nst_err *err)
{
    struct nst_safetensors *f;
    int64_t photos = progress->photos;
    const char *format;
    enum nst_status st = nst_safetensors_open(&f, path, err);

    if (st != NST_OK)
        return access(path, F_OK) == 0
                   ? st
                   : nst_err_set(err, st,
                                 "resume: %s: no such checkpoint; check its name, or "
                                 "leave out --resume to begin anew",
                                 path);
    format = nst_safetensors_metadata(f, "format");
    if (!format || strcmp(format, FORMAT) != 0)
        st = nst_err_set(err, NST_ERR_FORMAT,
                         "%s: is not a checkpoint of a training: its metadata does not "
                         "say \"" FORMAT "\"",
                         path);
    if (st == NST_OK)
        st = check_options(f, c, err);
    if (st == NST_OK && !visit_all(progress, t, read_values, f))
        st = nst_err_set(err, NST_ERR_FORMAT,
                         "%s: its state is damaged, or of another network", path);
    if (st == NST_OK && !is_sound(progress))
        st = nst_err_set(err, NST_ERR_FORMAT, "%s: its number of steps is damaged",
                         path);
    if (st == NST_OK && progress->photos != photos)
        st = nst_err_set(err, NST_ERR_ARG,
                         "resume: %s was made with other photographs than those in %s",
                         path, c->photos);
    nst_safetensors_close(f);
    return st;
}
