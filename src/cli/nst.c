/* SPDX-License-Identifier: MIT */
/*
 * nst - stylise pictures. Here are the signals, the standard streams and the exit status;
 * the command line is args.c's business, and who makes the pictures is side.c's.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/side.h"
#include "cli/styles.h"

static volatile sig_atomic_t caught; /* the signal that asked us to stop, or 0 */

/* A first signal asks for the best picture so far; a second one, of either kind, ends
 * us at once. */
static void on_signal(int number)
{
    caught = number;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

/* nst_maker.begun: before this there is no picture to save. Even where a shell ignores
 * SIGINT for its background jobs: who sends it to one means it. */
static void catch_signals(void *ctx)
{
    struct sigaction a = {.sa_handler = on_signal};

    (void)ctx;
    if (caught) /* by a picture that began earlier */
        return;
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
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

/* All pictures; one that fails does not keep the others from being made. */
static int make_all(struct nst_args *a)
{
    struct nst_sides made;
    struct nst_err err;

    if (nst_styles_choose_model(&a->params, &err) != NST_OK)
        return complain(err.text);
    if (!nst_sides_run(&a->batch, &a->params, catch_signals, is_caught, &made))
        return NST_EXIT_FAILED;
    if (a->batch.items > 1 && (!a->params.quiet || made.failed))
        fprintf(stderr, "nst: %zu done, %zu skipped, %zu failed\n", made.done,
                made.skipped, made.failed);
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
    /* An arena for each thread would take 64 MiB of the addresses that ulimit -v leaves,
     * and keep what another could use. */
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
