/* SPDX-License-Identifier: MIT */
/*
 * nst - stylise pictures, one after the other. The command line comes from the option
 * table; what happens to the pictures is the floors' business.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/adapt.h"
#include "cli/args.h"
#include "cli/dryrun.h"
#include "cli/progress.h"
#include "cli/styles.h"
#include "cli/stylise.h"
#include "job/colours.h"
#include "record/history.h"
#include "record/record.h"

static volatile sig_atomic_t caught; /* the signal that asked us to stop, or 0 */

/* A first signal asks for the best picture so far; a second one, of either kind, ends
 * us at once. */
static void on_signal(int number)
{
    caught = number;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

/* Even where a shell ignores SIGINT for its background jobs: who sends it to one means
 * it. */
static void catch_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal};

    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
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
            exit(NST_EXIT_FAILED);
}

static int complain(int status, const char *message)
{
    fprintf(stderr, "nst: %s\n", message);
    return status;
}

/* Everything that one picture's run holds; freed in one place. */
struct work {
    const struct nst_item *item;
    struct nst_params *p;
    struct nst_engine *engine; /* of all runs, made by the first that needs it */
    char *inputs;              /* of nst_record_inputs() */
    bool skipped;              /* --skip-done: the result is there */
    bool hopeless;             /* what went wrong would go wrong for every picture */
    struct nst_output *output;
    struct nst_trace *trace;
    struct nst_picture *content, *init, *keep;
    struct nst_styles_read styles;
    struct nst_plan plan;
    struct nst_progress *progress;
    struct nst_job_result result;
    float *rgb; /* the result */
};

/* Before this there is no picture to save. */
static void on_begun(void *ctx)
{
    (void)ctx;
    catch_signals();
}

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

static void on_reweighed(void *ctx, const struct nst_evaluation *e, const char *loss,
                         double from, double to)
{
    struct work *w = ctx;

    if (!w->p->quiet)
        fprintf(stderr,
                "nst: adaptive: the %s loss rose, step %lld: its weight %g to %g\n",
                loss, (long long)e->iteration, from, to);
}

static bool on_stop(void *ctx)
{
    (void)ctx;
    return caught != 0;
}

/* What the plan takes from the user, who did not ask for it. */
static void say_plan(struct work *w)
{
    const struct nst_plan *plan = &w->plan;

    if (!w->p->quiet && !w->p->dry_run && !w->p->tile && plan->tile)
        fprintf(stderr, "nst: works in %d x %d tiles to stay within %zu MiB%s\n",
                plan->tile_columns, plan->tile_rows, plan->limit >> 20,
                plan->recompute_content ? ", and works out content features anew" : "");
    if (!w->p->quiet && !w->p->dry_run && plan->curvature_pairs < w->p->curvature_pairs)
        fprintf(
            stderr, "nst: keeps %d curvature pairs of %lld to stay within %zu MiB\n",
            plan->curvature_pairs, (long long)w->p->curvature_pairs, plan->limit >> 20);
    nst_plan_apply(plan, w->p);
}

static size_t pixels(const struct nst_picture *p)
{
    return (size_t)p->height * (size_t)p->width;
}

static int longest(const struct nst_picture *p)
{
    return p->height > p->width ? p->height : p->width;
}

static enum nst_status make_plan(struct work *w, struct nst_err *err)
{
    const struct nst_picture *c = w->content;
    int border = 2 * nst_border(w->p), height, width;

    nst_styles_largest(&w->styles, &height, &width);
    return nst_plan_make(&w->plan, w->engine, w->p, c->height + border,
                         c->width + border, height, width, err);
}

static void match_colours(struct work *w)
{
    for (int i = 0; i < w->styles.count; i++)
        nst_colours_match(w->styles.of[i].picture->rgb, pixels(w->styles.of[i].picture),
                          w->content->rgb, pixels(w->content));
}

static void say_sizes(const struct work *w)
{
    const struct nst_picture *style = w->styles.of[0].picture;
    char size[32] = "pack";

    if (style)
        snprintf(size, sizeof size, "%dx%d", style->width, style->height);
    fprintf(stderr, "nst: model %s, content %dx%d, style %s, %d threads\n",
            nst_engine_model_path(w->engine), w->content->width, w->content->height,
            size, nst_engine_threads(w->engine));
}

