/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "record/provenance.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/memory.h"
#include "base/path.h"
#include "model/paths.h"
#include "model/vgg.h"
#include "options/json.h"
#include "options/table.h"
#include "record/sha256.h"

/* Numbers typed by the user are printed as typed. */
#define DUMP (JSON_COMPACT | JSON_REAL_PRECISION(15))
/* A trace serves comparisons: its numbers are exact. */
#define DUMP_EXACT (JSON_COMPACT | JSON_REAL_PRECISION(17))

static char *in_working_directory(const char *path)
{
    char *directory = *path == '/' ? NULL : getcwd(NULL, 0);
    char *absolute =
        directory ? nst_xasprintf("%s/%s", directory, path) : nst_xstrdup(path);

    free(directory);
    return absolute;
}

char *nst_provenance_absolute_path(const char *path)
{
    if (strcmp(path, "-") == 0 || (!strchr(path, '/') && !nst_path_is_file(path)))
        return nst_xstrdup(path);
    return in_working_directory(path);
}

static json_t *json_path(const char *path)
{
    char *absolute = nst_provenance_absolute_path(path);
    json_t *j = nst_json_text(absolute);

    free(absolute);
    return j;
}

/* How a record names the input files. */
enum names { NAMES_ABSOLUTE, NAMES_PLAIN, NAMES_NONE };

static enum names metadata_names(const struct nst_params *p)
{
    return p->metadata == NST_METADATA_KEEP ? NAMES_PLAIN : NAMES_NONE;
}

static json_t *json_file_name(const char *path, enum names names)
{
    if (names == NAMES_NONE)
        return json_null();
    return names == NAMES_ABSOLUTE ? json_path(path)
                                   : nst_json_text(nst_base_name(path));
}

/* Remove the options of an optimisation. */
static void remove_optimisation(json_t *recipe)
{
    const struct nst_option *o;

    for (size_t i = 0; (o = nst_option(i)); i++)
        if (o->optimises)
            json_object_del(recipe, o->name);
}

/* The recipe; other pictures than content and style by name. */
static json_t *recorded_options(const struct nst_provenance *r, enum names names)
{
    const struct nst_params *p = r->params;
    json_t *j = nst_json_recipe(p);

    if (!nst_session_network_at(r->session, 0)) /* a feed-forward network paints */
        remove_optimisation(j);
    else if (nst_params_init_is_file(p))
        json_object_set_new(j, "init", json_file_name(p->init, names));
    if (p->keep_mask)
        json_object_set_new(j, "keep-mask", json_file_name(p->keep_mask, names));
    return j;
}

static json_t *json_losses(const struct nst_evaluation *e)
{
    return json_pack("{s:o, s:o, s:o}", "content", nst_json_number(e->content_loss),
                     "style", nst_json_number(e->style_loss), "total",
                     nst_json_number(e->total_loss));
}

static json_t *json_style(const struct nst_style_option *s, enum names names)
{
    json_t *j = json_pack("{s:o, s:o}", "file", json_file_name(s->file, names),
                          "weight", nst_json_number(s->weight));
    char layers[1024];

    if (s->mask)
        json_object_set_new(j, "mask", json_file_name(s->mask, names));
    if (s->layers.count) {
        nst_layers_format(&s->layers, layers, sizeof layers);
        json_object_set_new(j, "layers", json_string(layers));
    }
    return j;
}

/* The file name of a single plain style; else a list with weight, mask and layers. */
static json_t *json_styles(const struct nst_styles *s, enum names names)
{
    json_t *list;

    if (s->count == 1 && !s->item[0].mask && !s->item[0].layers.count)
        return json_file_name(s->item[0].file, names);
    list = json_array();
    for (int i = 0; i < s->count; i++)
        json_array_append_new(list, json_style(&s->item[i], names));
    return list;
}

/* The content of standard input is unknown: sha256 is null. */
static void add_input(json_t *list, const char *name)
{
    char *style = nst_find_style(name), *sum = NULL;

    if (strcmp(name, "-") != 0)
        sum = nst_sha256_file(style ? style : name);
    json_array_append_new(list, json_pack("{s:o, s:o}", "file", json_path(name),
                                          "sha256", nst_json_text(sum)));
    free(style);
    free(sum);
}

char *nst_provenance_inputs(const struct nst_params *p, const char *content)
{
    json_t *list = json_array();
    char *s;

    add_input(list, content);
    for (int i = 0; i < p->styles.count; i++) {
        add_input(list, p->styles.item[i].file);
        if (p->styles.item[i].mask)
            add_input(list, p->styles.item[i].mask);
    }
    if (nst_params_init_is_file(p))
        add_input(list, p->init);
    if (p->keep_mask)
        add_input(list, p->keep_mask);
    s = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return s;
}

