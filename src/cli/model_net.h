/* SPDX-License-Identifier: MIT */
/* model_net.h - what nst-model does with feed-forward networks. */
#ifndef NST_CLI_MODEL_NET_H
#define NST_CLI_MODEL_NET_H

#include "nst.h"

struct model_net_arguments {
    const char *output;              /* (convert) */
    const char *text[NST_NET_TEXTS]; /* to store; or NULL: as they are (convert) */
    const char *preview;             /* a picture to store; or NULL (convert) */
    bool half, json;
};

/* Print what f, read from path, is. kind: of the file. */
void model_net_print(const struct nst_net_file *f, const char *path, const char *kind,
                     const struct model_net_arguments *a);

/* Write f, read from path, to a->output; sets its texts. NST_ERR_ARG: the output has
 * another suffix or is the input; errors of reading the preview; errors of
 * nst_net_file_save(). */
enum nst_status model_net_convert(struct nst_net_file *f, const char *path,
                                  const struct model_net_arguments *a,
                                  struct nst_err *err);

#endif
