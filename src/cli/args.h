/* SPDX-License-Identifier: MIT */
/*
 * args.h - the command line of nst: parses it with argp and the option table, on top of
 * the configuration and a preset, and checks combinations of options.
 */
#ifndef NST_CLI_ARGS_H
#define NST_CLI_ARGS_H

#include "nst.h"

/* Assignments are applied after the preset and override it. */
struct nst_args {
    struct nst_params params;
    const char *preset, *config; /* from argv */
    bool show_config, list_devices;
    bool empty;           /* no arguments */
    bool size_given;      /* the command line sets the size */
    const char **content; /* from argv; content_count names */
    size_t content_count;
    char *resumed_content;  /* that of the run to resume, or NULL */
    struct nst_batch batch; /* not empty after nst_args_build_batch() */
    struct {
        const struct nst_option *option;
        const char *value;
    } * assignment;
    size_t assignments;
};

/* Fill *a, which must be all zero. Errors end the program. */
void nst_args_parse(struct nst_args *a, int argc, char **argv);
/* Collect the input images and name each result. Errors end the program. */
void nst_args_build_batch(struct nst_args *a);
void nst_args_clear(struct nst_args *a);

#endif
