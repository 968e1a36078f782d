/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/film.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/request.h"
#include "serve/sides.h"
#include "serve/store.h"

static long long size_of(const json_t *record)
{
    struct nst_params p;
    long long size = 0;

    nst_params_init(&p);
    if (serve_request_params(record, &p, NULL) == NST_OK)
        size = (long long)p.size;
    nst_params_clear(&p);
    return size;
}

/* The error of a film of w x h pixels, a new string, or NULL. nst counts the pixels of
 * all frames. */
static char *check(const json_t *record, const struct serve_settings *s, int frames,
                   int w, int h)
{
    long long size = size_of(record), pixels = (long long)frames * w * h;

    if (frames > s->max_frames)
        return nst_xasprintf("frames: the picture has %d, more than the %lld that are "
                             "painted: shorten it, or ask for the \"first\"",
                             frames, (long long)s->max_frames);
    if (size > s->max_film_size)
        return nst_xasprintf("size: %lld is more than %lld, the most for an animation: "
                             "ask for that, or for the \"first\" of its frames",
                             size, (long long)s->max_film_size);
    if (pixels > s->max_pixels)
        return nst_xasprintf("content_image: %d frames of %dx%d are %lld pixels, more "
                             "than %lld: make it smaller or shorter, or ask for the "
                             "\"first\" of its frames",
                             frames, w, h, pixels, (long long)s->max_pixels);
    return NULL;
}

char *serve_film_plan(json_t *record, const struct serve_settings *s)
{
    const char *content = json_string_value(json_object_get(record, "content_img"));
    int frames = 1, w = 0, h = 0;
    char *path, *error = NULL;

    if (!json_object_get(record, "frames"))
        return NULL;
    path = serve_store_path("uploads", content);
    frames = serve_sides_frames(path);
    if (frames == 0 || !serve_sides_read(path, &w, &h))
        error = nst_xasprintf("content_image: '%s' cannot be read now: try again later",
                              content);
    else if (frames == 1)
        json_object_del(record, "frames");
    else {
        json_object_set_new(record, "frames", json_integer(frames));
        error = check(record, s, frames, w, h);
    }
    free(path);
    return error;
}
