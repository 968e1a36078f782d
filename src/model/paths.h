/* SPDX-License-Identifier: MIT */
/*
 * paths.h - search paths of models and style packs.
 */
#ifndef NST_MODEL_PATHS_H
#define NST_MODEL_PATHS_H

#include <stdbool.h>

#include "model/data_path.h"
#include "base/err.h"

/*
 * Find a model file. A name with a / or the suffix .safetensors is returned as a path,
 * unchecked. Other names are searched in $NST_MODEL_PATH (directories or files,
 * separated by colons), $XDG_DATA_HOME/nst, the installed data and the current
 * directory. NULL means the file that $NST_MODEL_PATH names, else "vgg19", else the
 * bundled "vgg19-lite".
 * *path is a new string. NST_ERR_ARG: not found; the message lists the places.
 */
enum nst_status nst_find_model(char **path, const char *name, struct nst_err *err);

/* Base name of a model file without its suffix; a new string. */
char *nst_model_name(const char *path);

/* Call visit for each model file in the search path. A name may come more than once. */
void nst_list_models(void (*visit)(void *ctx, const char *name, const char *path),
                     void *ctx);

/*
 * Path of a style pack: name itself if it has the suffix (unchecked), else a readable
 * pack among the user's or the installed ones. A new string. NULL if there is none, or
 * if name has a /, is "-" or is an existing file: then it means a picture.
 */
#define NST_PACK_SUFFIX ".nststyle"
char *nst_find_pack(const char *name);

/* Path of a feed-forward network, found as a style pack is, but in nets instead of
 * styles. NULL also if there is a style pack of that name. */
#define NST_NET_SUFFIX ".nstnet"
/* The bundled network that a training starts from. Galleries of styles leave it out. */
#define NST_NET_BASE "base"
char *nst_find_net(const char *name);

/* The path of the style pack or of the network that name means; NULL: a picture. */
char *nst_find_style(const char *name);

/* Not in nst.h. */

/* True if name exists and is not a directory. */
bool nst_path_is_file(const char *name);

#endif
