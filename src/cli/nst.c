/* SPDX-License-Identifier: MIT */
/*
 * nst - stylise pictures. This file handles standard streams, the output of a run and
 * the exit status; args.c parses the command line, interrupt.c handles signals.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/exit.h"
#include "base/line.h"
#include "base/path.h"
#include "cli/args.h"
#include "cli/dryrun.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "nst.h"

/* A file opened while one of descriptors 0, 1 and 2 is closed would get its number, and
 * receive what is meant for a person or a pipe. So open closed ones in the wrong
 * direction: using them fails. */
static void ensure_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            exit(NST_EXIT_FAILED);
}

static int print_error(const struct nst_err *err)
{
    fprintf(stderr, "nst: %s\n", err->text);
    return nst_exit_status(err->status);
}

static void out_of_memory(void)
{
    fputs("nst: out of memory\n", stderr);
}

/* Reports a run on standard error, and estimates on standard output. */
struct run_reporter {
    const struct nst_args *args;
    struct nst_progress_batch *progress;
    FILE *progress_file; /* or NULL */
    /* The first downscaled picture was reported, or need not be. */
    atomic_bool downscale_reported;
    bool sigpipe; /* was not ignored at the start */
    bool *held;   /* for each picture: it has a result to write */
    atomic_size_t requested;
    struct nst_run_counts counts; /* as picture_done() counts them */
};

static size_t index_of(const struct run_reporter *t, const struct nst_batch_item *item)
{
    return (size_t)(item - t->args->batch.item);
}

static void on_ready(void *ctx, int parallel)
{
    struct run_reporter *t = ctx;
    const struct nst_params *p = &t->args->params;

    t->progress = nst_progress_batch_new(p->quiet || p->dry_run
                                             ? NST_PROGRESS_NONE
                                             : (enum nst_progress_kind)p->progress,
                                         t->progress_file, &t->args->batch, parallel);
}

