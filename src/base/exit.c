/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/exit.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum nst_exit nst_exit_status(enum nst_status st)
{
    if (st == NST_OK)
        return NST_EXIT_DONE;
    return st == NST_ERR_ARG     ? NST_EXIT_USAGE
           : st == NST_ERR_SPACE ? NST_EXIT_SPACE
                                 : NST_EXIT_FAILED;
}

/* argp ignores that --help, --usage and --version cannot be written. */
static void check_stdout(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return;
    fprintf(stderr, "%s: cannot write to standard output\n",
            program_invocation_short_name);
    _exit(NST_EXIT_FAILED);
}

static void print_version(FILE *f, struct argp_state *state)
{
    (void)state;
    fprintf(f, "%s %s\n", program_invocation_short_name, PACKAGE_VERSION);
}

void nst_exit_setup(char **argv)
{
    argv[0] = program_invocation_short_name;
    argp_program_version_hook = print_version;
    argp_err_exit_status = NST_EXIT_USAGE;
    atexit(check_stdout);
}
