/* SPDX-License-Identifier: MIT */
/*
 * args.h - the command line of nst: argp over the option table, the preset beneath it,
 * and what no single option can see.
 */
#ifndef NST_CLI_ARGS_H
#define NST_CLI_ARGS_H

#include "nst.h"

enum nst_exit { NST_EXIT_DONE = 0, NST_EXIT_FAILED = 1, NST_EXIT_USAGE = 2 };

/* Assignments are made after the preset's, which they beat. */
struct nst_args {
    struct nst_params params;
    const char *preset, *config; /* of argv */
    bool show_config, list_devices;
    bool size_given;      /* the size is one that the command line asks for */
    const char **content; /* of argv, as many as contents */
    size_t content_count;
    struct nst_batch batch; /* at least one picture, after nst_args_build_batch() */
    struct {
        const struct nst_option *option;
        const char *value;
    } * assignment;
    size_t assignments;
};

/* One line on standard error, and the end of the program: a wrong command line. */
void nst_usage_error(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/* Fill *a (all zero before), or nst_usage_error(). */
void nst_args_parse(struct nst_args *a, int argc, char **argv);
/* Look up the pictures, and say where each result goes; or nst_usage_error(). */
void nst_args_build_batch(struct nst_args *a);
void nst_args_clear(struct nst_args *a);

#endif