/* Whether the reader of standard output, where the result goes, has closed the pipe. */
static bool reader_has_gone(const struct run_reporter *t)
{
    const struct nst_params *p = &t->args->params;
    struct pollfd out = {STDOUT_FILENO, 0, 0};

    return t->sigpipe && (p->dry_run || strcmp(p->output, "-") == 0) &&
           poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

/* End as other filters do when their reader has gone: quietly, by SIGPIPE. */
static void end_by_sigpipe(void)
{
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
}

static void on_message(void *ctx, const char *line)
{
    const struct run_reporter *t = ctx;

    if (reader_has_gone(t))
        return;
    if (t->progress)
        nst_progress_message(t->progress, line);
    else
        fprintf(stderr, "nst: %s\n", line);
}

/* Reported once, for the first picture, unless the user chose the size. */
static void on_picture_downscaled(void *ctx, const struct nst_batch_item *item,
                                  int from_height, int from_width, int height,
                                  int width)
{
    struct run_reporter *t = ctx;
    struct nst_err line;

    if (atomic_exchange(&t->downscale_reported, true))
        return;
    nst_err_set(&line, NST_OK,
                "%s: %d x %d pixels, stylised at %d x %d; -S native for its own size",
                strcmp(item->content, "-") == 0 ? "standard input" : item->content,
                from_width, from_height, width, height);
    on_message(t, line.text);
}

static void on_estimated(void *ctx, const struct nst_batch_item *item,
                         const struct nst_estimate *e)
{
    const struct run_reporter *t = ctx;

    nst_dryrun_print(e, t->args->batch.items > 1 ? item->content : NULL,
                     t->args->params.json);
}

static void *on_picture_started(void *ctx, const struct nst_batch_item *item,
                                int64_t planned)
{
    const struct run_reporter *t = ctx;

    return nst_progress_new(t->progress, item, planned);
}

static void on_stepped(void *picture, const struct nst_evaluation *e, int64_t done,
                       int64_t planned)
{
    nst_progress_step(picture, e, done, planned);
}

static void on_picture_finished(void *picture, const struct nst_job_result *result)
{
    nst_progress_end(picture, result);
}

static void on_optimisation_started(void *ctx, const struct nst_batch_item *item)
{
    struct run_reporter *t = ctx;

    t->held[index_of(t, item)] = true;
    nst_interrupt_hold();
}

static void on_picture_done(void *ctx, const struct nst_batch_item *item,
                            enum nst_outcome outcome)
{
    struct run_reporter *t = ctx;

    nst_run_count(&t->counts, outcome);
    nst_progress_batch_advance(t->progress, item, outcome);
    if (t->held[index_of(t, item)])
        nst_interrupt_release();
}

static bool should_stop(void *ctx)
{
    (void)ctx;
    return nst_interrupt_number() != 0;
}

/* Print how many of several pictures are done and, after a signal or an error that all
 * would have, how many were interrupted and are left. */
static void print_counts(const struct run_reporter *t)
{
    const struct nst_run_counts *c = &t->counts;
    size_t requested = t->requested, left;
    char interrupted[40] = "", rest[32] = "";

    if (requested < 2 || (t->args->params.quiet && !c->failed))
        return;
    left = requested - c->done - c->skipped - c->failed - c->interrupted;
    if (c->interrupted)
        snprintf(interrupted, sizeof interrupted, ", %zu interrupted", c->interrupted);
    if (left)
        snprintf(rest, sizeof rest, ", %zu left", left);
    fprintf(stderr, "nst: %zu done, %zu skipped, %zu failed%s%s\n", c->done, c->skipped,
            c->failed, interrupted, rest);
}

/* For nst_interrupt_watch(): other threads are blocked, or busy in vain. */
static void end_now(void *ctx, int number)
{
    const struct run_reporter *t = ctx;

    if (t->progress)
        nst_progress_batch_end_bar(t->progress);
    if (!t->args->params.quiet)
        fprintf(stderr, "nst: stopped by SIG%s\n", sigabbrev_np(number));
    print_counts(t);
    _exit(128 + number);
}

static void report_progress_file(const struct run_reporter *t, const char *problem)
{
    char *line =
        nst_xasprintf("progress-file: %s: %s", t->args->params.progress_file, problem);

    nst_sanitise_line(line);
    fprintf(stderr, "nst: %s\n", line);
    free(line);
}

/* Open --progress-file; it is written line by line, for a reader during the run.
 * Returns the exit status. */
static int open_progress_file(struct run_reporter *t)
{
    const struct nst_params *p = &t->args->params;
    enum nst_status st;

    if (!p->progress_file || p->dry_run)
        return NST_EXIT_DONE;
    t->progress_file = fopen(p->progress_file, "we");
    if (!t->progress_file) {
        st = nst_open_status(errno);
        report_progress_file(t, strerror(errno));
        return nst_exit_status(st);
    }
    setvbuf(t->progress_file, NULL, _IOLBF, 0);
    return NST_EXIT_DONE;
}

static void close_progress_file(struct run_reporter *t)
{
    bool failed = t->progress_file && ferror(t->progress_file);

    if (t->progress_file && (fclose(t->progress_file) != 0 || failed))
        report_progress_file(t, "could not be written");
}

static void report_left_out(const struct nst_args *a)
{
    char *line;

    if (!a->batch.left_out || a->params.quiet)
        return;
    line = nst_xasprintf("%zu left out: %s: not a regular file with the extension of "
                         "an image",
                         a->batch.left_out, a->batch.left_out_names);
    nst_sanitise_line(line);
    fprintf(stderr, "nst: %s\n", line);
    free(line);
}

static int run_batch(struct run_reporter *t)
{
    const struct nst_args *a = t->args;
    const struct nst_run_events events = {.ctx = t,
                                          .ready = on_ready,
                                          .stop = should_stop,
                                          .message = on_message,
                                          .estimated = on_estimated,
                                          .picture_started = on_picture_started,
                                          .picture_downscaled = on_picture_downscaled,
                                          .optimisation_started =
                                              on_optimisation_started,
                                          .stepped = on_stepped,
                                          .picture_finished = on_picture_finished,
                                          .picture_done = on_picture_done};
    struct nst_run_counts counts;
    struct nst_err err;
    enum nst_status st;
    int status;

    status = open_progress_file(t);
    if (status != NST_EXIT_DONE)
        return status;
    t->downscale_reported = a->params.quiet || a->params.resume || a->size_given;
    t->held = nst_xcalloc(a->batch.items, sizeof *t->held);
    t->requested = a->batch.items;
    st = nst_run(&a->batch, &a->params, &events, &counts, &err);
    nst_interrupt_finish();
    free(t->held);
    if (st != NST_OK)
        return print_error(&err);
    nst_progress_batch_end(t->progress);
    close_progress_file(t);
    if ((fflush(stdout) != 0 || ferror(stdout) || counts.failed) && reader_has_gone(t))
        end_by_sigpipe();
    print_counts(t);
    if (counts.stopped)
        return 128 + nst_interrupt_number();
    return counts.failed ? nst_exit_status(counts.status) : NST_EXIT_DONE;
}

int main(int argc, char **argv)
{
    struct nst_args a = {.assignment = NULL};
    struct run_reporter reporter = {.args = &a};
    struct nst_err err;
    int status;

    ensure_standard_streams();
    nst_set_oom_handler(out_of_memory);
    /* One arena per thread would take 64 MiB of the address space that ulimit -v
     * leaves, and keep memory that other threads could use. */
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 1 << 20); /* freed buffers return to the system */
    nst_exit_setup(argv);
    setlocale(LC_CTYPE, "");
    nst_args_parse(&a, argc, argv);
    reporter.sigpipe = signal(SIGPIPE, SIG_IGN) != SIG_IGN;
    signal(SIGXFSZ, SIG_IGN); /* writes fail with EFBIG instead */
    nst_interrupt_watch(end_now, &reporter);
    if (nst_picture_init(argv[0], &err) != NST_OK)
        return print_error(&err);
    nst_args_build_batch(&a);
    report_left_out(&a);
    status = run_batch(&reporter);
    nst_picture_shutdown();
    nst_args_clear(&a);
    return status;
}
