/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/exit.h"
#include "nst.h"

int nst_program_main(int argc, char **argv, const struct argp *argp, void *arguments,
                     enum nst_status (*run)(void *arguments, struct nst_err *err))
{
    struct nst_err err;
    enum nst_status st;

    nst_exit_setup(argv);
    signal(SIGXFSZ, SIG_IGN); /* writes fail with EFBIG instead */
    argp_parse(argp, argc, argv, 0, NULL, arguments);
    st = nst_picture_init(argv[0], &err);
    if (st == NST_OK) {
        st = run(arguments, &err);
        nst_picture_shutdown();
    }
    if (st != NST_OK)
        fprintf(stderr, "%s: %s\n", argv[0], err.text);
    return nst_exit_status(st);
}

enum nst_status nst_protect_input(const char *output, const char *input,
                                  struct nst_err *err)
{
    struct stat a, b;

    if (output && stat(output, &a) == 0 && stat(input, &b) == 0 &&
        a.st_dev == b.st_dev && a.st_ino == b.st_ino)
        return nst_err_set(err, NST_ERR_ARG,
                           "%s: is an input file and will not be overwritten", output);
    return NST_OK;
}

void nst_print_json(const json_t *j, size_t digits)
{
    char *text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(digits));

    puts(text);
    free(text);
}
