/* SPDX-License-Identifier: MIT */
/*
 * sandbox_files.h - the files that a sandboxed process may use (Landlock): it reads
 * what its programs need (the system's libraries, models, style packs) and its inputs,
 * and writes in one folder. Where the kernel can, it also reaches no TCP port, and no
 * process or abstract socket outside.
 */
#ifndef NST_SERVE_SANDBOX_FILES_H
#define NST_SERVE_SANDBOX_FILES_H

#include <stdbool.h>

/* Find what the programs need. model: as for nst --model, or NULL. Call it before a
 * process is restricted. */
void serve_files_open(const char *model);
void serve_files_close(void);

/* True if the kernel can restrict access to files. */
bool serve_files_can_be_restricted(void);

struct serve_files {
    const char *program;       /* may be executed, and nothing else */
    const char *folder;        /* for plain files of its own; NULL: none */
    const char *const *inputs; /* may be read; ends with NULL; or NULL */
    bool gpu;                  /* allow what CUDA needs */
};

/* Restrict this process and the program that it executes. Allocates nothing. False:
 * errno. */
bool serve_files_restrict(const struct serve_files *f);

#endif