/* Append an option; value is taken over. */
static void add_argument(json_t *list, const char *option, char *value)
{
    json_array_append_new(list, json_pack("[s, o]", option, nst_json_text(value)));
    free(value);
}

char *nst_provenance_arguments(const struct nst_params *p, const char *content,
                               const char *output)
{
    json_t *list = json_array();
    char *s;

    for (int i = 0; i < p->styles.count; i++) {
        const struct nst_style_option *style = &p->styles.item[i];
        char *file = nst_provenance_absolute_path(style->file), layers[1024];

        add_argument(list, "style", nst_xasprintf("%s:%.17g", file, style->weight));
        free(file);
        if (style->mask)
            add_argument(list, "mask", nst_provenance_absolute_path(style->mask));
        nst_layers_format(&style->layers, layers, sizeof layers);
        if (style->layers.count)
            add_argument(list, "layers", nst_xstrdup(layers));
    }
    if (output)
        add_argument(list, "output",
                     strcmp(output, "-") == 0 ? nst_xstrdup("-")
                                              : in_working_directory(output));
    if (p->format)
        add_argument(list, "format", nst_xstrdup(p->format));
    if (content)
        add_argument(list, "", nst_provenance_absolute_path(content));
    s = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return s;
}

/* The recorded inputs, which have absolute paths. */
static json_t *json_inputs(const struct nst_provenance *r, enum names names)
{
    json_t *list = json_loads(r->inputs, 0, NULL), *j;
    size_t i;

    json_array_foreach(list, i, j) {
        const char *file = json_string_value(json_object_get(j, "file"));

        if (file && names != NAMES_ABSOLUTE)
            json_object_set_new(j, "file", json_file_name(file, names));
    }
    return list;
}

static json_t *list_networks(const struct nst_provenance *r,
                             char *(*format)(const struct nst_network *n))
{
    char *all = nst_session_list_networks(r->session, format);
    json_t *j = *all ? nst_json_text(all) : json_null(); /* no network of losses */

    free(all);
    return j;
}

static char *network_name(const struct nst_network *n)
{
    return nst_xstrdup(n->name);
}

static char *network_fingerprint(const struct nst_network *n)
{
    return nst_xasprintf("%016" PRIx64, nst_vgg_whole_fingerprint(n->vgg));
}

static char *network_path(const struct nst_network *n)
{
    return nst_provenance_absolute_path(n->path);
}

/* SHA-256 of each network's file: one text, or a list of several. */
static json_t *network_digests(const struct nst_provenance *r)
{
    json_t *list = json_array(), *one;
    const struct nst_network *n;

    for (int i = 0; (n = nst_session_network_at(r->session, i)); i++) {
        char *sum = nst_sha256_file(n->path);

        json_array_append_new(list, nst_json_text(sum));
        free(sum);
    }
    if (json_array_size(list) > 1)
        return list;
    one = json_incref(json_array_get(list, 0));
    json_decref(list);
    return one ? one : json_null();
}

static json_t *network_fingerprints(const struct nst_provenance *r)
{
    return list_networks(r, network_fingerprint);
}

/* Fields of both metadata and history; the history has absolute paths. */
static json_t *json_run(const struct nst_provenance *r, enum names names)
{
    static const char *const ends[] = {"completed", "converged", "stopped"};
    const struct nst_job_result *result = r->result;

    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:[ii], s:o, s:o, s:o, s:I, s:I, s:s}",
        "version", PACKAGE_VERSION, "content", json_file_name(r->content, names),
        "style", json_styles(&r->params->styles, names), "inputs",
        json_inputs(r, names), "model", list_networks(r, network_name), "network",
        network_fingerprints(r), "size", r->width, r->height, "options",
        recorded_options(r, names), "first", json_losses(&result->first), "final",
        json_losses(&result->final), "iterations", (json_int_t)result->iterations,
        "evaluations", (json_int_t)result->evaluations, "end", ends[result->end]);
}

static bool same_options(const struct nst_provenance *r, const json_t *recorded)
{
    const struct nst_params *p = r->params;
    json_t *requested = recorded_options(r, metadata_names(p)), *value;
    const char *name;
    bool same = json_object_size(requested) == json_object_size(recorded);

    json_object_foreach(requested, name, value)
        same &= strcmp(name, "curvature-pairs") == 0 || /* the plan may change both */
                (strcmp(name, "tile") == 0 && p->tile == 0) ||
                json_equal(value, json_object_get(recorded, name));
    json_decref(requested);
    return same;
}

static bool equals(json_t *wanted, const json_t *found)
{
    bool equal = json_equal(wanted, found);

    json_decref(wanted);
    return equal;
}

/* Whether the content of each input is known. */
static bool all_have_digest(const json_t *inputs)
{
    const json_t *j;
    size_t i;

    json_array_foreach(inputs, i, j)
        if (!json_is_string(json_object_get(j, "sha256")))
            return false;
    return true;
}

