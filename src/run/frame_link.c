/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/frame_link.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "image/load.h"

void nst_frame_link_skip(struct nst_frame_link *l, const struct nst_batch_item *item)
{
    if (!l->before)
        l->first_skipped = item;
    l->skipped = item;
    l->before = l->number;
}

static void replace(float **to, float **from)
{
    free(*to);
    *to = *from;
    *from = NULL;
}

static enum nst_status check_size(const struct nst_frame_link *l,
                                  const struct nst_picture *p, const char *label,
                                  struct nst_err *err)
{
    if (p->height == l->height && p->width == l->width)
        return NST_OK;
    return nst_err_set(err, NST_ERR_FORMAT,
                       "%s: has %dx%d pixels, and the frames before it %dx%d; all "
                       "frames of a film have one size",
                       label, p->width, p->height, l->width, l->height);
}

/* Load a picture of the size of the frames. *rgb belongs to the caller. */
static enum nst_status load(float **rgb, const struct nst_frame_link *l,
                            const char *path, const struct nst_picture_size *size,
                            struct nst_err *err)
{
    struct nst_picture *p;
    enum nst_status st = nst_picture_load(&p, path, size, err);

    if (st == NST_OK)
        st = check_size(l, p, path, err);
    if (st == NST_OK)
        replace(rgb, &p->rgb);
    nst_picture_free(p);
    return st;
}

/* Load the content and the result of a skipped frame. If either cannot be used, the
 * frame that was loaded before stays. NST_ERR_MEM. */
static enum nst_status load_skipped(struct nst_frame_link *l,
                                    const struct nst_picture_size *size,
                                    struct nst_err *err)
{
    float *content = NULL, *result = NULL;
    enum nst_status st = load(&content, l, l->skipped->content, size, err);

    if (st == NST_OK)
        st = load(&result, l, l->skipped->output, size, err);
    l->skipped = NULL;
    if (st == NST_OK) {
        replace(&l->content, &content);
        replace(&l->result, &result);
        nst_motion_clear(&l->motion);
        l->loaded = l->before;
    }
    free(content);
    free(result);
    l->before = l->loaded;
    return st == NST_ERR_MEM ? st : NST_OK;
}

enum nst_status nst_frame_link_open(struct nst_frame_link *l,
                                    const struct nst_picture *content,
                                    const char *label,
                                    const struct nst_picture_size *size,
                                    bool with_first, struct nst_err *err)
{
    enum nst_status st = NST_OK;

    if (!l->before)
        return NST_OK;
    if (!l->height) { /* all frames so far were skipped */
        l->height = content->height;
        l->width = content->width;
    }
    if (l->skipped)
        st = load_skipped(l, size, err);
    if (st == NST_OK && l->before && with_first && !l->first && l->first_skipped)
        st = load(&l->first, l, l->first_skipped->content, size, err);
    return st == NST_OK ? check_size(l, content, label, err) : st;
}

void nst_frame_link_pass(struct nst_frame_link *l, const struct nst_params *params,
                         struct nst_picture *content, float **result,
                         struct nst_motion *motion, bool with_first)
{
    size_t bytes = 3 * nst_area(content->height, content->width) * sizeof(float);

    if (!l->has_params)
        l->params = *params;
    l->has_params = true;
    if (with_first && !l->first) {
        l->first = nst_xcalloc(bytes, 1);
        memcpy(l->first, content->rgb, bytes);
    }
    l->before = l->loaded = l->number;
    l->height = content->height;
    l->width = content->width;
    replace(&l->content, &content->rgb);
    replace(&l->result, result);
    nst_motion_clear(&l->motion);
    l->motion = *motion;
    *motion = (struct nst_motion){NULL};
}

size_t nst_frame_link_bytes(int height, int width, bool with_first)
{
    /* results of two frames, what comes of them, and contents */
    return (size_t)(with_first ? 17 : 14) * nst_area(height, width) * sizeof(float);
}

void nst_frame_link_clear(struct nst_frame_link *l)
{
    free(l->content);
    free(l->result);
    free(l->first);
    nst_motion_clear(&l->motion);
    *l = (struct nst_frame_link){0};
}
