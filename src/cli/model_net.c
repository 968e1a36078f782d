/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/model_net.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/path.h"
#include "cli/program.h"
#include "options/json.h"

#define PREVIEW_SIDE 192

static json_t *net_json(const struct nst_net_file *f, const char *path,
                        const char *kind)
{
    json_t *j = json_pack(
        "{s:o, s:s, s:s, s:i, s:i, s:I, s:I}", "path", nst_json_text(path), "kind",
        kind, "network", "feed-forward", "width", f->weights.shape.width, "blocks",
        f->weights.shape.blocks, "parameters", (json_int_t)f->weights.count, "preview",
        (json_int_t)f->preview_size);

    for (int i = 0; i < NST_NET_TEXTS; i++)
        json_object_set_new(j, nst_net_text_name((enum nst_net_text)i),
                            f->text[i] ? json_string(f->text[i]) : json_null());
    return j;
}

void model_net_print(const struct nst_net_file *f, const char *path, const char *kind,
                     const struct model_net_arguments *a)
{
    if (a->json) {
        json_t *j = net_json(f, path, kind);

        nst_print_json(j, 9);
        json_decref(j);
        return;
    }
    printf("file     %s (%s)\n"
           "network  feed-forward: paints a picture in one pass (nst -s)\n"
           "width    %d channels\n"
           "blocks   %d\n"
           "size     %zu parameters\n",
           path, kind, f->weights.shape.width, f->weights.shape.blocks,
           f->weights.count);
    for (int i = 0; i < NST_NET_TEXTS; i++)
        if (f->text[i])
            printf("%-8s %s\n", nst_net_text_name((enum nst_net_text)i), f->text[i]);
    if (f->preview)
        printf("preview  a JPEG of %zu bytes\n", f->preview_size);
}

static enum nst_status set_preview(struct nst_net_file *f, const char *picture,
                                   struct nst_err *err)
{
    void *jpeg = NULL;
    size_t bytes;
    enum nst_status st =
        nst_picture_thumbnail_jpeg(&jpeg, &bytes, picture, PREVIEW_SIDE, err);

    if (st == NST_OK)
        st = nst_net_file_set_preview(f, jpeg, bytes, err);
    free(jpeg);
    return st;
}

enum nst_status model_net_convert(struct nst_net_file *f, const char *path,
                                  const struct model_net_arguments *a,
                                  struct nst_err *err)
{
    enum nst_status st = nst_protect_input(a->output, path, err);

    if (st == NST_OK && !nst_has_suffix(a->output, NST_NET_SUFFIX))
        return nst_err_set(err, NST_ERR_ARG,
                           "output: '%s': %s is a network that paints in one pass, and "
                           "the name of its file must end in " NST_NET_SUFFIX,
                           a->output, path);
    if (!nst_has_suffix(path, NST_NET_SUFFIX))
        nst_net_file_set_text(f, NST_NET_FROM, nst_base_name(path));
    nst_net_file_set_text(f, NST_NET_MADE_BY, PACKAGE_STRING);
    for (int i = 0; i < NST_NET_TEXTS; i++)
        if (a->text[i])
            nst_net_file_set_text(f, (enum nst_net_text)i, a->text[i]);
    if (st == NST_OK && a->preview)
        st = set_preview(f, a->preview, err);
    return st == NST_OK ? nst_net_file_save(f, a->output, a->half, err) : st;
}
