/* SPDX-License-Identifier: MIT */
/*
 * table.h - the table of all options: type, range, default, help. Command line,
 * presets, history, service and completions read it.
 */
#ifndef NST_OPTIONS_TABLE_H
#define NST_OPTIONS_TABLE_H

#include "options/params.h"

enum nst_option_type {
    NST_OPTION_FLAG,         /* bool */
    NST_OPTION_INT,          /* int64_t */
    NST_OPTION_SIZE,         /* int64_t, bytes; suffixes K, M, G, T: powers of 1024 */
    NST_OPTION_REAL,         /* double */
    NST_OPTION_CHOICE,       /* int64_t: index into choices */
    NST_OPTION_TEXT,         /* char *, owned; NULL when unset */
    NST_OPTION_LAYERS,       /* struct nst_layers */
    NST_OPTION_STYLES,       /* struct nst_styles: FILE or FILE:WEIGHT, appended */
    NST_OPTION_STYLE_MASK,   /* struct nst_styles: FILE, mask of the latest style */
    NST_OPTION_STYLE_LAYERS, /* struct nst_styles: layers of the latest style */
    NST_OPTION_LIST /* struct nst_list: integers separated by commas, or auto */
};

struct nst_option {
    const char *name; /* long name, as in --name */
    int key;          /* short option letter, or 0 */
    enum nst_option_type type;
    size_t offset; /* in struct nst_params */
    double min, max;
    /* INT, SIZE, LIST: a word that means 0, which min excludes. */
    const char *zero_word;
    const char *choices;      /* CHOICE: words separated by '|' */
    const char *default_text; /* default, as text; NULL: unset */
    const char *arg;          /* name of the value in the help; NULL for a flag */
    const char *help;
    int group;      /* 1 to 5: section of the help, see nst_option_group() */
    bool recipe;    /* part of the recipe: recorded, allowed in a preset */
    bool offered;   /* a service may let its clients set it */
    bool once;      /* for one run only: not allowed in the configuration */
    bool optimises; /* for an optimisation: a feed-forward network has no use for it */
    const char *alias; /* hidden second long name on the command line; or NULL */
};

/* The i-th option of the table; NULL after the last. */
const struct nst_option *nst_option(size_t i);

/* Title of a group, from 1; NULL after the last. */
const char *nst_option_group(int group);

/* The option of that name, or of that spelling; NULL if there is none. */
const struct nst_option *nst_option_find(const char *name);

#endif
