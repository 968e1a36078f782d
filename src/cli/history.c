/* SPDX-License-Identifier: MIT */
/* nst-history - lists, finds, repeats and deletes recorded runs. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/line.h"
#include "base/path.h"
#include "options/json.h"
#include "record/sha256.h"
#include "cli/migrate.h"
#include "cli/program.h"
#include "nst.h"

enum { JSON_KEY = 0x100, HISTORY_KEY, KEEP_KEY };

struct arguments {
    const char *command, *history, *output;
    const char **arg;
    size_t args;
    long keep;
    bool json;
};

static const struct argp_option options[] = {
    {"history", HISTORY_KEY, "FILE", 0, "History file to use, as in nst", 0},
    {"json", JSON_KEY, NULL, 0, "Print one line of JSON per run (list, find, show)", 0},
    {"output", 'o', "FILE", 0,
     "Write the result to FILE instead of its original place (rerun)", 0},
    {"keep", KEEP_KEY, "N", 0, "Number of latest runs to keep (prune)", 0},
    {0}};

static void check_arguments(const struct arguments *a, struct argp_state *state)
{
    static const struct {
        const char *name;
        size_t min_args, max_args;
    } commands[] = {{"list", 0, 0},  {"find", 1, 1},      {"show", 1, SIZE_MAX},
                    {"rerun", 1, 1}, {"rm", 1, SIZE_MAX}, {"export", 0, 0},
                    {"prune", 0, 0}};
    const char *command = a->command ? a->command : "";

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(command, commands[i].name) == 0) {
            if (a->args < commands[i].min_args || a->args > commands[i].max_args)
                argp_error(state, "%s: takes %s", command,
                           commands[i].max_args == 0   ? "no arguments"
                           : commands[i].max_args == 1 ? "one argument"
                                                       : "one or more arguments");
            if (strcmp(command, "prune") == 0 && a->keep < 0)
                argp_error(state, "prune: requires --keep N");
            return;
        }
    argp_error(
        state,
        "'%s' is not a command; use list, find, show, rerun, rm, export or prune",
        command);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    char *end;

    if (key == HISTORY_KEY)
        a->history = arg;
    else if (key == JSON_KEY)
        a->json = true;
    else if (key == 'o')
        a->output = arg;
    else if (key == KEEP_KEY) {
        a->keep = strtol(arg, &end, 10);
        if (end == arg || *end || a->keep < 0)
            argp_error(state, "keep: '%s' is not a whole number of at least 0", arg);
    } else if (key == ARGP_KEY_ARG && !a->command)
        a->command = arg;
    else if (key == ARGP_KEY_ARG) {
        a->arg = nst_xrealloc(a->arg, (a->args + 1) * sizeof *a->arg);
        a->arg[a->args++] = arg;
    } else if (key == ARGP_KEY_END)
        check_arguments(a, state);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static const char *get_text(const json_t *run, const char *key)
{
    const char *s = json_string_value(json_object_get(run, key));

    return s ? s : "?";
}

/* The names of the styles without directories, joined by +; a new string. */
static char *style_names(const json_t *run)
{
    json_t *style = json_object_get(run, "style"), *one;
    char *all = NULL;
    size_t i;

    if (!json_is_array(style))
        return nst_xstrdup(nst_base_name(get_text(run, "style")));
    json_array_foreach(style, i, one) {
        char *longer = nst_xasprintf("%s%s%s", all ? all : "", all ? "+" : "",
                                     nst_base_name(get_text(one, "file")));

        free(all);
        all = longer;
    }
    return all ? all : nst_xstrdup("?");
}

static void print_row(const struct nst_history_line *l)
{
    json_t *run = nst_json_with_bytes(l->run);
    json_t *size = json_object_get(run, "size");
    json_t *final = json_object_get(run, "final");
    json_t *total = json_object_get(final, "total");
    char *styles = style_names(run);
    char *loss = json_is_number(total)
                     ? nst_xasprintf("%.4g", json_number_value(total))
                     : nst_xstrdup("-"); /* painted by a feed-forward network */
    char *row = nst_xasprintf(
        "%s  %s  %-20s %-20s %5d x %-5d %10s %8.1f s  %s", l->id, get_text(run, "time"),
        nst_base_name(get_text(run, "content")), styles,
        (int)json_integer_value(json_array_get(size, 0)),
        (int)json_integer_value(json_array_get(size, 1)), loss,
        json_number_value(json_object_get(run, "seconds")), get_text(run, "output"));

    nst_sanitise_line(row);
    puts(row);
    free(row);
    free(loss);
    free(styles);
    json_decref(run);
}

