/* SPDX-License-Identifier: MIT */
/* style.h - the arguments and the commands of nst-style. */
#ifndef NST_CLI_STYLE_H
#define NST_CLI_STYLE_H

#include <stdbool.h>

#include "nst.h"

struct style_arguments {
    const char *command, *output;
    const char *text[NST_PACK_TEXTS]; /* as given, or NULL */
    const char *preview;              /* a picture file */
    const char *previews;             /* directory for the previews of all packs */
    struct nst_params p;              /* styles, model, scales, layers */
    bool with_scales, with_layers;    /* were given */
    bool json;
};

/* Default sizes of a layer; some layers have fewer. */
#define STYLE_DEFAULT_SCALES "64,128,256,512,1024,2048"

bool style_is_pack_name(const char *name);
/* Load the pack called name. *out belongs to the caller. NST_ERR_ARG: there is none. */
enum nst_status style_load(struct nst_pack **out, const char *name,
                           struct nst_err *err);

enum nst_status style_pack(struct style_arguments *a, struct nst_err *err);
enum nst_status style_blend(const struct style_arguments *a, struct nst_err *err);
enum nst_status style_info(const struct style_arguments *a, struct nst_err *err);
enum nst_status style_list(const struct style_arguments *a, struct nst_err *err);

#endif
