/* SPDX-License-Identifier: MIT */
/*
 * A thread waits for the signals, which all other threads block. So a signal interrupts
 * no system call, and the thread may print and take locks.
 */
#include "config.h"

#include "cli/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

/* Time for images without a result to end by themselves. Until it is over, further
 * signals count as one with the first: timeout(1) sends its signal twice, and the shell
 * and the kernel both send SIGHUP when a terminal closes. */
#define GRACE_NS 200000000
#define POLL_NS 50000000
#define STACK_SIZE 65536

static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
#define NUMBERS (sizeof numbers / sizeof *numbers)

static struct {
    sigset_t set; /* without those that are ignored */
    atomic_int number;
    void (*end)(void *ctx, int number);
    void *ctx;

    pthread_mutex_t lock; /* for the members below */
    int held;
    bool finished;
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void wait_ns(long ns)
{
    const struct timespec t = {0, ns};

    nanosleep(&t, NULL);
}

/* Drop signals that came meanwhile. The next SIGINT or SIGTERM ends the program. */
static void restore_default_actions(void)
{
    for (size_t i = 0; i < NUMBERS; i++)
        if (sigismember(&watch.set, numbers[i])) {
            signal(numbers[i], SIG_IGN); /* discards a pending one */
            if (numbers[i] != SIGHUP)
                signal(numbers[i], SIG_DFL);
        }
    pthread_sigmask(SIG_UNBLOCK, &watch.set, NULL);
}

static void *watch_main(void *unused)
{
    int number;

    (void)unused;
    while (sigwait(&watch.set, &number) != 0)
        ;
    watch.number = number;
    wait_ns(GRACE_NS);
    restore_default_actions();
    for (;;) {
        pthread_mutex_lock(&watch.lock);
        if (!watch.held && !watch.finished)
            watch.end(watch.ctx, number);
        pthread_mutex_unlock(&watch.lock);
        wait_ns(POLL_NS);
    }
    return NULL;
}

void nst_interrupt_watch(void (*end)(void *ctx, int number), void *ctx)
{
    struct sigaction action;
    pthread_attr_t small;
    pthread_t thread;

    watch.end = end;
    watch.ctx = ctx;
    sigemptyset(&watch.set);
    for (size_t i = 0; i < NUMBERS; i++)
        if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(&watch.set, numbers[i]);
    pthread_sigmask(SIG_BLOCK, &watch.set, NULL);
    pthread_attr_init(&small);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&small, STACK_SIZE);
    if (pthread_create(&thread, &small, watch_main, NULL) != 0)
        pthread_sigmask(SIG_UNBLOCK, &watch.set, NULL); /* signals end the program */
    pthread_attr_destroy(&small);
}

int nst_interrupt_number(void)
{
    return watch.number;
}

static void add_held(int n)
{
    pthread_mutex_lock(&watch.lock);
    watch.held += n;
    pthread_mutex_unlock(&watch.lock);
}

void nst_interrupt_hold(void)
{
    add_held(1);
}

void nst_interrupt_release(void)
{
    add_held(-1);
}

void nst_interrupt_finish(void)
{
    pthread_mutex_lock(&watch.lock);
    watch.finished = true;
    pthread_mutex_unlock(&watch.lock);
}
