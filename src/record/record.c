/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "record/record.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "job/scales.h"
#include "model/search.h"
#include "model/vgg.h"
#include "record/digest.h"
#include "record/json.h"

/* Numbers that people type come back as they typed them. */
#define DUMP (JSON_COMPACT | JSON_REAL_PRECISION(15))
/* A trace is for comparing: its numbers come back as they were, to the bit. */
#define DUMP_EXACT (JSON_COMPACT | JSON_REAL_PRECISION(17))

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* A path as it will be understood anywhere; one that is none, as - and the names of
 * style packs, as it is. A new string. */
static char *whole_path(const char *path)
{
    char *here, *whole;

    if (*path == '/' || strcmp(path, "-") == 0 ||
        (!strchr(path, '/') && !nst_search_is_file(path)))
        return nst_xstrdup(path);
    here = getcwd(NULL, 0);
    whole = here ? nst_xasprintf("%s/%s", here, path) : nst_xstrdup(path);
    free(here);
    return whole;
}

static json_t *path_text(const char *path)
{
    char *whole = whole_path(path);
    json_t *j = nst_json_text(whole);

    free(whole);
    return j;
}

static json_t *file_name(const char *path, bool whole)
{
    return whole ? path_text(path) : nst_json_text(base_name(path));
}

/* The recipe; of other pictures than content and style only the names, which are for
 * everyone to see, or where they are. */
static json_t *recorded_options(const struct nst_params *p, bool whole_paths)
{
    json_t *j = nst_json_recipe(p);

    if (nst_starts_from_file(p))
        json_object_set_new(j, "init", file_name(p->init, whole_paths));
    if (p->keep_mask)
        json_object_set_new(j, "keep-mask", file_name(p->keep_mask, whole_paths));
    return j;
}

static json_t *losses(const struct nst_evaluation *e)
{
    return json_pack("{s:o, s:o, s:o}", "content", nst_json_number(e->content_loss),
                     "style", nst_json_number(e->style_loss), "total",
                     nst_json_number(e->total_loss));
}

static json_t *style_of(const struct nst_style_option *s, bool whole_paths)
{
    json_t *j = json_pack("{s:o, s:o}", "file", file_name(s->file, whole_paths),
                          "weight", nst_json_number(s->weight));
    char layers[1024];

    if (s->mask)
        json_object_set_new(j, "mask", file_name(s->mask, whole_paths));
    if (s->layers.count) {
        nst_taps_format(&s->layers, layers, sizeof layers);
        json_object_set_new(j, "layers", json_string(layers));
    }
    return j;
}

/* The style's name, if that is all; else a list of what was said of each. */
static json_t *style_names(const struct nst_styles *s, bool whole_paths)
{
    json_t *list;

    if (s->count == 1 && !s->of[0].mask && !s->of[0].layers.count)
        return file_name(s->of[0].file, whole_paths);
    list = json_array();
    for (int i = 0; i < s->count; i++)
        json_array_append_new(list, style_of(&s->of[i], whole_paths));
    return list;
}

/* Of standard input it is not known what was in it. */
static void add_input(json_t *list, const char *name)
{
    char *pack = nst_search_pack(name), *sum = NULL;

    if (strcmp(name, "-") != 0)
        sum = nst_sha256(pack ? pack : name);
    json_array_append_new(list, json_pack("{s:o, s:o}", "file", path_text(name),
                                          "sha256", nst_json_text(sum)));
    free(pack);
    free(sum);
}

char *nst_record_inputs(const struct nst_params *p, const char *content)
{
    json_t *list = json_array();
    char *s;

    add_input(list, content);
    for (int i = 0; i < p->styles.count; i++) {
        add_input(list, p->styles.of[i].file);
        if (p->styles.of[i].mask)
            add_input(list, p->styles.of[i].mask);
    }
    if (nst_starts_from_file(p))
        add_input(list, p->init);
    if (p->keep_mask)
        add_input(list, p->keep_mask);
    s = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return s;
}

