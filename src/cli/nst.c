/* SPDX-License-Identifier: MIT */
/*
 * nst - stylise one picture. The command line comes from the option table; what
 * happens to the pictures is the floors' business.
 */
#include "config.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/progress.h"
#include "image/picture.h"
#include "job/job.h"
#include "record/preset.h"
#include "record/record.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

const char *argp_program_version = PACKAGE_STRING;

#define FIRST_KEY 0x100 /* argp keys of options without a letter */
#define PRESET_KEY 'p'

/* The command line: assignments are made after the preset's, which they beat. */
struct line {
    struct nst_params params;
    const char *preset, *content;
    struct {
        const struct nst_option *option;
        const char *value;
    } * set;
    size_t sets;
};

static volatile sig_atomic_t caught; /* the signal that asked us to stop, or 0 */

/* A first signal asks for the best picture so far; a second one, of either kind, ends
 * us at once. */
static void on_signal(int number)
{
    caught = number;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

static void catch_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal};

    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/*
 * A file opened while one of 0, 1 and 2 is closed would take its number, and get what
 * is meant for a person or a pipe. So each is open, the wrong way round: using it
 * fails.
 */
static void keep_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            exit(EXIT_FAILED);
}

static int complain(int status, const char *message)
{
    fprintf(stderr, "nst: %s\n", message);
    return status;
}

static __attribute__((noreturn)) void usage_error(const char *message)
{
    exit(complain(EXIT_USAGE, message));
}

static const struct nst_option *option_of_key(int key)
{
    for (size_t i = 0; i < nst_options_count; i++)
        if (key == (nst_options[i].key ? nst_options[i].key : FIRST_KEY + (int)i))
            return &nst_options[i];
    return NULL;
}

