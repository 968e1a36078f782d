/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/args.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "record/preset.h"

const char *argp_program_version = PACKAGE_STRING;

#define FIRST_KEY 0x100 /* argp keys of options without a letter */
#define PRESET_KEY 'p'

static __attribute__((noreturn)) void usage_error(const char *message)
{
    fprintf(stderr, "nst: %s\n", message);
    exit(NST_EXIT_USAGE);
}

static const struct nst_option *option_of_key(int key)
{
    for (size_t i = 0; i < nst_options_count; i++)
        if (key == (nst_options[i].key ? nst_options[i].key : FIRST_KEY + (int)i))
            return &nst_options[i];
    return NULL;
}

static void take_content(struct nst_args *a, const char *name)
{
    if (a->content)
        usage_error("one picture at a time: more than one CONTENT was given");
    a->content = name;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct nst_args *a = state->input;
    const struct nst_option *o = option_of_key(key);

    if (o) {
        a->set = realloc(a->set, (a->sets + 1) * sizeof *a->set);
        if (!a->set)
            abort();
        a->set[a->sets].option = o;
        a->set[a->sets++].value = arg ? arg : "true";
    } else if (key == PRESET_KEY)
        a->preset = arg;
    else if (key == ARGP_KEY_ARG)
        take_content(a, arg);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* The option table as argp wants it; lives as long as the program. */
static struct argp_option *argp_table(void)
{
    struct argp_option *t = nst_xcalloc(nst_options_count + 8, sizeof *t);
    size_t n = 0;

    for (int g = 1; nst_option_groups[g]; g++)
        t[n++] = (struct argp_option){.doc = nst_option_groups[g], .group = g};
    for (size_t i = 0; i < nst_options_count; i++) {
        const struct nst_option *o = &nst_options[i];

        t[n].name = o->name;
        t[n].key = o->key ? o->key : FIRST_KEY + (int)i;
        t[n].arg = o->arg;
        t[n].group = o->group;
        t[n++].doc = o->help;
    }
    t[n++] = (struct argp_option){
        "preset", PRESET_KEY, "NAME|FILE", 0, "Begin with the options of a preset", 2};
    return t;
}

/* argp asks what to print for each option: its default goes after its text. */
static char *help_text(int key, const char *text, void *input)
{
    const struct nst_option *o = option_of_key(key);

    (void)input;
    if (!o || !o->initial)
        return (char *)text;
    return nst_xasprintf("%s (default: %s)", text, o->initial); /* argp frees it */
}

static bool is_stdio(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* Is there a regular file at path, or for "-" behind the descriptor? */
static bool regular(const char *path, int fd, struct stat *st)
{
    return (is_stdio(path) ? fstat(fd, st) : stat(path, st)) == 0 &&
           S_ISREG(st->st_mode);
}

/* What is read is never written: not by the result, nor by a record of the run. */
static void spare_inputs(const struct nst_args *a, const char *path)
{
    const char *const inputs[] = {a->content, a->params.style};
    struct stat in, out;
    struct nst_err err;

    if (!path || !regular(path, STDOUT_FILENO, &out))
        return;
    for (int i = 0; i < 2; i++)
        if (regular(inputs[i], STDIN_FILENO, &in) && in.st_dev == out.st_dev &&
            in.st_ino == out.st_ino) {
            nst_err_set(&err, NST_ERR_ARG,
                        "%s: is one of the pictures read, and not overwritten",
                        is_stdio(path) ? "standard output" : path);
            usage_error(err.text);
        }
}

/* What no single option can see. */
static void check_together(struct nst_args *a)
{
    struct nst_params *p = &a->params;

    if (!p->style)
        usage_error("a style is needed: -s FILE");
    if (!a->content)
        a->content = "-";
    if (!p->output)
        p->output = nst_xstrdup("-");
    if (is_stdio(a->content) && is_stdio(p->style))
        usage_error("content and style cannot both come from standard input");
    if (is_stdio(a->content) && isatty(STDIN_FILENO))
        usage_error("no picture: name one, or send one to standard input");
    if (is_stdio(p->output) && isatty(STDOUT_FILENO) && !p->dry_run)
        usage_error("standard output is a terminal: give -o FILE, or redirect it");
    if (p->square && p->size == 0)
        usage_error("square: needs a size in pixels, and size is native");
    spare_inputs(a, p->output);
    spare_inputs(a, p->trace);
    spare_inputs(a, p->history);
}

void nst_args_parse(struct nst_args *a, int argc, char **argv)
{
    struct argp_option *table = argp_table();
    const struct argp argp = {
        table,
        parse,
        "[CONTENT]",
        "Stylise the picture CONTENT (or - or nothing: standard input) in the style of "
        "another.\v"
        "Exit status: 0 done, 1 failed, 2 usage, 130 or 143 stopped by SIGINT or "
        "SIGTERM (with the best picture so far). The manual: man nst.",
        NULL,
        help_text,
        NULL};
    struct nst_err err;

    nst_params_init(&a->params);
    argp_err_exit_status = NST_EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, a);
    free(table);
    if (a->preset && nst_preset_apply(&a->params, a->preset, &err) != NST_OK)
        usage_error(err.text);
    for (size_t i = 0; i < a->sets; i++)
        if (nst_params_set(&a->params, a->set[i].option->name, a->set[i].value, &err))
            usage_error(err.text);
    check_together(a);
}

void nst_args_clear(struct nst_args *a)
{
    nst_params_clear(&a->params);
    free(a->set);
}
