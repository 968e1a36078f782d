/* SPDX-License-Identifier: MIT */
/*
 * params.h - the values of all options (table.h). The command line, presets and
 * recorded runs set them by name, so each is validated in one place.
 */
#ifndef NST_OPTIONS_PARAMS_H
#define NST_OPTIONS_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/layers.h"

#define NST_LIST_MAX 8

/* A list of integers. */
struct nst_list {
    int count; /* 0: the option's zero word */
    bool automatic;
    /* First of the automatic scales, as in "128.."; 0: the default. */
    int64_t first;
    int64_t value[NST_LIST_MAX];
};

/* Style weight of every preset; more gives more style. The weights of the style layers
 * include the factor of each preset. moment-weight scales with the style weight. */
#define NST_STYLE_WEIGHT 7000

#define NST_STYLES_MAX 16

struct nst_style_option {
    char *file; /* owned */
    double weight;
    char *mask;               /* where it applies, owned; NULL: outside all masks */
    struct nst_layers layers; /* weights of its style layers; none: 1 each */
};

/* The styles, in the order given. */
struct nst_styles {
    int count;
    struct nst_style_option item[NST_STYLES_MAX];
};

enum nst_scale_mode { NST_SCALE_PROGRESSIVE, NST_SCALE_BLEND };
enum nst_colour_mode { NST_COLOUR_STYLE, NST_COLOUR_CONTENT, NST_COLOUR_MATCH };
enum nst_optimiser { NST_OPTIMISER_LBFGS, NST_OPTIMISER_ADAM };
enum nst_adaptive {
    NST_ADAPTIVE_NONE,
    NST_ADAPTIVE_PARAMETERS,
    NST_ADAPTIVE_WEIGHTS,
    NST_ADAPTIVE_BOTH
};
enum nst_metadata_mode { NST_METADATA_KEEP, NST_METADATA_PRIVATE, NST_METADATA_NONE };
enum nst_on_interrupt { NST_ON_INTERRUPT_KEEP, NST_ON_INTERRUPT_DISCARD };
enum nst_progress_kind {
    NST_PROGRESS_AUTO,
    NST_PROGRESS_BAR,
    NST_PROGRESS_PLAIN,
    NST_PROGRESS_JSON,
    NST_PROGRESS_NONE
};

struct nst_params {
    /* recipe: these and the pictures determine the result */
    char *model; /* as for nst_models_parse(); NULL: the best one found */
    int64_t size;
    bool size_set; /* not the default, which depends on the style */
    bool square;
    struct nst_layers content_layers, style_layers;
    int64_t pooling; /* enum nst_pooling */
    double content_weight, style_weight, moment_weight, tv_weight, temporal, strength;
    int64_t colour; /* enum nst_colour_mode */
    double style_scale;
    char *init;      /* content, noise or a file */
    char *keep_mask; /* or NULL */
    char *flow;      /* of films: auto, none or a folder of .flo files */
    bool frames;     /* the images are the frames of one film */
    int64_t passes;  /* over the frames of a film */
    int64_t seed;
    struct nst_list scales, scale_iterations;
    int64_t padding;    /* enum nst_padding */
    int64_t scale_mode; /* enum nst_scale_mode */
    int64_t iterations, max_evaluations;
    int64_t optimiser; /* enum nst_optimiser */
    double learning_rate;
    int64_t curvature_pairs;
    int64_t adaptive;  /* enum nst_adaptive */
    int64_t tile;      /* 0: chosen to fit memory */
    int64_t precision; /* enum nst_precision */
    /* run: these do not change the picture */
    struct nst_styles styles;
    char *output, *name, *files_from, *format;
    char *device; /* auto, cpu, cuda, cuda:N or cuda:N,M... */
    bool y4m, pnm, recursive, null, skip_done;
    int64_t on_interrupt; /* enum nst_on_interrupt */
    int64_t quality;      /* of the output file; 0: default of the format */
    int64_t metadata;     /* enum nst_metadata_mode */
    int64_t threads, jobs, max_pixels, max_memory;
    int64_t progress; /* enum nst_progress_kind */
    char *progress_file, *trace, *history, *checkpoint, *resume, *preview;
    int64_t save_every;
    bool dry_run, json;
    bool quiet, verbose;
};

/* Stream format of the output, "y4m" or "pnm"; NULL if it is a file. */
const char *nst_params_stream(const struct nst_params *p);

/* Fill *p with the defaults. Free with nst_params_clear(). */
void nst_params_init(struct nst_params *p);
void nst_params_clear(struct nst_params *p);

/*
 * Set one option from text; a flag takes "true" or "false". Setting scales also sets
 * size. Setting iterations, or another number of scales, resets scale-iterations to
 * auto. NST_ERR_ARG: no such option, or an invalid value; the message names the option,
 * the value and the range, and *p is unchanged.
 */
enum nst_status nst_params_set(struct nst_params *p, const char *name, const char *text,
                               struct nst_err *err);

/* Value of an option as text for nst_params_set(), a new string; NULL when unset. */
struct nst_option; /* options/table.h */
char *nst_params_get(const struct nst_params *p, const struct nst_option *o);

/* Not in nst.h. */

/* Whether --init names a file. */
bool nst_params_init_is_file(const struct nst_params *p);

#endif