static void take_content(struct line *l, const char *arg)
{
    if (l->content)
        usage_error("one picture at a time: more than one CONTENT was given");
    l->content = arg;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct line *l = state->input;
    const struct nst_option *o = option_of_key(key);

    if (o) {
        l->set = realloc(l->set, (l->sets + 1) * sizeof *l->set);
        if (!l->set)
            abort();
        l->set[l->sets].option = o;
        l->set[l->sets++].value = arg ? arg : "true";
    } else if (key == PRESET_KEY)
        l->preset = arg;
    else if (key == ARGP_KEY_ARG)
        take_content(l, arg);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* The option table as argp wants it; lives as long as the program. */
static struct argp_option *argp_table(void)
{
    struct argp_option *t = nst_xcalloc(nst_options_count + 8, sizeof *t);
    size_t n = 0;

    for (int g = 1; nst_option_groups[g]; g++)
        t[n++] = (struct argp_option){.doc = nst_option_groups[g], .group = g};
    for (size_t i = 0; i < nst_options_count; i++) {
        const struct nst_option *o = &nst_options[i];

        t[n].name = o->name;
        t[n].key = o->key ? o->key : FIRST_KEY + (int)i;
        t[n].arg = o->arg;
        t[n].group = o->group;
        t[n++].doc = o->help;
    }
    t[n++] = (struct argp_option){
        "preset", PRESET_KEY, "NAME|FILE", 0, "Begin with the options of a preset", 2};
    return t;
}

/* argp asks what to print for each option: its default goes after its text. */
static char *help_text(int key, const char *text, void *input)
{
    const struct nst_option *o = option_of_key(key);

    (void)input;
    if (!o || !o->initial)
        return (char *)text;
    return nst_xasprintf("%s (default: %s)", text, o->initial); /* argp frees it */
}

static bool is_stdio(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* Is there a regular file at path, or for "-" behind the descriptor? */
static bool regular(const char *path, int fd, struct stat *st)
{
    return (is_stdio(path) ? fstat(fd, st) : stat(path, st)) == 0 &&
           S_ISREG(st->st_mode);
}

/* What is read is never written: not by the result, nor by a record of the run. */
static void spare_inputs(const struct line *l, const char *path)
{
    const char *const inputs[] = {l->content, l->params.style};
    struct stat in, out;

    if (!path || !regular(path, STDOUT_FILENO, &out))
        return;
    for (int i = 0; i < 2; i++)
        if (regular(inputs[i], STDIN_FILENO, &in) && in.st_dev == out.st_dev &&
            in.st_ino == out.st_ino) {
            fprintf(stderr,
                    "nst: %s: is one of the pictures read, and not overwritten\n",
                    is_stdio(path) ? "standard output" : path);
            exit(EXIT_USAGE);
        }
}

/* What no single option can see. */
static void check_together(struct line *l)
{
    struct nst_params *p = &l->params;

    if (!p->style)
        usage_error("a style is needed: -s FILE");
    if (!l->content)
        l->content = "-";
    if (!p->output)
        p->output = nst_xstrdup("-");
    if (is_stdio(l->content) && is_stdio(p->style))
        usage_error("content and style cannot both come from standard input");
    if (is_stdio(l->content) && isatty(STDIN_FILENO))
        usage_error("no picture: name one, or send one to standard input");
    if (is_stdio(p->output) && isatty(STDOUT_FILENO))
        usage_error("standard output is a terminal: give -o FILE, or redirect it");
    if (p->square && p->size == 0)
        usage_error("square: needs a size in pixels, and size is native");
    spare_inputs(l, p->output);
    spare_inputs(l, p->trace);
    spare_inputs(l, p->history);
}

static void parse_line(struct line *l, int argc, char **argv)
{
    struct argp_option *table = argp_table();
    const struct argp argp = {
        table,
        parse,
        "[CONTENT]",
        "Stylise the picture CONTENT (or - or nothing: standard input) in the style of "
        "another.\v"
        "Exit status: 0 done, 1 failed, 2 usage, 130 or 143 stopped by SIGINT or "
        "SIGTERM (with the best picture so far). The manual: man nst.",
        NULL,
        help_text,
        NULL};
    struct nst_err err;

    nst_params_init(&l->params);
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, l);
    free(table);
    if (l->preset && nst_preset_apply(&l->params, l->preset, &err) != NST_OK)
        usage_error(err.text);
    for (size_t i = 0; i < l->sets; i++)
        if (nst_params_set(&l->params, l->set[i].option->name, l->set[i].value, &err))
            usage_error(err.text);
    check_together(l);
}

/* Everything that one run holds; freed in one place. */
struct work {
    struct line *line;
    struct nst_params *p;
    struct nst_output *output;
    struct nst_trace *trace;
    struct nst_picture *content, *style;
    struct nst_engine *engine;
    struct nst_progress *progress;
    struct nst_job_result result;
};

static void on_evaluation(void *ctx, const struct nst_evaluation *e)
{
    struct work *w = ctx;

    if (w->trace)
        nst_trace_evaluation(w->trace, e);
}

static void on_step(void *ctx, const struct nst_evaluation *e, int64_t done,
                    int64_t planned)
{
    struct work *w = ctx;

    nst_progress_step(w->progress, e, done, planned);
}

static bool on_stop(void *ctx)
{
    (void)ctx;
    return caught != 0;
}

/* Reserve the output and read everything, so that what is wrong shows at once. */
static enum nst_status prepare(struct work *w, struct nst_err *err)
{
    struct nst_params *p = w->p;
    struct nst_picture_size size = {(int)p->size, p->square, p->max_pixels};
    enum nst_status st = nst_output_open(&w->output, p->output, err);

    if (st == NST_OK)
        st = nst_picture_load(&w->style, p->style, &size, err);
    if (st == NST_OK)
        st = nst_picture_load(&w->content, w->line->content, &size, err);
    if (st == NST_OK)
        st = nst_engine_new(&w->engine, p, err);
    if (st == NST_OK && p->trace) /* last: a refused run spares the trace of another */
        st = nst_trace_open(&w->trace, p->trace, err);
    if (st == NST_OK && p->verbose)
        fprintf(stderr, "nst: model %s, content %dx%d, style %dx%d, %d threads\n",
                nst_engine_model_path(w->engine), w->content->width, w->content->height,
                w->style->width, w->style->height, nst_engine_threads(w->engine));
    return st;
}

static enum nst_status stylise(struct work *w, struct nst_err *err)
{
    enum nst_progress_kind kind =
        w->p->quiet ? NST_PROGRESS_NONE : (enum nst_progress_kind)w->p->progress;
    struct nst_image content = {w->content->rgb, w->content->height, w->content->width};
    struct nst_image style = {w->style->rgb, w->style->height, w->style->width};
    struct nst_job_events events = {w, on_evaluation, on_step, on_stop};
    enum nst_status st;

    w->progress = nst_progress_new(kind, "nst", w->p->iterations);
    st = nst_job_run(w->engine, w->p, content, style, &events, &w->result, err);
    nst_progress_end(w->progress, st == NST_OK ? &w->result : NULL);
    return st;
}

static struct nst_record record_of(const struct work *w)
{
    return (struct nst_record){.params = w->p,
                               .content = w->line->content,
                               .style = w->p->style,
                               .output = w->p->output,
                               .model_name = nst_engine_model_name(w->engine),
                               .model_path = nst_engine_model_path(w->engine),
                               .width = w->content->width,
                               .height = w->content->height,
                               .threads = nst_engine_threads(w->engine),
                               .result = &w->result};
}

static enum nst_status write_results(struct work *w, struct nst_err *err)
{
    struct nst_record record = record_of(w);
    char *comment = nst_record_recipe(&record);
    enum nst_status st =
        nst_output_write(w->output, w->content, w->result.rgb, comment, err);
    struct nst_trace *trace = w->trace;

    free(comment);
    w->trace = NULL;
    if (st != NST_OK) {
        nst_trace_close(trace, NULL, NULL);
        return st;
    }
    return nst_trace_close(trace, &w->result.final, err);
}

/* The picture is written; that it cannot be recorded is worth a word, no more. */
static void write_history(const struct work *w)
{
    struct nst_record record = record_of(w);
    char *path = nst_history_path(w->p->history);
    struct nst_err err;

    if (path && w->result.end != NST_JOB_STOPPED &&
        nst_history_append(path, &record, &err) != NST_OK)
        complain(EXIT_FAILED, err.text);
    free(path);
}

static void report(const struct work *w)
{
    const struct nst_job_result *r = &w->result;

    if (w->p->quiet)
        return;
    if (r->end == NST_JOB_CONVERGED)
        fprintf(stderr,
                "nst: converged after %lld steps: none lowers the loss further\n",
                (long long)r->iterations);
    if (r->end == NST_JOB_STOPPED)
        fprintf(stderr,
                "nst: stopped after %lld steps, the picture so far is written\n",
                (long long)r->iterations);
    if (w->p->verbose)
        fprintf(
            stderr,
            "nst: loss %.6g to %.6g in %lld steps, %lld evaluations, %.2f s, at most "
            "%zu MiB\n",
            r->first.total_loss, r->final.total_loss, (long long)r->iterations,
            (long long)r->evaluations, r->seconds, nst_peak_memory() >> 20);
}

static void clear_work(struct work *w)
{
    nst_trace_close(w->trace, NULL, NULL);
    nst_output_free(w->output);
    nst_picture_free(w->content);
    nst_picture_free(w->style);
    nst_engine_free(w->engine);
    free(w->result.rgb);
}

static int run(struct line *l)
{
    struct work w = {.line = l, .p = &l->params};
    struct nst_err err;
    enum nst_status st = prepare(&w, &err);

    if (st == NST_OK)
        st = stylise(&w, &err);
    if (st == NST_OK)
        st = write_results(&w, &err);
    if (st == NST_OK) {
        write_history(&w);
        report(&w);
    } else
        complain(EXIT_FAILED, err.text);
    clear_work(&w);
    if (st != NST_OK)
        return EXIT_FAILED;
    return caught && w.result.end == NST_JOB_STOPPED ? 128 + caught : EXIT_DONE;
}

int main(int argc, char **argv)
{
    struct line l = {.set = NULL};
    struct nst_err err;
    int status;

    keep_standard_streams();
    argv[0] = program_invocation_short_name; /* messages begin with it */
    setlocale(LC_CTYPE, "");
    parse_line(&l, argc, argv);
    catch_signals();
    if (nst_picture_init(argv[0], &err) != NST_OK)
        return complain(EXIT_FAILED, err.text);
    status = run(&l);
    nst_picture_shutdown();
    nst_params_clear(&l.params);
    free(l.set);
    return status;
}
