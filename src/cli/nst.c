/* SPDX-License-Identifier: MIT */
/*
 * nst - stylise pictures. This file handles signals, standard streams, the output of a
 * run and the exit status; args.c parses the command line.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/exit.h"
#include "cli/args.h"
#include "cli/dryrun.h"
#include "cli/progress.h"
#include "nst.h"

static volatile sig_atomic_t caught_signal; /* the signal that asked for a stop, or 0 */

/* The first signal asks for the best picture so far; another SIGINT or SIGTERM ends the
 * program at once. SIGHUP may come twice: the shell and the kernel both send it when a
 * terminal closes. */
static void on_signal(int number)
{
    caught_signal = number;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_IGN);
}

/* Called when optimisation starts; before that there is no picture to save. SIGINT is
 * caught even if a shell ignores it for background jobs: a SIGINT sent to one is
 * intended. SIGHUP stays ignored under nohup, whose runs continue. */
static void catch_signals(void *ctx)
{
    struct sigaction a = {.sa_handler = on_signal}, hangup;

    (void)ctx;
    if (caught_signal) /* while an earlier picture ran */
        return;
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &a, NULL);
}

static bool should_stop(void *ctx)
{
    (void)ctx;
    return caught_signal != 0;
}

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
    /* The first downscaled picture was reported, or need not be. */
    atomic_bool downscale_reported;
};

static void on_ready(void *ctx, int parallel)
{
    struct run_reporter *t = ctx;
    const struct nst_params *p = &t->args->params;

    t->progress = nst_progress_batch_new(p->quiet ? NST_PROGRESS_NONE
                                                  : (enum nst_progress_kind)p->progress,
                                         t->args->batch.items, parallel);
}

static void on_message(void *ctx, const char *line)
{
    const struct run_reporter *t = ctx;

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

    return nst_progress_new(t->progress, item->content, planned);
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

static void on_picture_done(void *ctx)
{
    const struct run_reporter *t = ctx;

    nst_progress_batch_advance(t->progress);
}

/* Print how many pictures are done and, after a signal or an error that all would have,
 * how many are left. */
static void print_counts(size_t requested, const struct nst_run_counts *counts)
{
    size_t remaining = requested - counts->done - counts->skipped - counts->failed;
    char rest[32] = "";

    if (remaining)
        snprintf(rest, sizeof rest, ", %zu left", remaining);
    fprintf(stderr, "nst: %zu done, %zu skipped, %zu failed%s\n", counts->done,
            counts->skipped, counts->failed, rest);
}

static int run_batch(const struct nst_args *a)
{
    struct run_reporter reporter = {
        .args = a,
        .downscale_reported = a->params.quiet || a->params.resume || a->size_given};
    const struct nst_run_events events = {.ctx = &reporter,
                                          .ready = on_ready,
                                          .stop = should_stop,
                                          .message = on_message,
                                          .estimated = on_estimated,
                                          .picture_started = on_picture_started,
                                          .picture_downscaled = on_picture_downscaled,
                                          .optimisation_started = catch_signals,
                                          .stepped = on_stepped,
                                          .picture_finished = on_picture_finished,
                                          .picture_done = on_picture_done};
    struct nst_run_counts counts;
    struct nst_err err;

    if (nst_run(&a->batch, &a->params, &events, &counts, &err) != NST_OK)
        return print_error(&err);
    nst_progress_batch_end(reporter.progress);
    if (a->batch.items > 1 && (!a->params.quiet || counts.failed))
        print_counts(a->batch.items, &counts);
    if (counts.failed)
        return nst_exit_status(counts.status);
    return counts.stopped ? 128 + caught_signal : NST_EXIT_DONE;
}

int main(int argc, char **argv)
{
    struct nst_args a = {.assignment = NULL};
    struct nst_err err;
    int status;

    ensure_standard_streams();
    nst_set_oom_handler(out_of_memory);
    /* One arena per thread would take 64 MiB of the address space that ulimit -v
     * leaves, and keep memory that other threads could use. */
    mallopt(M_ARENA_MAX, 1);
    nst_exit_setup(argv);
    setlocale(LC_CTYPE, "");
    nst_args_parse(&a, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* writes fail with EFBIG instead */
    if (nst_picture_init(argv[0], &err) != NST_OK)
        return print_error(&err);
    nst_args_build_batch(&a);
    status = run_batch(&a);
    nst_picture_shutdown();
    nst_args_clear(&a);
    return status;
}