static struct nst_record record_of(const struct work *w)
{
    const struct nst_vgg *v = nst_engine_network(w->engine);

    return (struct nst_record){.params = w->p,
                               .content = w->item->content,
                               .output = w->item->output,
                               .model_name = nst_engine_model_name(w->engine),
                               .model_path = nst_engine_model_path(w->engine),
                               .network = nst_vgg_fingerprint(v, nst_vgg_convs(v) - 1),
                               .inputs = w->inputs,
                               .width = w->content ? w->content->width : 0,
                               .height = w->content ? w->content->height : 0,
                               .threads = nst_engine_threads(w->engine),
                               .result = &w->result};
}

/* Is the result there already? */
static bool is_done(const struct work *w)
{
    struct nst_record record = record_of(w);
    char *comment;
    bool done;

    if (!w->p->skip_done || strcmp(w->item->output, "-") == 0)
        return false;
    comment = nst_picture_comment(w->item->output);
    done = nst_record_matches(&record, comment);
    free(comment);
    if (done && !w->p->quiet)
        fprintf(stderr, "nst: %s: is done\n", w->item->output);
    return done;
}

/* Reserve the output and read everything, so that what is wrong shows at once. */
static enum nst_status prepare(struct work *w, struct nst_err *err)
{
    struct nst_params *p = w->p;
    struct nst_picture_size size = {(int)p->size, p->square, p->max_pixels};
    enum nst_status st = NST_OK;

    if (!w->engine) {
        st = nst_engine_new(&w->engine, p, err);
        w->hopeless = st != NST_OK;
    }
    if (st != NST_OK)
        return st;
    w->inputs = nst_record_inputs(p, w->item->content);
    w->skipped = is_done(w);
    if (w->skipped)
        return NST_OK;
    if (!p->dry_run)
        st = nst_output_open(&w->output, w->item->output, err);
    if (st == NST_OK) {
        st = nst_styles_read(&w->styles, p, &size, err);
        w->hopeless = st != NST_OK;
    }
    if (st == NST_OK)
        st = nst_picture_load(&w->content, w->item->content, &size, err);
    if (st == NST_OK && nst_starts_from_file(p)) {
        st = nst_picture_load(&w->init, p->init, &size, err);
        w->hopeless = st != NST_OK;
    }
    if (st == NST_OK && p->keep_mask) {
        st = nst_picture_load(&w->keep, p->keep_mask, &size, err);
        w->hopeless = st != NST_OK;
    }
    if (st == NST_OK)
        nst_adapt(p, w->content, &w->styles);
    if (st == NST_OK && p->colour == NST_COLOUR_MATCH)
        match_colours(w);
    if (st == NST_OK) {
        st = nst_styles_check(&w->styles, p, w->engine, err);
        w->hopeless = st != NST_OK;
    }
    if (st == NST_OK)
        st = make_plan(w, err);
    if (st == NST_OK && p->trace &&
        !p->dry_run) /* last: a refused run spares the trace of another */
        st = nst_trace_open(&w->trace, p->trace, err);
    if (st == NST_OK)
        say_plan(w);
    if (st == NST_OK && p->verbose && !p->quiet)
        say_sizes(w);
    return st;
}

static enum nst_status stylise(struct work *w, struct nst_err *err)
{
    enum nst_progress_kind kind =
        w->p->quiet ? NST_PROGRESS_NONE : (enum nst_progress_kind)w->p->progress;
    struct nst_stylising s = {w->engine,  w->p,    &w->plan, w->content,
                              &w->styles, w->init, w->keep};
    struct nst_job_events events = {.ctx = w,
                                    .begun = on_begun,
                                    .evaluated = on_evaluation,
                                    .stepped = on_step,
                                    .stop = on_stop,
                                    .reweighed = on_reweighed};
    enum nst_status st;

