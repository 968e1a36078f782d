/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "job/options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define GROUP(n) .group = n
#define AT(field) .offset = offsetof(struct nst_params, field)
#define FLAG .type = NST_OPTION_FLAG
#define INT(lo, hi) .type = NST_OPTION_INT, .min = lo, .max = hi
#define SIZE(lo, hi) .type = NST_OPTION_SIZE, .min = lo, .max = hi
#define REAL(lo, hi) .type = NST_OPTION_REAL, .min = lo, .max = hi
#define CHOICE(words) .type = NST_OPTION_CHOICE, .choices = words
#define TEXT .type = NST_OPTION_TEXT
#define TAPS .type = NST_OPTION_TAPS
#define RECIPE .recipe = true

const char *const nst_option_groups[] = {
    "", "Pictures", "What is minimised", "How it is minimised", "What is told", NULL};

const struct nst_option nst_options[] = {
    {"style", 's', GROUP(1), TEXT, AT(style), .arg = "FILE",
     .help = "The picture whose style is taken (required)"},
    {"output", 'o', GROUP(1), TEXT, AT(output), .arg = "FILE|DIR/",
     .help =
         "Write the result there; its ending decides the format. Several pictures go "
         "to a directory. Without it, or with -, a PNG goes to standard output"},
    {"model", 'm', GROUP(2), TEXT, AT(model), RECIPE, .arg = "NAME|FILE",
     .help = "The network: a safetensors file, or the name of one in the search path"},
    {"size", 'S', GROUP(1), INT(16, 65536), AT(size), RECIPE, .zero = "native",
     .initial = "512", .arg = "N|native",
     .help = "Longest side of both pictures, in pixels; native resizes neither"},
    {"square", 0, GROUP(1), FLAG, AT(square), RECIPE,
     .help = "Force both pictures to N x N, whatever their aspect ratio"},
    {"content-layers", 0, GROUP(2), TAPS, AT(content_layers), RECIPE,
     .initial = "conv_4", .arg = "LIST",
     .help = "Layers of the content loss, each NAME or NAME:WEIGHT"},
    {"style-layers", 0, GROUP(2), TAPS, AT(style_layers), RECIPE,
     .initial = "conv_1,conv_2,conv_3,conv_4,conv_5", .arg = "LIST",
     .help = "Layers of the style loss, each NAME or NAME:WEIGHT"},
    {"pooling", 0, GROUP(2), CHOICE("max|avg"), AT(pooling), RECIPE, .initial = "max",
     .arg = "max|avg", .help = "How the network halves its maps"},
    {"content-weight", 'c', GROUP(2), REAL(0, 1e12), AT(content_weight), RECIPE,
     .initial = "1", .arg = "WEIGHT", .help = "Weight of the content loss"},
    {"style-weight", 'w', GROUP(2), REAL(0, 1e12), AT(style_weight), RECIPE,
     .initial = "7000", .arg = "WEIGHT", .help = "Weight of the style loss"},
    {"iterations", 'n', GROUP(3), INT(1, 1000000), AT(iterations), RECIPE,
     .initial = "300", .arg = "N", .help = "Accepted steps of the optimiser, at most"},
    {"max-evaluations", 0, GROUP(3), INT(1, 1000000000), AT(max_evaluations), RECIPE,
     .zero = "none", .initial = "none", .arg = "N|none",
     .help = "Evaluations of the loss, at most"},
    {"curvature-pairs", 0, GROUP(3), INT(1, 100), AT(curvature_pairs), RECIPE,
     .initial = "20", .arg = "N",
     .help = "Past steps that L-BFGS remembers; each costs 24 bytes a pixel"},
    {"compat", 0, GROUP(3), CHOICE("none|tutorial"), AT(compat), RECIPE,
     .initial = "none", .arg = "none|tutorial",
     .help =
         "tutorial: reproduce the recipe of the PyTorch tutorial step for step, with "
         "its unstable optimiser; --iterations then counts evaluations"},
    {"threads", 't', GROUP(3), INT(1, 1024), AT(threads), .zero = "auto",
     .initial = "auto", .arg = "N|auto",
     .help = "Threads to use; the result does not depend on it"},
    {"max-memory", 0, GROUP(3), SIZE(16777216, 1e15), AT(max_memory), .zero = "auto",
     .initial = "auto", .arg = "SIZE|auto",
     .help =
         "Memory to stay within, as 3G or 800M: large pictures are worked on in "
         "tiles, and at last with fewer curvature pairs. auto: most of what is free"},
    {"tile", 0, GROUP(3), INT(16, 65536), AT(tile), RECIPE, .zero = "auto",
     .initial = "auto", .arg = "N|auto",
     .help =
         "Work in tiles of N x N pixels and what they see around them; the picture "
         "is the same but for rounding. auto: tiles only where memory asks for them"},
    {"dry-run", 0, GROUP(4), FLAG, AT(dry_run),
     .help =
         "Say what would be done, how much memory and about how long it would take"},
    {"json", 0, GROUP(4), FLAG, AT(json), .help = "Say it as JSON"},
    {"max-pixels", 0, GROUP(1), INT(256, 1e12), AT(max_pixels), .initial = "200000000",
     .arg = "N",
     .help = "Refuse a picture of more pixels than this before decoding it"},
    {"progress", 0, GROUP(4), CHOICE("auto|bar|plain|json|none"), AT(progress),
     .initial = "auto", .arg = "KIND",
     .help = "How progress is shown on standard error: auto, bar, plain, json or none"},
    {"trace", 0, GROUP(4), TEXT, AT(trace), .arg = "FILE",
     .help = "Write one JSON line there for every evaluation of the loss"},
    {"history", 0, GROUP(4), TEXT, AT(history), .arg = "FILE|none",
     .help = "Where a finished run is recorded, or none"},
    {"quiet", 'q', GROUP(4), FLAG, AT(quiet), .help = "Say nothing but errors"},
    {"verbose", 'v', GROUP(4), FLAG, AT(verbose),
     .help = "Say more: model, sizes, times"},
};
const size_t nst_options_count = sizeof nst_options / sizeof *nst_options;