/* As they were recorded; without whole paths, their names alone. */
static json_t *inputs_of(const struct nst_record *r, bool whole_paths)
{
    json_t *list = json_loads(r->inputs, 0, NULL), *j;
    size_t i;

    json_array_foreach(list, i, j)
    {
        const char *file = json_string_value(json_object_get(j, "file"));

        if (file && !whole_paths)
            json_object_set_new(j, "file", nst_json_text(base_name(file)));
    }
    return list;
}

static json_t *list_networks(const struct nst_record *r,
                             char *(*text_of)(const struct nst_network *n))
{
    char *all = nst_engine_list(r->engine, text_of);
    json_t *j = nst_json_text(all);

    free(all);
    return j;
}

static char *name_of(const struct nst_network *n)
{
    return nst_xstrdup(n->name);
}

static char *fingerprint_of(const struct nst_network *n)
{
    return nst_xasprintf("%016" PRIx64, nst_vgg_whole_fingerprint(n->vgg));
}

static char *path_of(const struct nst_network *n)
{
    return whole_path(n->path);
}

/* The SHA-256 of each network's file: one text, or a list of several. */
static json_t *sums_of_networks(const struct nst_record *r)
{
    json_t *list = json_array(), *one;
    const struct nst_network *n;

    for (int i = 0; (n = nst_engine_networks(r->engine, i)); i++) {
        char *sum = nst_sha256(n->path);

        json_array_append_new(list, nst_json_text(sum));
        free(sum);
    }
    if (json_array_size(list) > 1)
        return list;
    one = json_incref(json_array_get(list, 0));
    json_decref(list);
    return one;
}

static json_t *network_of(const struct nst_record *r)
{
    return list_networks(r, fingerprint_of);
}

/* What both the metadata and the history hold; whole paths are for the latter. */
static json_t *run(const struct nst_record *r, bool whole_paths)
{
    static const char *const ends[] = {"completed", "converged", "stopped"};
    const struct nst_job_result *result = r->result;

    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:[ii], s:o, s:o, s:o, s:I, s:I, s:s}",
        "version", PACKAGE_VERSION, "content", file_name(r->content, whole_paths),
        "style", style_names(&r->params->styles, whole_paths), "inputs",
        inputs_of(r, whole_paths), "model", list_networks(r, name_of), "network",
        network_of(r), "size", r->width, r->height, "options",
        recorded_options(r->params, whole_paths), "first", losses(&result->first),
        "final", losses(&result->final), "iterations", (json_int_t)result->iterations,
        "evaluations", (json_int_t)result->evaluations, "end", ends[result->end]);
}

/* May an option have been recorded with another value than is asked for? */
static bool may_differ(const struct nst_params *p, const char *name)
{
    if (strcmp(name, "tile") == 0)
        return p->tile == 0;
    return strcmp(name, "curvature-pairs") == 0;
}

static bool same_options(const struct nst_params *p, const json_t *recorded)
{
    json_t *asked = recorded_options(p, false), *value;
    const char *name;
    bool same = json_object_size(asked) == json_object_size(recorded);

    json_object_foreach(asked, name, value) same &=
        may_differ(p, name) || json_equal(value, json_object_get(recorded, name));
    json_decref(asked);
    return same;
}

static bool same(json_t *wanted, const json_t *found)
{
    bool equal = json_equal(wanted, found);

    json_decref(wanted);
    return equal;
}

/* Is it known what was in each? Not so of standard input. */
static bool all_known(const json_t *inputs)
{
    const json_t *j;
    size_t i;

    json_array_foreach(
        inputs, i, j) if (!json_is_string(json_object_get(j, "sha256"))) return false;
    return true;
}

