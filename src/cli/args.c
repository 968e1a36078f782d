/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/args.h"

#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/exit.h"
#include "base/line.h"
#include "base/path.h"

#define FIRST_KEY 0x100 /* argp keys of options without a short name */
#define PRESET_KEY 'p'
#define LIST_PRESETS_KEY 0x80 /* this and the next ones are not options of a run */
#define SHOW_CONFIG_KEY 0x81
#define CONFIG_KEY 0x82
#define DUMP_OPTIONS_KEY 0x83
#define LIST_DEVICES_KEY 0x84
#define LIST_STYLES_KEY 0x85
#define LIST_MODELS_KEY 0x86

#define LINE_SIZE 1024

/* Report a mistake in the options as argp_error() does. */
static __attribute__((noreturn, format(printf, 1, 2))) void usage_error(const char *fmt,
                                                                        ...)
{
    char text[LINE_SIZE];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    nst_sanitise_line(text);
    fprintf(stderr, "nst: %s\nTry 'nst --help' or 'man nst' for more information.\n",
            text);
    exit(NST_EXIT_USAGE);
}

/* Report an error in a file or in its name. */
static void exit_on_error(enum nst_status st, const struct nst_err *err)
{
    if (st == NST_OK)
        return;
    fprintf(stderr, "nst: %s\n", err->text);
    exit(nst_exit_status(st));
}

/* A file of options that is invalid is a mistake of its author. */
static void exit_on_invalid_file(enum nst_status st, const struct nst_err *err)
{
    exit_on_error(st == NST_ERR_FORMAT ? NST_ERR_ARG : st, err);
}

static void exit_on_invalid_option(enum nst_status st, const struct nst_err *err)
{
    if (st != NST_OK)
        usage_error("%s", err->text);
}

static const struct nst_option *option_of_key(int key)
{
    const struct nst_option *o;

    for (size_t i = 0; (o = nst_option(i)); i++)
        if (key == (o->key ? o->key : FIRST_KEY + (int)i))
            return o;
    return NULL;
}

/* Make room for one more item of size bytes after count items. */
static void *grow(void *array, size_t count, size_t size)
{
    return nst_xrealloc(array, (count + 1) * size);
}

static void add_content(struct nst_args *a, const char *name)
{
    a->content = grow(a->content, a->content_count, sizeof *a->content);
    a->content[a->content_count++] = name;
}

static void print_preset(void *ctx, const char *name, const char *path,
                         const char *description)
{
    (void)ctx;
    (void)path;
    printf("%-15s %s\n", name, description);
}

static __attribute__((noreturn)) void list_presets(void)
{
    nst_preset_each(print_preset, NULL);
    exit(NST_EXIT_DONE);
}

/* Become PROGRAM list: one that is installed beside nst, or in $PATH. */
static __attribute__((noreturn)) void list_by(const char *program)
{
    char self[PATH_MAX] = "", *beside;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    beside = nst_xasprintf("%.*s%s", n > 0 ? (int)(nst_base_name(self) - self) : 0,
                           self, program);
    execl(beside, program, "list", NULL);
    execlp(program, program, "list", NULL);
    fprintf(stderr, "nst: %s: %s\n", program, strerror(errno));
    exit(NST_EXIT_FAILED);
}

static __attribute__((noreturn)) void dump_options(void)
{
    char *text = nst_describe_options();

    puts(text);
    free(text);
    exit(NST_EXIT_DONE);
}

static __attribute__((noreturn)) void show_config(const struct nst_params *p)
{
    char *text = nst_describe_recipe(p);

    puts(text);
    free(text);
    exit(NST_EXIT_DONE);
}