const struct nst_option *nst_option_find(const char *name)
{
    for (size_t i = 0; i < nst_options_count; i++)
        if (strcmp(nst_options[i].name, name) == 0)
            return &nst_options[i];
    return NULL;
}

void nst_params_init(struct nst_params *p)
{
    struct nst_err err;

    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < nst_options_count; i++) {
        const struct nst_option *o = &nst_options[i];

        if (o->initial && nst_params_set(p, o->name, o->initial, &err) != NST_OK) {
            fprintf(stderr, "nst: option table: %s\n", err.text);
            abort();
        }
    }
}

static char **text_at(const struct nst_params *p, const struct nst_option *o)
{
    return (char **)((char *)p + o->offset);
}

void nst_params_clear(struct nst_params *p)
{
    for (size_t i = 0; i < nst_options_count; i++)
        if (nst_options[i].type == NST_OPTION_TEXT)
            free(*text_at(p, &nst_options[i]));
    memset(p, 0, sizeof *p);
}

static enum nst_status bad_value(const struct nst_option *o, const char *text,
                                 const char *kind, struct nst_err *err)
{
    return nst_err_set(
        err, NST_ERR_ARG, "%s: '%s' is not %s between %.15g and %.15g%s%s", o->name,
        text, kind, o->min, o->max, o->zero ? ", or " : "", o->zero ? o->zero : "");
}

static enum nst_status set_int(int64_t *to, const struct nst_option *o,
                               const char *text, struct nst_err *err)
{
    long long v;
    char *end;

    if (o->zero && strcmp(text, o->zero) == 0) {
        *to = 0;
        return NST_OK;
    }
    errno = 0;
    v = strtoll(text, &end, 10);
    if (end == text || *end || errno || (double)v < o->min || (double)v > o->max)
        return bad_value(o, text, "a whole number", err);
    *to = v;
    return NST_OK;
}