    w->progress =
        nst_progress_new(kind, "nst", nst_scales_iterations(w->p, longest(w->content)));
    st = nst_stylise(&s, &events, &w->rgb, &w->result, err);
    nst_progress_end(w->progress, st == NST_OK ? &w->result : NULL);
    if (st == NST_OK && w->p->colour == NST_COLOUR_CONTENT)
        nst_colours_keep(w->rgb, w->content->rgb, pixels(w->content));
    return st;
}

static enum nst_status write_results(struct work *w, struct nst_err *err)
{
    struct nst_record record = record_of(w);
    char *comment = nst_record_recipe(&record);
    enum nst_status st = nst_output_write(w->output, w->content, w->rgb, comment, err);
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
    char *path = nst_history_path(w->p->history), *line = nst_record_line(&record);
    struct nst_err err;

    if (path && w->result.end != NST_JOB_STOPPED &&
        nst_history_append(path, line, &err) != NST_OK)
        complain(NST_EXIT_FAILED, err.text);
    free(line);
    free(path);
}

static void report(const struct work *w)
{
    const struct nst_job_result *r = &w->result;

    if (w->p->quiet)
        return;
    if (r->end == NST_JOB_CONVERGED)
        fprintf(stderr,
                "nst: converged after %lld steps: the loss hardly falls any more\n",
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
            (long long)r->evaluations, r->seconds, nst_memory_peak() >> 20);
}

static void clear_work(struct work *w)
{
    nst_trace_close(w->trace, NULL, NULL);
    nst_output_free(w->output);
    nst_picture_free(w->content);
    nst_styles_clear(&w->styles);
    nst_picture_free(w->init);
    nst_picture_free(w->keep);
    free(w->rgb);
    free(w->inputs);
}

/* One picture, from beginning to end. */
static enum nst_status run(struct work *w)
{
    struct nst_err err;
    enum nst_status st = prepare(w, &err);

    if (w->skipped)
        return st;
    if (st == NST_OK)
        st = w->p->dry_run
                 ? nst_dryrun_print(&w->plan, w->engine, w->p, w->p->json, &err)
                 : stylise(w, &err);
    if (st == NST_OK && !w->p->dry_run)
        st = write_results(w, &err);
    if (st == NST_OK && !w->p->dry_run) {
        write_history(w);
        report(w);
    }
    if (st != NST_OK)
        complain(NST_EXIT_FAILED, err.text);
    return st;
}

/* All pictures; one that fails does not keep the others from being made. */
static int run_all(struct nst_args *a)
{
    struct nst_engine *engine = NULL;
    size_t done = 0, skipped = 0, failed = 0;
    bool stopped = false;
    struct nst_err err;

    if (nst_styles_choose_model(&a->params, &err) != NST_OK)
        return complain(NST_EXIT_FAILED, err.text);
    for (size_t i = 0; i < a->batch.items && !stopped; i++) {
        struct nst_params p = a->params; /* a plan is made for each */
        struct work w = {.item = &a->batch.item[i], .p = &p, .engine = engine};

        if (a->batch.directory && !p.dry_run && !nst_batch_make_folder(w.item))
            failed++;
        else if (run(&w) != NST_OK)
            failed++;
        else if (w.skipped)
            skipped++;
        else
            done++;
        engine = w.engine;
        stopped = caught && (w.result.end == NST_JOB_STOPPED || i + 1 < a->batch.items);
        if (w.hopeless)
            i = a->batch.items;
        clear_work(&w);
    }
    nst_engine_free(engine);
    if (a->batch.items > 1 && (!a->params.quiet || failed))
        fprintf(stderr, "nst: %zu done, %zu skipped, %zu failed\n", done, skipped,
                failed);
    if (failed)
        return NST_EXIT_FAILED;
    return stopped ? 128 + caught : NST_EXIT_DONE;
}

int main(int argc, char **argv)
{
    struct nst_args a = {.set = NULL};
    struct nst_err err;
    int status;

    keep_standard_streams();
    argv[0] = program_invocation_short_name; /* messages begin with it */
    setlocale(LC_CTYPE, "");
    nst_args_parse(&a, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    if (nst_picture_init(argv[0], &err) != NST_OK)
        return complain(NST_EXIT_FAILED, err.text);
    nst_args_batch(&a);
    status = run_all(&a);
    nst_picture_shutdown();
    nst_args_clear(&a);
    return status;
}
