/* SPDX-License-Identifier: MIT */
/*
 * program.h - what the programs beside nst have in common, from main() on.
 */
#ifndef NST_CLI_PROGRAM_H
#define NST_CLI_PROGRAM_H

#include <argp.h>
#include <jansson.h>
#include <stddef.h>

#include "nst.h"

#define NST_PROGRAM_USAGE 2 /* exit status of a wrong command line */

/*
 * Parse the command line into arguments, make libvips ready, and run. What run() puts
 * out is out when it returns, or that is a failure too. The exit status: 0, or 1 after
 * one line with the message on standard error.
 */
int nst_program_main(int argc, char **argv, const struct argp *argp, void *arguments,
                     enum nst_status (*run)(void *arguments, struct nst_err *err));

/* NST_ERR_ARG if output (NULL: none) is the file that input names: what is read is not
 * overwritten. */
enum nst_status nst_protect_input(const char *output, const char *input,
                                  struct nst_err *err);

/* Print j in one line, numbers with that many digits. */
void nst_print_json(const json_t *j, size_t digits);

#endif