static enum nst_status set_size(int64_t *to, const struct nst_option *o,
                                const char *text, struct nst_err *err)
{
    static const char units[] = "KMGT";
    const char *unit;
    double v;
    char *end;

    if (o->zero && strcmp(text, o->zero) == 0) {
        *to = 0;
        return NST_OK;
    }
    v = strtod(text, &end);
    if (end != text && *end && (unit = strchr(units, *end)) && !end[1])
        v *= pow(1024, (double)(unit - units + 1));
    else if (*end)
        v = NAN;
    if (end == text || !(v >= o->min && v <= o->max))
        return nst_err_set(err, NST_ERR_ARG,
                           "%s: '%s' is not a size from %.0fM to %.0fT, or %s", o->name,
                           text, o->min / 1048576, o->max / 1099511627776,
                           o->zero ? o->zero : "nothing else");
    *to = (int64_t)v;
    return NST_OK;
}

static enum nst_status set_real(double *to, const struct nst_option *o,
                                const char *text, struct nst_err *err)
{
    double v;
    char *end;

    v = strtod(text, &end);
    if (end == text || *end || !(v >= o->min && v <= o->max))
        return bad_value(o, text, "a number", err);
    *to = v;
    return NST_OK;
}

/* The index of a word in "a|b|c", or -1. */
static int choice_index(const char *choices, const char *word)
{
    size_t len = strlen(word);
    int i = 0;

    for (const char *s = choices;; s++, i++) {
        size_t n = strcspn(s, "|");

        if (n == len && strncmp(s, word, n) == 0)
            return i;
        s += n;
        if (!*s)
            return -1;
    }
}

enum nst_status nst_params_set(struct nst_params *p, const char *name, const char *text,
                               struct nst_err *err)
{
    const struct nst_option *o = nst_option_find(name);
    void *to;
    int i;

    if (!o)
        return nst_err_set(err, NST_ERR_ARG, "'%s' is not an option", name);
    to = (char *)p + o->offset;
    switch (o->type) {
    case NST_OPTION_FLAG:
        i = choice_index("false|true", text);
        if (i < 0)
            return nst_err_set(err, NST_ERR_ARG, "%s: '%s' is neither true nor false",
                               name, text);
        *(bool *)to = i;
        return NST_OK;
    case NST_OPTION_INT:
        return set_int(to, o, text, err);
    case NST_OPTION_SIZE:
        return set_size(to, o, text, err);
    case NST_OPTION_REAL:
        return set_real(to, o, text, err);
    case NST_OPTION_CHOICE:
        i = choice_index(o->choices, text);
        if (i < 0)
            return nst_err_set(err, NST_ERR_ARG, "%s: '%s' is not one of %s", name,
                               text, o->choices);
        *(int64_t *)to = i;
        return NST_OK;
    case NST_OPTION_TEXT:
        if (!*text)
            return nst_err_set(err, NST_ERR_ARG, "%s: the value is empty", name);
        free(*(char **)to);
        *(char **)to = nst_xstrdup(text);
        return NST_OK;
    case NST_OPTION_TAPS:
        if (nst_taps_parse(to, text, err) != NST_OK) {
            nst_err_prefix(err, name);
            return NST_ERR_ARG;
        }
        return NST_OK;
    }
    return NST_OK;
}

char *nst_params_get(const struct nst_params *p, const struct nst_option *o)
{
    const void *at = (const char *)p + o->offset;
    const char *s;
    char taps[1024];

    switch (o->type) {
    case NST_OPTION_FLAG:
        return nst_xstrdup(*(const bool *)at ? "true" : "false");
    case NST_OPTION_INT:
    case NST_OPTION_SIZE:
        if (o->zero && *(const int64_t *)at == 0)
            return nst_xstrdup(o->zero);
        return nst_xasprintf("%lld", (long long)*(const int64_t *)at);
    case NST_OPTION_REAL:
        return nst_xasprintf("%.17g", *(const double *)at);
    case NST_OPTION_CHOICE:
        s = o->choices;
        for (int64_t i = *(const int64_t *)at; i > 0; i--)
            s += strcspn(s, "|") + 1;
        return nst_xasprintf("%.*s", (int)strcspn(s, "|"), s);
    case NST_OPTION_TEXT:
        return *text_at(p, o) ? nst_xstrdup(*text_at(p, o)) : NULL;
    case NST_OPTION_TAPS:
        nst_taps_format(at, taps, sizeof taps);
        return nst_xstrdup(taps);
    }
    return NULL;
}
