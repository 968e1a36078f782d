/* SPDX-License-Identifier: MIT */
/*
 * args.h - the command line of nst: argp over the option table, the preset beneath it,
 * and what no single option can see.
 */
#ifndef NST_CLI_ARGS_H
#define NST_CLI_ARGS_H

#include "job/options.h"

enum nst_exit { NST_EXIT_DONE = 0, NST_EXIT_FAILED = 1, NST_EXIT_USAGE = 2 };

/* One picture to be made. */
struct nst_item {
    const char *content; /* of argv */
    char *output;
};

/* Assignments are made after the preset's, which they beat. */
struct nst_args {
    struct nst_params params;
    const char *preset, *config; /* of argv */
    bool show_config;
    struct nst_item *item;
    size_t items;          /* at least 1 */
    const char *directory; /* that the outputs are in, made if need be; or NULL */
    struct {
        const struct nst_option *option;
        const char *value;
    } * set;
    size_t sets;
};

/* Fill *a (all zero before), or print one line and exit: this is main's own. */
void nst_args_parse(struct nst_args *a, int argc, char **argv);
void nst_args_clear(struct nst_args *a);

#endif