static void print_json(const struct nst_history_line *l, size_t flags)
{
    json_t *with_id = json_pack("{s:s}", "id", l->id);
    char *text;

    json_object_update(with_id, l->run);
    text = json_dumps(with_id, flags | JSON_REAL_PRECISION(15));
    puts(text);
    free(text);
    json_decref(with_id);
}

static enum nst_status list(const struct arguments *a, const struct nst_history *h,
                            const char *word, struct nst_err *err)
{
    json_t *recorded = nst_json_text(word);
    bool any = false;

    word = json_string_value(recorded);
    for (size_t i = 0; i < h->count; i++) {
        if (!h->line[i].run || (word && !strstr(h->line[i].text, word)))
            continue;
        any = true;
        if (a->json)
            print_json(&h->line[i], JSON_COMPACT);
        else
            print_row(&h->line[i]);
    }
    json_decref(recorded);
    if (word && !any)
        return nst_err_set(err, NST_ERR_FORMAT, "no run contains '%s'", word);
    return NST_OK;
}

/* The entry whose ID begins with id, which must not be empty; the latest one if several
 * runs are identical. NULL and *err if there is none, or if id is ambiguous. */
static const struct nst_history_line *find_entry(const struct nst_history *h,
                                                 const char *id, struct nst_err *err)
{
    const struct nst_history_line *found = NULL;

    for (size_t i = 0; i < h->count; i++) {
        struct nst_history_line *l = &h->line[i];

        if (!l->run || !*id || strncmp(l->id, id, strlen(id)) != 0)
            continue;
        if (found && strcmp(found->id, l->id) != 0) {
            nst_err_set(err, NST_ERR_ARG, "ID '%s' is ambiguous: it matches %s and %s",
                        id, found->id, l->id);
            return NULL;
        }
        found = l;
    }
    if (!found)
        nst_err_set(err, NST_ERR_ARG, "no run has the ID '%s'; see nst-history list",
                    id);
    return found;
}

static enum nst_status show(const struct arguments *a, const struct nst_history *h,
                            struct nst_err *err)
{
    for (size_t i = 0; i < a->args; i++) {
        const struct nst_history_line *l = find_entry(h, a->arg[i], err);

        if (!l)
            return NST_ERR_ARG;
        print_json(l, a->json ? JSON_COMPACT : JSON_INDENT(2));
    }
    return NST_OK;
}

static enum nst_status export_all(const struct nst_history *h)
{
    bool any = false;

    putchar('[');
    for (size_t i = 0; i < h->count; i++)
        if (h->line[i].run) {
            puts(any ? "," : "");
            fputs(h->line[i].text, stdout);
            any = true;
        }
    puts("\n]");
    return NST_OK;
}

/* A command line that is being built. */
struct command {
    char **argv;
    int argc;
};

static void add_arg(struct command *c, char *word)
{
    c->argv = nst_xrealloc(c->argv, (size_t)(c->argc + 2) * sizeof *c->argv);
    c->argv[c->argc++] = word;
    c->argv[c->argc] = NULL;
}

/* The argument that sets o to value; NULL for a flag that is off. */
static char *option_arg(const struct nst_option *o, const json_t *value)
{
    if (o->type == NST_OPTION_FLAG)
        return json_is_true(value) ? nst_xasprintf("--%s", o->name) : NULL;
    if (json_is_string(value))
        return nst_xasprintf("--%s=%s", o->name, json_string_value(value));
    if (json_is_integer(value))
        return nst_xasprintf("--%s=%" JSON_INTEGER_FORMAT, o->name,
                             json_integer_value(value));
    return nst_xasprintf("--%s=%.17g", o->name, json_number_value(value));
}

static void add_style_args(struct command *c, const json_t *style)
{
    const char *mask = json_string_value(json_object_get(style, "mask"));
    const char *layers = json_string_value(json_object_get(style, "layers"));
    json_t *weight = json_object_get(style, "weight");

    if (json_is_string(style))
        add_arg(c, nst_xasprintf("--style=%s:1", json_string_value(style)));
    else
        add_arg(c, nst_xasprintf("--style=%s:%.17g", get_text(style, "file"),
                                 json_number_value(weight)));
    if (mask)
        add_arg(c, nst_xasprintf("--mask=%s", mask));
    if (layers)
        add_arg(c, nst_xasprintf("--layers=%s", layers));
}

