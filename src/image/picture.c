/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/picture.h"

#include <stdlib.h>

#include "base/memory.h"
#include "image/colour.h"
#include "image/input.h"
#include "image/modules.h"
#include "image/pixels.h"
#include "image/room.h"
#include "image/source_info.h"

/* What nst allocates before it knows how much a run may take: styles, a network. */
#define START_BYTES ((size_t)24 << 20)

/* libvips and its libraries warn on stderr about faults that we report or correct. */
static void ignore_log(const gchar *domain, GLogLevelFlags level, const gchar *text,
                       gpointer data)
{
    (void)domain;
    (void)level;
    (void)text;
    (void)data;
}

enum nst_status nst_picture_init(const char *name, struct nst_err *err)
{
    char reason[256];

    g_log_set_default_handler(ignore_log, NULL);
    nst_memory_limit_stacks();
    if (nst_room_check("libvips", START_BYTES, err) != NST_OK)
        return NST_ERR_MEM;
    if (!nst_modules_init(name))
        return nst_err_set(err, NST_ERR_IO, "libvips cannot be used: %s",
                           nst_vips_error(reason, sizeof reason));
    /* Each picture is read once, so a cache would only hold memory. */
    vips_cache_set_max(0);
    return NST_OK;
}

void nst_picture_shutdown(void)
{
    vips_shutdown();
}

void nst_picture_free(struct nst_picture *p)
{
    if (!p)
        return;
    if (p->source_info) {
        g_clear_object(&p->source_info->meta);
        free(p->source_info->alpha);
        free(p->source_info->beyond);
        free(p->source_info);
    }
    free(p->small.rgb);
    free(p->rgb);
    free(p);
}

size_t nst_picture_bytes(const struct nst_picture *p)
{
    size_t area = p ? (size_t)p->height * (size_t)p->width : 0;
    bool alpha =
        p && p->source_info && (p->source_info->alpha || p->source_info->transparent);
    bool beyond = p && p->source_info && p->source_info->beyond;

    if (p && p->small.rgb)
        area += (size_t)p->small.height * (size_t)p->small.width;
    return area * (size_t)(3 + alpha + 3 * beyond) * sizeof(float);
}

void nst_picture_flatten(struct nst_picture *p, float background)
{
    struct nst_source_info *o = p ? p->source_info : NULL;

    if (!o)
        return;
    if (o->alpha)
        nst_pixels_flatten(p->rgb, o->alpha, (size_t)p->height * (size_t)p->width,
                           background);
    free(o->alpha);
    o->alpha = NULL;
    o->transparent = false;
}

const char *nst_picture_note(const struct nst_picture *p)
{
    const char *note = NULL;
    VipsImage *meta = p->source_info ? p->source_info->meta : NULL;

    if (meta && vips_image_get_typeof(meta, NST_NOTE))
        vips_image_get_string(meta, NST_NOTE, &note);
    return note;
}
