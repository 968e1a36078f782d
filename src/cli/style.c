/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/style.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool style_is_pack_name(const char *name)
{
    size_t n = strlen(name), e = strlen(NST_PACK_SUFFIX);

    return n > e && strcmp(name + n - e, NST_PACK_SUFFIX) == 0;
}

enum nst_status style_load(struct nst_pack **out, const char *name, struct nst_err *err)
{
    char *path = nst_find_pack(name), *net = nst_find_net(name);
    enum nst_status st;

    *out = NULL;
    if (net) {
        free(net);
        return nst_err_set(
            err, NST_ERR_ARG,
            "%s: is a network, not a style pack; nst-model info describes "
            "it",
            name);
    }
    if (!path && access(name, F_OK) == 0)
        return nst_err_set(
            err, NST_ERR_ARG,
            "%s: is not a style pack, whose name ends in " NST_PACK_SUFFIX
            "; nst-style pack makes one of an image",
            name);
    if (!path)
        return nst_err_set(err, NST_ERR_ARG,
                           "'%s': no style pack has this name; see nst-style list",
                           name);
    st = nst_pack_load(out, path, err);
    free(path);
    return st;
}