/* Fail if the file has changed. A name without a directory is a style pack or a network
 * that is a style. */
static enum nst_status check_file(const char *name, const json_t *sha256,
                                  struct nst_err *err)
{
    const char *recorded = json_string_value(sha256);
    char *style = *name == '/' ? NULL : nst_find_style(name);
    char *current = nst_sha256_file(style ? style : name);
    enum nst_status st = NST_OK;

    if (!recorded)
        st = nst_err_set(err, NST_ERR_FORMAT,
                         "%s: was not a regular file and cannot be read again", name);
    else if (!current || strcmp(current, recorded) != 0)
        st = nst_err_set(err, NST_ERR_FORMAT,
                         "%s: is missing or has changed since the run", name);
    free(current);
    free(style);
    return st;
}

/* Fail if a network has changed. model_path lists networks as --model does; for
 * several, model_sha256 is a list. */
static enum nst_status check_networks(const json_t *run, struct nst_err *err)
{
    json_t *sums = json_object_get(run, "model_sha256");
    struct nst_models models;
    enum nst_status st;

    if (!sums || json_is_null(sums)) /* painted by a feed-forward network: an input */
        return NST_OK;
    if (!json_is_array(sums))
        return check_file(get_text(run, "model_path"), sums, err);
    st = nst_models_parse(&models, get_text(run, "model_path"), err);
    for (int i = 0; st == NST_OK && i < models.count; i++)
        st = check_file(models.model[i].name, json_array_get(sums, (size_t)i), err);
    nst_models_clear(&models);
    return st;
}

/* Fail if any input has changed. */
static enum nst_status check_inputs(const json_t *run, struct nst_err *err)
{
    enum nst_status st = check_networks(run, err);
    const json_t *input;
    size_t i;

    json_array_foreach(json_object_get(run, "inputs"), i, input) {
        if (st == NST_OK)
            st = check_file(get_text(input, "file"), json_object_get(input, "sha256"),
                            err);
    }
    return st;
}

/* The last bits depend on the instruction set, so use that of the run unless the
 * environment selects one. */
static void choose_device(const json_t *run)
{
    const char *device = json_string_value(json_object_get(run, "device"));
    const char *instructions = json_string_value(json_object_get(run, "instructions"));

    if (device)
        setenv("NST_BACKEND", device, false);
    if (instructions)
        setenv("NST_CPU", instructions, false);
}

