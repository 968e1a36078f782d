/* SPDX-License-Identifier: MIT */
/* exit.h - how every program starts and ends: its exit status and standard output. */
#ifndef NST_BASE_EXIT_H
#define NST_BASE_EXIT_H

#include "base/err.h"

/* A program that a signal stops ends with 128 and the number of the signal. */
enum nst_exit {
    NST_EXIT_DONE = 0,
    NST_EXIT_FAILED = 1,
    NST_EXIT_USAGE = 2,
    NST_EXIT_SPACE = 3
};

/* The exit status for st: NST_EXIT_USAGE if what the user wrote must change
 * (NST_ERR_ARG), NST_EXIT_SPACE for NST_ERR_SPACE, NST_EXIT_FAILED for any other
 * failure. */
enum nst_exit nst_exit_status(enum nst_status st);

/* Call first in main(), before argp: messages begin with the program's name, --version
 * prints it, mistakes on the command line end with NST_EXIT_USAGE, and exit() fails
 * with a message if standard output could not be written. */
void nst_exit_setup(char **argv);

#endif
