/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - child processes for programs that read data of clients, so that a crash
 * or an exploit does not reach the service. Children
 * - die with the thread that started them;
 * - gain no privileges, open no sockets, trace and signal no other process (seccomp),
 *   and write only below one folder (Landlock, if the kernel supports it);
 * - have limits on memory, CPU time and files;
 * - have the additional rights that CUDA needs, if they use a GPU (sandbox.c);
 * - are killed together with their descendants.
 */
#ifndef NST_SERVE_SANDBOX_H
#define NST_SERVE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Address space that a program needs beyond its working memory. */
#define SERVE_ADDRESS_OVERHEAD ((size_t)2 << 30)

struct serve_sandbox_limits {
    size_t memory;      /* bytes of address space; 0: no limit */
    unsigned seconds;   /* CPU time */
    const char *folder; /* writable; NULL: none */
    bool gpu;           /* may use a GPU; CUDA rules out the limit on memory */
};

struct serve_sandbox {
    pid_t pid;
    int out, err; /* read ends of standard output and standard error */
    int pidfd;    /* readable after exit; -1 if the kernel has no pidfd */
};

/* The path of a program next to this one, or else name for $PATH: a new string. */
char *serve_program_path(const char *name);

/* Start a child. False if fork or exec fails: errno. */
bool serve_sandbox_start(struct serve_sandbox *c, const char *const *argv,
                         const struct serve_sandbox_limits *limits);

/* Kill the child and its process group. */
void serve_sandbox_kill(const struct serve_sandbox *c);

/* Wait for the child, kill its process group and close its descriptors. Returns the
 * status of waitpid(). */
int serve_sandbox_wait(struct serve_sandbox *c);

/* Make current and later calls of serve_sandbox_run() kill their child. */
void serve_sandbox_shutdown(void);

/*
 * Run a child for at most seconds. Returns the status of waitpid(), -1 after a timeout,
 * or SERVE_SANDBOX_FAILED. out and err may be NULL; *out and *err are new strings with
 * the first 64 KiB of its output.
 */
#define SERVE_SANDBOX_FAILED (-2) /* not started, or killed by a shutdown */
int serve_sandbox_run(const char *const *argv,
                      const struct serve_sandbox_limits *limits, unsigned seconds,
                      char **out, char **err);

#endif
