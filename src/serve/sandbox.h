/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - programs that handle what clients sent, each in a process of its own,
 * which takes nothing with it when it falls. Children
 * - end with the thread that started them, however it ends;
 * - gain no privileges, open no sockets, trace and signal nobody (seccomp), and write
 * to no file outside one folder (Landlock, where the kernel has it);
 * - have bounded memory, processor time and files;
 * - may, if they are to use a GPU, what CUDA needs besides (sandbox.c);
 * - end with all that they began.
 */
#ifndef NST_SERVE_SANDBOX_H
#define NST_SERVE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Addresses that a program takes besides the memory it works in. */
#define SERVE_ADDRESS_OVERHEAD ((size_t)2 << 30)

struct serve_sandbox_limits {
    size_t memory;      /* bytes of addresses; 0: any */
    unsigned seconds;   /* of the processors, at most */
    const char *folder; /* that may be written to; NULL: none */
    bool gpu;           /* may use one; memory is no limit then, as of CUDA */
};

struct serve_sandbox {
    pid_t pid;
    int out, err; /* to be read from: standard output and standard error */
    int pidfd; /* readable once it has ended; -1 where the kernel has no such thing */
};

/* The program called name beside this one, or else in the path: a new string. */
char *serve_program_path(const char *name);

/* False if there cannot be one more process, or argv[0] cannot be run: errno. */
bool serve_sandbox_start(struct serve_sandbox *c, const char *const *argv,
                         const struct serve_sandbox_limits *limits);

/* Kill it, and all that it began. */
void serve_sandbox_kill(const struct serve_sandbox *c);

/* Wait for its end, kill what it began, and close what is open to it: its status as of
 * waitpid(). */
int serve_sandbox_wait(struct serve_sandbox *c);

/* What serve_sandbox_run() waits for is ended, from now on. */
void serve_sandbox_shutdown(void);

/*
 * Run one to its end, but no longer than that. Its status; -1 if it took too long, or
 * one of the below. *out and *err, which may be NULL, become what it wrote, up to
 * 64 KiB: new strings.
 */
#define SERVE_SANDBOX_FAILED (-2) /* it could not be started, or not finish: quit */
int serve_sandbox_run(const char *const *argv,
                      const struct serve_sandbox_limits *limits, unsigned seconds,
                      char **out, char **err);

#endif