/* The value of --metadata. */
static json_t *json_metadata(const struct nst_provenance *r)
{
    char *word = nst_params_get(r->params, nst_option_find("metadata"));
    json_t *j = nst_json_text(word);

    free(word);
    return j;
}

bool nst_provenance_matches(const struct nst_provenance *r, const char *comment)
{
    json_t *j = comment ? json_loads(comment, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    json_t *nst = json_object_get(j, "nst");
    enum names names = metadata_names(r->params);
    bool matches =
        nst && equals(json_string(PACKAGE_VERSION), json_object_get(nst, "version")) &&
        !equals(json_string("stopped"), json_object_get(nst, "end")) &&
        all_have_digest(json_object_get(nst, "inputs")) &&
        equals(json_inputs(r, names), json_object_get(nst, "inputs")) &&
        equals(network_fingerprints(r), json_object_get(nst, "network")) &&
        equals(json_styles(&r->params->styles, names), json_object_get(nst, "style")) &&
        same_options(r, json_object_get(nst, "options")) &&
        (r->params->metadata == NST_METADATA_KEEP
             ? !json_object_get(nst, "metadata")
             : equals(json_metadata(r), json_object_get(nst, "metadata")));

    json_decref(j);
    return matches;
}

/* The digest of the content image, which is the first input; NULL if unknown. */
static const char *content_digest(const json_t *inputs)
{
    return json_string_value(json_object_get(json_array_get(inputs, 0), "sha256"));
}

char *nst_provenance_other_content(const struct nst_provenance *r, const char *comment,
                                   char **sha256)
{
    json_t *j = comment ? json_loads(comment, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    json_t *recorded = json_object_get(json_object_get(j, "nst"), "inputs");
    json_t *inputs = json_loads(r->inputs, 0, NULL);
    const char *name =
        json_string_value(json_object_get(json_array_get(recorded, 0), "file"));
    const char *from = content_digest(recorded), *mine = content_digest(inputs);
    char *other = NULL;

    *sha256 = NULL;
    if (from && mine && strcmp(from, mine) != 0) {
        other = name ? nst_json_text_bytes(name) : nst_xstrdup("");
        *sha256 = nst_xstrdup(from);
    }
    json_decref(inputs);
    json_decref(j);
    return other;
}

char *nst_provenance_metadata(const struct nst_provenance *r)
{
    json_t *run = json_run(r, metadata_names(r->params));
    json_t *j = json_pack("{s:o}", "nst", run);
    char *s;

    if (r->params->metadata != NST_METADATA_KEEP)
        json_object_set_new(run, "metadata", json_metadata(r));
    s = json_dumps(j, DUMP);

    json_decref(j);
    return s;
}

char *nst_provenance_history_line(const struct nst_provenance *r)
{
    const char *stream = nst_params_stream(r->params);
    json_t *j = json_run(r, NAMES_ABSOLUTE);
    const char *instructions = nst_session_isa(r->session);
    char when[32], *line;
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_object_set_new(j, "time", json_string(when));
    json_object_set_new(j, "output", json_path(r->output));
    json_object_set_new(j, "model_path", list_networks(r, network_path));
    json_object_set_new(j, "device", json_string(nst_session_device(r->session)));
    if (instructions)
        json_object_set_new(j, "instructions", json_string(instructions));
    if (stream || r->params->format)
        json_object_set_new(j, "format",
                            nst_json_text(stream ? stream : r->params->format));
    if (r->params->quality)
        json_object_set_new(j, "quality", json_integer(r->params->quality));
    if (r->params->metadata != NST_METADATA_KEEP)
        json_object_set_new(j, "metadata", json_metadata(r));
    if (r->frames)
        json_object_set_new(j, "frames", json_integer(r->frames));
    json_object_set_new(j, "model_sha256", network_digests(r));
    json_object_set_new(j, "seconds", nst_json_number(r->result->seconds));
    json_object_set_new(j, "threads", json_integer(nst_session_threads(r->session)));
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
        return nst_err_set(err, nst_open_status(errno), "trace: %s: %s", path,
                           strerror(errno));
    setvbuf(f, NULL, _IOLBF, 0); /* others may read it during the run */
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

void nst_trace_evaluation(struct nst_trace *t, const struct nst_evaluation *e)
{
    write_line(t, json_pack("{s:I, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:b, s:o}",
                            "evaluation", (json_int_t)e->evaluation, "scale", e->scale,
                            "iteration", (json_int_t)e->iteration, "content_loss",
                            nst_json_number(e->content_loss), "style_loss",
                            nst_json_number(e->style_loss), "total_loss",
                            nst_json_number(e->total_loss), "gradient_max",
                            nst_json_number(e->gradient_max), "gradient_norm",
                            nst_json_number(e->gradient_norm), "accepted", e->accepted,
                            "seconds", nst_json_number(e->seconds)));
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
