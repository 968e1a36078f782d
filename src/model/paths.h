/* SPDX-License-Identifier: MIT */
/*
 * paths.h - where the files that nst comes with, and models, are looked for.
 */
#ifndef NST_MODEL_PATHS_H
#define NST_MODEL_PATHS_H

#include <stdbool.h>

#include "base/err.h"

/*
 * The readable file or directory called name below a directory of installed data:
 * $(pkgdatadir), then share/nst beside the program and beside its directory (a build
 * tree, a moved installation). A new string, or NULL.
 */
char *nst_find_data(const char *name);

/* $variable, or else $HOME/fallback, and "/nst/name" below it; a new string, or NULL
 * when neither variable is set. */
char *nst_user_path(const char *variable, const char *fallback, const char *name);

/*
 * The model file that wanted means: a path if it has a / or ends in .safetensors, else
 * a name to look for in $NST_MODEL_PATH (directories or files, with colons between),
 * $XDG_DATA_HOME/nst and the installed data. NULL wants the full network "vgg19"
 * wherever it is, and else the bundled "vgg19-lite".
 * *path is a new string. NST_ERR_IO when there is none; the message says where it was
 * looked for.
 */
enum nst_status nst_find_model(char **path, const char *name, struct nst_err *err);

/* What a model file is called: its name without directory and ending; a new string. */
char *nst_model_name(const char *path);

/* Tell of each model that a name would find, by its name; the same name may be told
 * again. */
void nst_list_models(void (*visit)(void *ctx, const char *name, const char *path),
                     void *ctx);

/* Is there something of that name, and no folder, as one of results may be? */
bool nst_path_is_file(const char *name);

/*
 * Where the style pack called name is: a file of that name with the packs' ending,
 * else, unless nst_path_is_file(name), among the user's or the installed packs. A
 * new string; NULL if it is none.
 */
#define NST_PACK_SUFFIX ".nststyle"
char *nst_find_pack(const char *name);

#endif