/* Path of nst beside this program, or else "nst" for a search in $PATH. */
static char *find_nst(void)
{
    char self[PATH_MAX], *slash;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    self[n < 0 ? 0 : n] = 0;
    slash = strrchr(self, '/');
    if (slash) {
        char *path = nst_xasprintf("%.*s/nst", (int)(slash - self), self);

        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return nst_xstrdup("nst");
}

/* Whether the run wrote a stream: streams have frames, single pictures have none. */
static bool is_stream(const json_t *run, const char *format)
{
    return json_object_get(run, "frames") &&
           (strcmp(format, "y4m") == 0 || strcmp(format, "pnm") == 0);
}

static enum nst_status rerun(const struct arguments *a, const struct nst_history *h,
                             struct nst_err *err)
{
    const struct nst_history_line *l = find_entry(h, a->arg[0], err);
    struct command c = {NULL, 0};
    json_t *run, *recipe, *style, *value;
    const char *name, *format, *differs;
    bool optimises; /* else a feed-forward network has painted */
    json_int_t quality;
    size_t i;

    if (!l)
        return err->status;
    run = nst_json_with_bytes(l->run); /* kept until exec */
    if (check_inputs(run, err) != NST_OK)
        return err->status;
    choose_device(run);
    add_arg(&c, find_nst());
    add_arg(&c, nst_xstrdup("--config=none"));
    optimises = json_is_string(json_object_get(run, "model_path"));
    if (optimises)
        add_arg(&c, nst_xasprintf("--model=%s", get_text(run, "model_path")));
    recipe = nst_migrate_options(run, &differs);
    if (differs)
        fprintf(stderr, "nst-history: the result will differ: %s\n", differs);
    json_object_foreach(recipe, name, value) {
        const struct nst_option *o = nst_option_find(name);
        bool used = o && o->recipe && (optimises || !o->optimises);
        char *word = used ? option_arg(o, value) : NULL;

        if (word)
            add_arg(&c, word);
    }
    json_decref(recipe);
    style = json_object_get(run, "style");
    if (json_is_array(style)) {
        json_array_foreach(style, i, value)
            add_style_args(&c, value);
    } else
        add_style_args(&c, style);
    format = json_string_value(json_object_get(run, "format"));
    if (format)
        add_arg(&c, is_stream(run, format) ? nst_xasprintf("--%s", format)
                                           : nst_xasprintf("--format=%s", format));
    quality = json_integer_value(json_object_get(run, "quality"));
    if (quality)
        add_arg(&c, nst_xasprintf("--quality=%" JSON_INTEGER_FORMAT, quality));
    if (json_object_get(l->run, "metadata"))
        add_arg(&c, nst_xasprintf("--metadata=%s", get_text(l->run, "metadata")));
    add_arg(&c, nst_xasprintf("--output=%s",
                              a->output ? a->output : get_text(run, "output")));
    add_arg(&c, nst_xstrdup("--"));
    add_arg(&c, nst_xstrdup(get_text(run, "content")));
    execvp(c.argv[0], c.argv);
    return nst_err_set(err, NST_ERR_IO, "%s: %s", c.argv[0], strerror(errno));
}

static bool is_named(void *ctx, const struct nst_history *h, size_t i)
{
    const struct arguments *a = ctx;

    for (size_t k = 0; k < a->args; k++)
        if (strcmp(h->line[i].id, a->arg[k]) == 0)
            return true;
    return false;
}

static bool is_beyond_keep(void *ctx, const struct nst_history *h, size_t i)
{
    const struct arguments *a = ctx;
    size_t later = 0;

    for (size_t k = i + 1; k < h->count; k++)
        later += h->line[k].run != NULL;
    return later >= (size_t)a->keep;
}

/* Delete the named runs, if all exist; or all but the latest ones. */
static enum nst_status remove_runs(struct arguments *a, const struct nst_history *h,
                                   const char *path, struct nst_err *err)
{
    enum nst_status st;
    size_t removed;

    for (size_t i = 0; i < a->args; i++) {
        const struct nst_history_line *l = find_entry(h, a->arg[i], err);

        if (!l)
            return NST_ERR_ARG;
        a->arg[i] = l->id;
    }
    st =
        nst_history_remove(path, a->args ? is_named : is_beyond_keep, a, &removed, err);
    if (st == NST_OK)
        fprintf(stderr, "nst-history: %zu removed\n", removed);
    return st;
}

static enum nst_status run(void *arguments, struct nst_err *err)
{
    struct arguments *a = arguments;
    char *path = nst_history_path(a->history);
    struct nst_history h = {.count = 0};
    enum nst_status st;

    if (!path)
        return nst_err_set(err, NST_ERR_ARG,
                           "no history is kept: --history or NST_HISTORY is none");
    if (a->history && access(path, F_OK) != 0)
        st = nst_err_set(err, nst_open_status(errno), "history: %s: %s", path,
                         strerror(errno));
    else
        st = nst_history_read(&h, path, err);
    for (size_t i = 0; st == NST_OK && i < h.count; i++)
        if (!h.line[i].run)
            fprintf(stderr, "nst-history: %s: line %zu is damaged; skipped\n", path,
                    i + 1);
    if (st == NST_OK && strcmp(a->command, "list") == 0)
        st = list(a, &h, NULL, err);
    else if (st == NST_OK && strcmp(a->command, "find") == 0)
        st = list(a, &h, a->arg[0], err);
    else if (st == NST_OK && strcmp(a->command, "show") == 0)
        st = show(a, &h, err);
    else if (st == NST_OK && strcmp(a->command, "export") == 0)
        st = export_all(&h);
    else if (st == NST_OK && strcmp(a->command, "rerun") == 0)
        st = rerun(a, &h, err);
    else if (st == NST_OK)
        st = remove_runs(a, &h, path, err);
    nst_history_clear(&h);
    free(path);
    return st;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse_option,
        "list\nfind TEXT\nshow ID...\nrerun ID\nrm ID...\nprune --keep N\nexport",
        "List, search, show, repeat, remove, prune or export the recorded runs of "
        "nst.\vSee man nst-history.",
        NULL,
        NULL,
        NULL};
    struct arguments a = {.keep = -1};
    int status = nst_program_main(argc, argv, &argp, &a, run);

    free(a.arg);
    return status;
}
