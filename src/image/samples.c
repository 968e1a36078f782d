/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/samples.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "image/input.h"
#include "image/load_internal.h"
#include "image/pixels.h"
#include "image/size.h"
#include "image/source_info.h"

#define MAX_CHANNELS 4

static const struct {
    size_t bytes;
    VipsBandFormat format;
    double full_scale;
} types[] = {[NST_SAMPLE_U8] = {1, VIPS_FORMAT_UCHAR, 255},
             [NST_SAMPLE_U16] = {2, VIPS_FORMAT_USHORT, 65535},
             [NST_SAMPLE_F32] = {4, VIPS_FORMAT_FLOAT, 1}};

enum nst_status nst_samples_check(const struct nst_samples *s, const char *label,
                                  bool mask, struct nst_err *err)
{
    if ((size_t)s->type >= sizeof types / sizeof *types)
        return nst_err_set(err, NST_ERR_ARG,
                           "%s: %d is not a type of samples (U8, U16 or F32)", label,
                           (int)s->type);
    if (mask ? s->channels == 1 : s->channels == 3 || s->channels == 4)
        return NST_OK;
    return nst_err_set(err, NST_ERR_ARG, "%s: %d channels; %s", label, s->channels,
                       mask ? "a mask has 1" : "a picture has 3 (RGB) or 4 (RGBA)");
}

static VipsInterpretation interpretation(const struct nst_samples *s)
{
    if (s->channels == 1)
        return s->type == NST_SAMPLE_U16 ? VIPS_INTERPRETATION_GREY16
                                         : VIPS_INTERPRETATION_B_W;
    if (s->linear)
        return VIPS_INTERPRETATION_scRGB;
    return s->type == NST_SAMPLE_U16 ? VIPS_INTERPRETATION_RGB16
                                     : VIPS_INTERPRETATION_sRGB;
}

/* Wrap samples in an image, which borrows those of neighbouring channels. */
static int wrap(const struct nst_samples *s, VipsImage **out)
{
    VipsObject *scope = VIPS_OBJECT(vips_image_new());
    VipsImage **t = (VipsImage **)vips_object_local_array(scope, MAX_CHANNELS + 2);
    size_t plane = nst_area(s->height, s->width) * types[s->type].bytes;
    int images = s->planar ? s->channels : 1, bands = s->channels / images, failed = 0;

    for (int i = 0; i < images && !failed; i++) {
        t[i] = vips_image_new_from_memory((const char *)s->data + (size_t)i * plane,
                                          plane * (size_t)bands, s->width, s->height,
                                          bands, types[s->type].format);
        failed = !t[i];
    }
    failed = failed || vips_bandjoin(t, &t[MAX_CHANNELS], images, NULL);
    if (!failed && s->linear && s->type != NST_SAMPLE_F32)
        failed = vips_linear1(t[MAX_CHANNELS], &t[MAX_CHANNELS + 1],
                              1 / types[s->type].full_scale, 0, NULL);
    else if (!failed)
        failed = vips_copy(t[MAX_CHANNELS], &t[MAX_CHANNELS + 1], NULL);
    failed = failed || vips_copy(t[MAX_CHANNELS + 1], out, "interpretation",
                                 interpretation(s), NULL);
    g_object_unref(scope);
    return failed;
}

/* A picture with a size but no pixels. */
static struct nst_picture *header_of(const struct nst_samples *s,
                                     const struct nst_picture_size *size, size_t bytes)
{
    struct nst_picture *pic = nst_xcalloc(1, sizeof *pic);

    pic->width = s->width;
    pic->height = s->height;
    pic->read_bytes = bytes;
    pic->frames = 1;
    nst_picture_target_size(size, &pic->width, &pic->height);
    pic->source_info = nst_xcalloc(1, sizeof *pic->source_info);
    pic->source_info->transparent = s->channels == 4;
    return pic;
}

enum nst_status nst_picture_from_samples(struct nst_picture **out, const char *label,
                                         const struct nst_samples *from,
                                         const struct nst_picture_size *size,
                                         struct nst_err *err)
{
    struct nst_input in = {.label = label,
                           .path = label,
                           .fd = -1,
                           .width = from->width,
                           .height = from->height,
                           .shrink = 1};
    size_t bytes =
        nst_area(from->height, from->width) * (size_t)from->channels * sizeof(float);
    enum nst_status st =
        nst_picture_check_size(label, from->width, from->height, size, err);
    VipsImage *image = NULL;

    *out = NULL;
    if (st != NST_OK)
        return st;
    if (size->header_only) {
        *out = header_of(from, size, bytes);
        return NST_OK;
    }
    if (size->max_bytes && bytes > size->max_bytes)
        return nst_err_set(err, NST_ERR_MEM,
                           "%s: out of memory: %dx%d pixels take %zu MiB, and %zu MiB "
                           "are left (--max-memory)",
                           label, from->width, from->height, (bytes >> 20) + 1,
                           size->max_bytes >> 20);
    if (wrap(from, &image)) {
        vips_error_clear();
        return nst_err_set(err, NST_ERR_MEM, "%s: out of memory", label);
    }
    st = nst_picture_from_image(out, image, &in, size, err);
    g_object_unref(image);
    return st;
}

/* The inverse of sRGB's encoding (IEC 61966-2-1). */
static float decode(float v)
{
    return v <= 0.04045f ? v / 12.92f : powf((v + 0.055f) / 1.055f, 2.4f);
}

static void store(const struct nst_samples *to, size_t at, float v)
{
    v = v > 0 ? v < 1 ? v : 1 : 0;
    if (to->linear)
        v = decode(v);
    switch (to->type) {
    case NST_SAMPLE_U8:
        ((uint8_t *)to->data)[at] = (uint8_t)nst_quantise(v, 255);
        break;
    case NST_SAMPLE_U16:
        ((uint16_t *)to->data)[at] = (uint16_t)nst_quantise(v, 65535);
        break;
    default:
        ((float *)to->data)[at] = v;
    }
}

enum nst_status nst_samples_store(const struct nst_samples *to, struct nst_image image,
                                  struct nst_err *err)
{
    size_t n = nst_area(to->height, to->width), step = (size_t)to->channels;
    const float *rgb = image.rgb;
    float *resized = NULL;

    if (image.height != to->height || image.width != to->width) {
        if (nst_pixels_resize(&resized, image, to->height, to->width, err) != NST_OK)
            return NST_ERR_MEM;
        rgb = resized;
    }
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < n; i++)
            store(to, to->planar ? c * n + i : i * step + c, rgb[c * n + i]);
    free(resized);
    return NST_OK;
}
