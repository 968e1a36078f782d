/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - child processes for programs that read data of clients, so that a crash
 * or an exploit does not reach the service. Children
 * - die with the thread that started them;
 * - gain no privileges, and lose those of a root;
 * - start no processes, signal nobody, and leave nothing in the kernel
 *   (sandbox_calls.h);
 * - read what they need, and write in one folder (sandbox_files.h);
 * - get no variables of the environment but those of libraries;
 * - have limits on memory, CPU time and files;
 * - have the additional rights that CUDA needs, if they use a GPU.
 */
#ifndef NST_SERVE_SANDBOX_H
#define NST_SERVE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Address space that a program needs beyond its working memory. */
#define SERVE_ADDRESS_OVERHEAD ((size_t)2 << 30)

struct serve_sandbox_limits {
    size_t memory;             /* bytes of address space; 0: no limit */
    unsigned seconds;          /* CPU time */
    const char *folder;        /* of its own, for plain files; NULL: none */
    const char *const *inputs; /* may be read; ends with NULL; or NULL: none */
    bool gpu;                  /* may use a GPU; CUDA rules out the limit on memory */
    int nice;                  /* 0: as tasks; more: after them */
    int client;                /* a socket: serve_sandbox_run() kills the child when its
                                  peer closes it; 0: none */
};

struct serve_sandbox {
    pid_t pid;
    int out, err; /* read ends of standard output and standard error */
    int pidfd;    /* readable after exit; -1 if the kernel has no pidfd */
    int proc;     /* its folder in /proc, or -1 */
};

/* The path of a program next to this one, or else name for $PATH: a new string. */
char *serve_program_path(const char *name);

/* Find what children need: libraries, models, variables of the environment. model: as
 * for nst --model, or NULL. Call it before a child starts. */
void serve_sandbox_open(const char *model);
void serve_sandbox_close(void);

/* What children could do because this kernel cannot restrict it, or NULL. */
const char *serve_sandbox_gap(void);

/* Start a child. argv[0] is a path. False if fork or exec fails: errno. */
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
 * Run a child for at most seconds. Returns the status of waitpid(), -1 after a timeout
 * or when the client is gone, or SERVE_SANDBOX_FAILED. out and err may be NULL; *out
 * and *err are new strings with the first 64 KiB of its output.
 */
#define SERVE_SANDBOX_FAILED (-2) /* not started, or killed by a shutdown */
int serve_sandbox_run(const char *const *argv,
                      const struct serve_sandbox_limits *limits, unsigned seconds,
                      char **out, char **err);

#endif