static __attribute__((noreturn)) void list_devices(bool as_json)
{
    char *text = nst_describe_devices(as_json);

    fputs(text, stdout);
    free(text);
    exit(NST_EXIT_DONE);
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct nst_args *a = state->input;
    const struct nst_option *o = option_of_key(key);

    if (o) {
        a->assignment = grow(a->assignment, a->assignments, sizeof *a->assignment);
        a->assignment[a->assignments].option = o;
        a->assignment[a->assignments++].value = arg ? arg : "true";
    } else if (key == PRESET_KEY && a->preset)
        usage_error("preset: only one preset is allowed");
    else if (key == PRESET_KEY)
        a->preset = arg;
    else if (key == CONFIG_KEY)
        a->config = arg;
    else if (key == LIST_PRESETS_KEY)
        list_presets();
    else if (key == LIST_STYLES_KEY)
        list_by("nst-style");
    else if (key == LIST_MODELS_KEY)
        list_by("nst-model");
    else if (key == DUMP_OPTIONS_KEY)
        dump_options();
    else if (key == LIST_DEVICES_KEY)
        a->list_devices = true;
    else if (key == SHOW_CONFIG_KEY)
        a->show_config = true;
    else if (key == ARGP_KEY_ARG)
        add_content(a, arg);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* Options that are not settings of a run, and so not in the option table. */
static const struct argp_option extra_options[] = {
    {"preset", PRESET_KEY, "NAME|FILE", 0,
     "Start from the options of a preset (see --list-presets)", 1},
    {"config", CONFIG_KEY, "FILE|none", 0,
     "Configuration file to read instead of ~/.config/nst/config.json, or none", 1},
    {"list-presets", LIST_PRESETS_KEY, NULL, 0, "List the presets, and exit", 5},
    {"list-styles", LIST_STYLES_KEY, NULL, 0,
     "List the installed style packs and networks, as nst-style list does, and exit",
     5},
    {"list-models", LIST_MODELS_KEY, NULL, 0,
     "List the installed networks, as nst-model list does, and exit", 5},
    {"list-devices", LIST_DEVICES_KEY, NULL, 0,
     "List the devices that --device can select, and exit", 5},
    {"show-config", SHOW_CONFIG_KEY, NULL, 0,
     "Print the effective options as a preset, and exit", 5},
    {"dump-options", DUMP_OPTIONS_KEY, NULL, 0,
     "Print the table of options as JSON, and exit", 5}};
#define EXTRA_OPTIONS (sizeof extra_options / sizeof *extra_options)

/* The option table in the form of argp. Belongs to the caller: free(). */
static struct argp_option *argp_table(void)
{
    const struct nst_option *o;
    struct argp_option *t;
    size_t groups = 0, count = 0, n = 0;

    while (nst_option_group((int)groups + 1))
        groups++;
    while (nst_option(count))
        count++;
    t = nst_xcalloc(groups + 2 * count + EXTRA_OPTIONS + 1, sizeof *t);
    for (size_t g = 1; g <= groups; g++)
        t[n++] = (struct argp_option){.doc = nst_option_group((int)g), .group = (int)g};
    for (size_t i = 0; i < count; i++) {
        o = nst_option(i);
        t[n].name = o->name;
        t[n].key = o->key ? o->key : FIRST_KEY + (int)i;
        t[n].arg = o->arg;
        t[n].group = o->group;
        t[n++].doc = o->help;
        if (o->alias)
            t[n++] = (struct argp_option){.name = o->alias,
                                          .flags = OPTION_ALIAS | OPTION_HIDDEN};
    }
    memcpy(t + n, extra_options, sizeof extra_options);
    return t;
}

/* Help filter of argp: append the default to the text of an option. */
static char *help_text(int key, const char *text, void *input)
{
    const struct nst_option *o = option_of_key(key);

    (void)input;
    if (!o || !o->default_text)
        return (char *)text;
    return nst_xasprintf("%s (default: %s)", text, o->default_text); /* argp frees it */
}

static bool is_stdio(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* Whether path is a regular file; "-" is the descriptor fd. */
static bool stat_regular(const char *path, int fd, struct stat *st)
{
    return (is_stdio(path) ? fstat(fd, st) : stat(path, st)) == 0 &&
           S_ISREG(st->st_mode);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool same_path(const char *path, const char *other)
{
    char *a = nst_path_canonical(path), *b = nst_path_canonical(other);
    bool same = strcmp(a, b) == 0;

    free(a);
    free(b);
    return same;
}

/* Refuse an output file that is named twice. */
static void require_distinct(const char *path, const char *other)
{
    struct stat a, b;

    if (path && other && !is_stdio(path) &&
        (same_path(path, other) ||
         (stat_regular(path, STDOUT_FILENO, &a) &&
          stat_regular(other, STDOUT_FILENO, &b) && same_file(&a, &b))))
        usage_error("%s: named for two outputs; use different files", path);
}

static void require_distinct_preview(const char *preview, const char *other)
{
    require_distinct(preview, other);
    if (preview && other && nst_series_matches(preview, other))
        usage_error("%s: named for two outputs; use different files", other);
}

/* Number of styles that are read from standard input. */
static int count_stdin_styles(const struct nst_styles *styles)
{
    int n = 0;

    for (int i = 0; i < styles->count; i++)
        n += is_stdio(styles->item[i].file);
    return n;
}

static bool reads_content_from_stdin(const struct nst_args *a)
{
    bool any = a->params.files_from && is_stdio(a->params.files_from);

    for (size_t i = 0; i < a->content_count; i++)
        any |= is_stdio(a->content[i]);
    return any;
}

/* The last value given on the command line for an option, or NULL. */
static const char *option_value(const struct nst_args *a, const char *name)
{
    const char *value = NULL;

    for (size_t i = 0; i < a->assignments; i++)
        if (strcmp(a->assignment[i].option->name, name) == 0)
            value = a->assignment[i].value;
    return value;
}

/* Refuse options on the command line that a feed-forward network has no use for; those
 * of a preset or of the configuration are for other styles. */
static void check_net(const struct nst_args *a)
{
    const struct nst_styles *styles = &a->params.styles;

    for (int i = 0; i < styles->count; i++) {
        char *net = nst_find_net(styles->item[i].file);

        for (size_t k = 0; net && k < a->assignments; k++)
            if (a->assignment[k].option->optimises)
                usage_error("%s: does not apply to the style '%s', a network that "
                            "paints in one pass",
                            a->assignment[k].option->name, styles->item[i].file);
        free(net);
    }
}

/* What to type first, for a command line without a word. */
static __attribute__((noreturn)) void print_start(void)
{
    fputs("nst: name a style and an image: nst -s van-gogh photo.jpg -o out.png\n"
          "     nst-style list names the included styles; your own is an image file.\n"
          "     man 7 nst is a tutorial, nst --help lists the options.\n",
          stderr);
    exit(NST_EXIT_USAGE);
}

/* Check what depends on several options. */
static void check_combinations(struct nst_args *a)
{
    struct nst_params *p = &a->params;

    if (a->empty && (!p->styles.count || isatty(STDIN_FILENO)))
        print_start();
    if (!p->styles.count)
        usage_error("no style is given; use -s FILE, or -s NAME of nst-style list");
    if (!a->content_count && !p->files_from)
        add_content(a, a->resumed_content ? a->resumed_content : "-");
    if (!p->output)
        p->output = nst_xstrdup("-");
    check_net(a);
    if (count_stdin_styles(&p->styles) > 1)
        usage_error("only one style can come from standard input");
    if (reads_content_from_stdin(a) && count_stdin_styles(&p->styles))
        usage_error("content and style cannot both come from standard input");
    if (p->format) {
        char *suffix = nst_xasprintf(".%s", p->format);

        if (!nst_output_supports(suffix))
            usage_error(
                "format: '%s' cannot be written; use png, jpg, webp, tiff, ppm, ...",
                p->format);
        if (nst_params_stream(p) && option_value(a, "format"))
            usage_error("--format and --%s are mutually exclusive",
                        nst_params_stream(p));
        free(suffix);
    }
    if (p->null && !p->files_from)
        usage_error("null: requires --files-from");
    if (a->content_count == 1 && is_stdio(a->content[0]) && isatty(STDIN_FILENO))
        usage_error("no image is given; name a file or redirect standard input");
    if (is_stdio(p->output) && isatty(STDOUT_FILENO) && !p->dry_run)
        usage_error("standard output is a terminal; use -o FILE or redirect it");
    if (p->json && !p->dry_run)
        usage_error("json: requires --dry-run or --list-devices");
    if (is_stdio(p->init))
        usage_error("init: standard input cannot be used; name a file");
    if (p->keep_mask && is_stdio(p->keep_mask))
        usage_error("keep-mask: standard input cannot be used; name a file");
    for (int i = 0; i < p->styles.count; i++)
        if (p->styles.item[i].mask && is_stdio(p->styles.item[i].mask))
            usage_error("mask: standard input cannot be used; name a file");
    if (p->progress_file && is_stdio(p->progress_file))
        usage_error("progress-file: standard output cannot be used; name a file");
    if (p->trace && is_stdio(p->trace))
        usage_error("trace: standard output cannot be used; name a file");
    if (p->checkpoint && is_stdio(p->checkpoint))
        usage_error("checkpoint: standard output cannot be used; name a file");
    if (p->preview && is_stdio(p->preview))
        usage_error("preview: standard output cannot be used; name a file");
    if (p->history && is_stdio(p->history))
        usage_error("history: standard output cannot be used; name a file");
}

/* A quality on the command line needs a result whose format has one. A quality from the
 * configuration applies where it can. */
static void check_quality(const struct nst_args *a)
{
    const struct nst_params *p = &a->params;
    const char *stream = nst_params_stream(p);
    bool any = !p->quality || !option_value(a, "quality");

    for (size_t i = 0; i < a->batch.items; i++)
        any |= nst_output_has_quality(a->batch.item[i].output,
                                      stream ? stream : p->format);
    if (!any)
        usage_error(
            "quality: %s: this format has no quality setting; use jpg, webp, heic, "
            "avif, jxl or jp2",
            a->batch.item[0].output);
}

/* A format that the configuration sets is for outputs whose names do not say one. */
static void prefer_suffixes(struct nst_args *a)
{
    bool all = !option_value(a, "format");

    for (size_t i = 0; i < a->batch.items; i++) {
        const char *dot = strrchr(nst_base_name(a->batch.item[i].output), '.');

        all = all && dot && nst_output_supports(dot);
    }
    if (all || nst_params_stream(&a->params)) {
        free(a->params.format);
        a->params.format = NULL;
    }
}

void nst_args_build_batch(struct nst_args *a)
{
    const struct nst_params *p = &a->params;
    char *history = nst_history_path(p->history);
    const char *written[] = {p->trace, p->checkpoint, p->preview, history,
                             p->progress_file};
    struct nst_batch *b = &a->batch;
    struct nst_err err;

    b->excluded_directory = p->output;
    for (size_t i = 0; i < a->content_count; i++)
        exit_on_error(nst_batch_add(b, a->content[i], p->recursive, &err), &err);
    if (p->files_from)
        exit_on_invalid_file(
            nst_batch_add_list(b, p->files_from, p->null, p->recursive, &err), &err);
    if (!b->items)
        usage_error("files-from: %s: contains no file names", p->files_from);
    if ((p->trace || p->checkpoint || p->resume || p->preview) && b->items > 1)
        usage_error("%s: works for one image only, but several are given",
                    p->trace        ? "trace"
                    : p->checkpoint ? "checkpoint"
                    : p->resume     ? "resume"
                                    : "preview");
    exit_on_error(nst_batch_name_outputs(b, p, &err), &err);
    exit_on_error(nst_history_check(p->history, &err), &err);
    prefer_suffixes(a);
    check_quality(a);
    for (size_t i = 0; i < b->items; i++) {
        require_distinct(b->item[i].output, p->trace);
        require_distinct(b->item[i].output, history);
        require_distinct(b->item[i].output, p->progress_file);
    }
    for (size_t i = 0; p->progress_file && written[i] != p->progress_file; i++)
        require_distinct(written[i], p->progress_file);
    require_distinct(b->item[0].output, p->checkpoint);
    require_distinct_preview(p->preview, b->item[0].output);
    require_distinct_preview(p->preview, p->checkpoint);
    require_distinct_preview(p->preview, p->trace);
    require_distinct_preview(p->preview, history);
    require_distinct(p->trace, p->checkpoint);
    require_distinct(p->checkpoint, history);
    require_distinct(p->trace, history);
    for (size_t i = 0; i < sizeof written / sizeof *written; i++)
        exit_on_error(nst_batch_protect_inputs(b, p, written[i], &err), &err);
    if (p->preview && nst_series_is_template(p->preview))
        exit_on_error(nst_series_protect_inputs(b, p, p->preview, &err), &err);
    free(history);
}

/* Apply what the command line overrides: the configuration, then a preset or the
 * options of the run to resume. Either replaces the configuration's preset. */
static struct nst_checkpoint *apply_config_and_preset(struct nst_args *a)
{
    const char *resume = option_value(a, "resume");
    const struct nst_config_overrides overrides = {
        .preset = a->preset || resume, .style = resume || option_value(a, "style")};
    struct nst_checkpoint *c = NULL;
    struct nst_err err;

    if (!a->config || strcmp(a->config, "none") != 0)
        exit_on_invalid_file(nst_config_apply(&a->params, a->config, overrides, &err),
                             &err);
    if (resume && a->preset)
        usage_error("--preset and --resume are mutually exclusive");
    if (a->preset)
        exit_on_invalid_file(nst_preset_apply(&a->params, a->preset, &err), &err);
    if (resume) {
        exit_on_error(nst_checkpoint_open(&c, resume, &err), &err);
        exit_on_error(nst_checkpoint_apply(c, &a->params, &err), &err);
        exit_on_error(nst_checkpoint_apply_files(
                          c, &a->params, !option_value(a, "style"),
                          !option_value(a, "output"), &a->resumed_content, &err),
                      &err);
    }
    return c;
}

void nst_args_parse(struct nst_args *a, int argc, char **argv)
{
    struct argp_option *table = argp_table();
    const struct argp argp = {
        table,
        parse_option,
        "[CONTENT...]",
        "Paint images in the style of others. Without CONTENT, or with "
        "-, read standard input.\n\n"
        "  nst -s van-gogh photo.jpg -o out.png    an included style (nst-style list)\n"
        "  nst -s painting.jpg photo.jpg -o out.png -S 1024    your own, and larger\n"
        "  nst -p draft -s munch photo.jpg -o out.png    a quick look\n\n"
        "man 7 nst is a tutorial.\v"
        "Exit status: 0 success, 1 failure, 2 usage error, 129, 130 or 143 stopped by "
        "SIGHUP, SIGINT or SIGTERM after writing the best image so far. See man nst.",
        NULL,
        help_text,
        NULL};
    struct nst_checkpoint *checkpoint;
    struct nst_err err;

    nst_params_init(&a->params);
    a->empty = argc == 1;
    argp_parse(&argp, argc, argv, 0, NULL, a);
    free(table);
    checkpoint = apply_config_and_preset(a);
    for (size_t i = 0; i < a->assignments; i++)
        exit_on_invalid_option(nst_params_set(&a->params, a->assignment[i].option->name,
                                              a->assignment[i].value, &err),
                               &err);
    a->size_given = option_value(a, "size") ||
                    (option_value(a, "scales") && a->params.scales.count);
    if (checkpoint)
        exit_on_error(nst_checkpoint_check(checkpoint, &a->params, &err), &err);
    nst_checkpoint_close(checkpoint);
    exit_on_invalid_option(nst_run_check(&a->params, &err), &err);
    if (a->list_devices)
        list_devices(a->params.json);
    if (a->show_config)
        show_config(&a->params);
    check_combinations(a);
}

void nst_args_clear(struct nst_args *a)
{
    nst_batch_clear(&a->batch);
    free(a->content);
    free(a->resumed_content);
    nst_params_clear(&a->params);
    free(a->assignment);
}
