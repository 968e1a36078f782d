/* SPDX-License-Identifier: MIT */
/* program.h - what the programs besides nst share, from main() on. */
#ifndef NST_CLI_PROGRAM_H
#define NST_CLI_PROGRAM_H

#include <argp.h>
#include <jansson.h>
#include <stddef.h>

#include "nst.h"

/* Parse the command line into arguments, initialise libvips and call run(). Returns the
 * exit status, after one line on standard error if run() fails. */
int nst_program_main(int argc, char **argv, const struct argp *argp, void *arguments,
                     enum nst_status (*run)(void *arguments, struct nst_err *err));

/* NST_ERR_ARG if output (NULL: none) is the same file as input, which must not be
 * overwritten. */
enum nst_status nst_protect_input(const char *output, const char *input,
                                  struct nst_err *err);

/* Print j on one line; reals have that many significant digits. */
void nst_print_json(const json_t *j, size_t digits);

#endif
