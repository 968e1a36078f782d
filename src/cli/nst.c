/* SPDX-License-Identifier: MIT */
/*
 * nst - stylise pictures. Here are the signals, the standard streams, what a run tells,
 * and the exit status; the command line is args.c's business.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/dryrun.h"
#include "cli/progress.h"
#include "nst.h"

static volatile sig_atomic_t caught; /* the signal that asked us to stop, or 0 */

/* A first signal asks for the best picture so far; another SIGINT or SIGTERM ends us at
 * once. Of a terminal that goes away its shell and the system both tell. */
static void on_signal(int number)
{
    caught = number;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_IGN);
}

/* Before this there is no picture to save. Even where a shell ignores
 * SIGINT for its background jobs: who sends it to one means it. But nohup is for runs
 * that go on. */
static void catch_signals(void *ctx)
{
    struct sigaction a = {.sa_handler = on_signal}, hangup;

    (void)ctx;
    if (caught) /* by a picture that began earlier */
        return;
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &a, NULL);
}

static bool is_caught(void *ctx)
{
    (void)ctx;
    return caught != 0;
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

static int complain(const char *message)
{
    fprintf(stderr, "nst: %s\n", message);
    return NST_EXIT_FAILED;
}

static void out_of_memory(void)
{
    fputs("nst: out of memory\n", stderr);
}

/* What is told of a run goes to standard error, and a plan to standard output. */
struct telling {
    const struct nst_args *args;
    struct nst_progress_batch *progress;
    atomic_bool shrunk; /* it is said that a picture is made smaller, or need not be */
};

static void on_ready(void *ctx, int side_by_side)
{
    struct telling *t = ctx;
    const struct nst_params *p = &t->args->params;

    t->progress = nst_progress_batch_new(p->quiet ? NST_PROGRESS_NONE
                                                  : (enum nst_progress_kind)p->progress,
                                         t->args->batch.items, side_by_side);
}

static void on_line(void *ctx, const char *line)
{
    const struct telling *t = ctx;

    if (t->progress)
        nst_progress_line(t->progress, line);
    else
        fprintf(stderr, "nst: %s\n", line);
}

/* Said once, of the first picture, and not to who chose the size. */
static void on_shrunk(void *ctx, int from_height, int from_width, int height, int width)
{
    bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    const char *by = utf8 ? "\xc3\x97" : "x", *to = utf8 ? "\xe2\x86\x92" : "->";
    struct telling *t = ctx;
    char line[128];

    if (atomic_exchange(&t->shrunk, true))
        return;
    snprintf(line, sizeof line, "%d%s%d %s %d%s%d (-S for more)", from_width, by,
             from_height, to, width, by, height);
    on_line(t, line);
}

static void on_plan(void *ctx, const struct nst_item *item,
                    const struct nst_estimate *e)
{
    const struct telling *t = ctx;

    nst_dryrun_print(e, t->args->batch.items > 1 ? item->content : NULL,
                     t->args->params.json);
}

static void *on_picture(void *ctx, const struct nst_item *item, int64_t planned)
{
    const struct telling *t = ctx;

    return nst_progress_new(t->progress, item->content, planned);
}

static void on_step(void *picture, const struct nst_evaluation *e, int64_t done,
                    int64_t planned)
{
    nst_progress_step(picture, e, done, planned);
}

static void on_picture_end(void *picture, const struct nst_job_result *result)
{
    nst_progress_end(picture, result);
}

static void on_picture_over(void *ctx)
{
    const struct telling *t = ctx;

    nst_progress_batch_count(t->progress);
}

/* How many are made, and how many have not begun, after a signal or where all would
 * fail. */
static void say_counts(size_t asked, const struct nst_run_counts *made)
{
    size_t left = asked - made->done - made->skipped - made->failed;
    char rest[32] = "";

    if (left)
        snprintf(rest, sizeof rest, ", %zu left", left);
    fprintf(stderr, "nst: %zu done, %zu skipped, %zu failed%s\n", made->done,
            made->skipped, made->failed, rest);
}

static int make_all(const struct nst_args *a)
{
    struct telling telling = {
        .args = a, .shrunk = a->params.quiet || a->params.resume || a->sized};
    const struct nst_run_events events = {.ctx = &telling,
                                          .ready = on_ready,
                                          .stop = is_caught,
                                          .say = on_line,
                                          .planned = on_plan,
                                          .picture_begun = on_picture,
                                          .picture_shrunk = on_shrunk,
                                          .optimising = catch_signals,
                                          .stepped = on_step,
                                          .picture_ended = on_picture_end,
                                          .picture_over = on_picture_over};
    struct nst_run_counts made;
    struct nst_err err;

    if (nst_run(&a->batch, &a->params, &events, &made, &err) != NST_OK)
        return complain(err.text);
    nst_progress_batch_end(telling.progress);
    if (fflush(stdout) != 0 || ferror(stdout))
        return complain("cannot write to standard output");
    if (a->batch.items > 1 && (!a->params.quiet || made.failed))
        say_counts(a->batch.items, &made);
    if (made.failed)
        return NST_EXIT_FAILED;
    return made.stopped ? 128 + caught : NST_EXIT_DONE;
}

int main(int argc, char **argv)
{
    struct nst_args a = {.set = NULL};
    struct nst_err err;
    int status;

    keep_standard_streams();
    nst_on_out_of_memory(out_of_memory);
    /* An arena for each thread would take 64 MiB of the addresses that ulimit -v
     * leaves, and keep what another could use. */
    mallopt(M_ARENA_MAX, 1);
    argv[0] = program_invocation_short_name; /* messages begin with it */
    setlocale(LC_CTYPE, "");
    nst_args_parse(&a, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    if (nst_picture_init(argv[0], &err) != NST_OK)
        return complain(err.text);
    nst_args_batch(&a);
    status = make_all(&a);
    nst_picture_shutdown();
    nst_args_clear(&a);
    return status;
}
