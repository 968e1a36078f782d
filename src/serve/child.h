/* SPDX-License-Identifier: MIT */
/*
 * child.h - programs that handle what clients sent, each in a process of its own, which
 * takes nothing with it when it falls. Children
 * - end with the thread that started them, however it ends;
 * - gain no privileges, open no sockets, trace and signal nobody (seccomp), and write
 * to no file outside one folder (Landlock, where the kernel has it);
 * - have bounded memory, processor time and files.
 */
#ifndef NST_SERVE_CHILD_H
#define NST_SERVE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Addresses that a program takes besides the memory it works in. */
#define SERVE_LIBRARIES ((size_t)2 << 30)

struct serve_limits {
    size_t memory;      /* bytes of addresses; 0: any */
    unsigned seconds;   /* of the processors, at most */
    const char *folder; /* that may be written to; NULL: none */
};

struct serve_child {
    pid_t pid;
    int out, err; /* to be read from: standard output and standard error */
};

/* The program called name beside this one, or else in the path: a new string. */
char *serve_program(const char *name);

/* False if there cannot be one more process, or argv[0] cannot be run: errno. */
bool serve_child_start(struct serve_child *c, const char *const *argv,
                       const struct serve_limits *limits);

/* Wait for its end: its status as of waitpid(). Closes out and err. */
int serve_child_end(struct serve_child *c);

/*
 * Run one to its end, but no longer than that. Its status; -1 if it could not be
 * started, or took too long. *out and *err, which may be NULL, become what it wrote, up
 * to 64 KiB: new strings.
 */
int serve_child_run(const char *const *argv, const struct serve_limits *limits,
                    unsigned seconds, char **out, char **err);

#endif