bool nst_record_matches(const struct nst_record *r, const char *comment)
{
    json_t *j = comment ? json_loads(comment, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    json_t *nst = json_object_get(j, "nst");
    bool matches =
        nst && same(json_string(PACKAGE_VERSION), json_object_get(nst, "version")) &&
        !same(json_string("stopped"), json_object_get(nst, "end")) &&
        all_known(json_object_get(nst, "inputs")) &&
        same(inputs_of(r, false), json_object_get(nst, "inputs")) &&
        same(network_of(r), json_object_get(nst, "network")) &&
        same(style_names(&r->params->styles, false), json_object_get(nst, "style")) &&
        same_options(r->params, json_object_get(nst, "options"));

    json_decref(j);
    return matches;
}

char *nst_record_recipe(const struct nst_record *r)
{
    json_t *j = json_pack("{s:o}", "nst", run(r, false));
    char *s = json_dumps(j, DUMP);

    json_decref(j);
    return s;
}

char *nst_record_line(const struct nst_record *r)
{
    const char *stream = nst_params_stream(r->params);
    json_t *j = run(r, true);
    const char *instructions = nst_engine_instructions(r->engine);
    char when[32], *line;
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_object_set_new(j, "time", json_string(when));
    json_object_set_new(j, "output", path_text(r->output));
    json_object_set_new(j, "model_path", list_networks(r, path_of));
    json_object_set_new(j, "device", json_string(nst_engine_device(r->engine)));
    if (instructions)
        json_object_set_new(j, "instructions", json_string(instructions));
    if (stream || r->params->format)
        json_object_set_new(j, "format",
                            nst_json_text(stream ? stream : r->params->format));
    if (r->params->quality)
        json_object_set_new(j, "quality", json_integer(r->params->quality));
    if (r->frames)
        json_object_set_new(j, "frames", json_integer(r->frames));
    json_object_set_new(j, "model_sha256", sums_of_networks(r));
    json_object_set_new(j, "seconds", nst_json_number(r->result->seconds));
    json_object_set_new(j, "threads", json_integer(nst_engine_threads(r->engine)));
    json_object_set_new(j, "peak_memory", json_integer((json_int_t)nst_memory_peak()));
    line = json_dumps(j, DUMP);
    json_decref(j);
    return line;
}

struct nst_trace {
    FILE *f;
    char *path;
};

enum nst_status nst_trace_open(struct nst_trace **out, const char *path,
                               struct nst_err *err)
{
    FILE *f = fopen(path, "we");

    *out = NULL;
    if (!f)
        return nst_err_set(err, NST_ERR_IO, "trace: %s: %s", path, strerror(errno));
    setvbuf(f, NULL, _IOLBF, 0); /* others may read along */
    *out = nst_xcalloc(1, sizeof **out);
    (*out)->f = f;
    (*out)->path = nst_xstrdup(path);
    return NST_OK;
}

static void write_line(struct nst_trace *t, json_t *j)
{
    json_dumpf(j, t->f, DUMP_EXACT);
    putc('\n', t->f);
    json_decref(j);
}

static json_t *evaluation_line(const struct nst_evaluation *e)
{
    return json_pack("{s:I, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "evaluation",
                     (json_int_t)e->evaluation, "scale", e->scale, "iteration",
                     (json_int_t)e->iteration, "content_loss",
                     nst_json_number(e->content_loss), "style_loss",
                     nst_json_number(e->style_loss), "total_loss",
                     nst_json_number(e->total_loss), "gradient_max",
                     nst_json_number(e->gradient_max), "gradient_norm",
                     nst_json_number(e->gradient_norm), "accepted", e->accepted,
                     "seconds", nst_json_number(e->seconds));
}

void nst_trace_evaluation(struct nst_trace *t, const struct nst_evaluation *e)
{
    write_line(t, evaluation_line(e));
}

enum nst_status nst_trace_close(struct nst_trace *t, const struct nst_evaluation *final,
                                struct nst_err *err)
{
    enum nst_status st = NST_OK;
    bool failed;

    if (!t)
        return NST_OK;
    if (final)
        write_line(t, json_pack("{s:b, s:I, s:o, s:o, s:o, s:o}", "final", 1,
                                "iteration", (json_int_t) final->iteration,
                                "content_loss", nst_json_number(final->content_loss),
                                "style_loss", nst_json_number(final->style_loss),
                                "total_loss", nst_json_number(final->total_loss),
                                "seconds", nst_json_number(final->seconds)));
    failed = ferror(t->f) != 0;
    if (fclose(t->f) != 0 || failed)
        st = nst_err_set(err, NST_ERR_IO, "trace: %s: could not be written", t->path);
    free(t->path);
    free(t);
    return st;
}
