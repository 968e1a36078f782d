/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/pixels.h"

#include <stdlib.h>
#include <string.h>

#include <vips/vips.h>

#include "base/alloc.h"

/* Resample one plane with Lanczos 3; overshoots are clamped. */
static int resize_plane(const float *from, int h, int w, float *to, int to_h, int to_w)
{
    VipsObject *scope = VIPS_OBJECT(vips_image_new());
    VipsImage **t = (VipsImage **)vips_object_local_array(scope, 2);
    size_t n = (size_t)to_h * (size_t)to_w, size = 0;
    float *pixels = NULL;
    int failed;

    t[0] = vips_image_new_from_memory(from, (size_t)h * (size_t)w * sizeof *from, w, h,
                                      1, VIPS_FORMAT_FLOAT);
    failed =
        !t[0] || vips_resize(t[0], &t[1], (double)to_w / w, "vscale", (double)to_h / h,
                             "kernel", VIPS_KERNEL_LANCZOS3, "gap", 0.0, NULL);
    if (!failed)
        pixels = vips_image_write_to_memory(t[1], &size);
    failed = !pixels || size != n * sizeof *to;
    for (size_t i = 0; !failed && i < n; i++)
        to[i] = pixels[i] > 0 ? pixels[i] < 1 ? pixels[i] : 1 : 0;
    g_free(pixels);
    g_object_unref(scope);
    return failed;
}

void nst_pixels_flatten(float *rgb, const float *alpha, size_t n, float background)
{
    for (int c = 0; c < 3; c++)
        for (size_t i = 0; i < n; i++, rgb++)
            *rgb = *rgb * alpha[i] + (1 - alpha[i]) * background;
}

enum nst_status nst_pixels_resize(float **out, struct nst_image image, int h, int w,
                                  struct nst_err *err)
{
    enum nst_status st = nst_floats_new(out, 3, (size_t)h, (size_t)w, err);
    size_t plane = nst_area(image.height, image.width), to_plane = nst_area(h, w);

    if (st != NST_OK)
        return st;
    if (image.height == h && image.width == w) {
        memcpy(*out, image.rgb, 3 * plane * sizeof **out);
        return NST_OK;
    }
    for (int k = 0; k < 3; k++)
        if (resize_plane(image.rgb + k * plane, image.height, image.width,
                         *out + k * to_plane, h, w)) {
            free(*out);
            *out = NULL;
            return nst_err_set(err, NST_ERR_MEM, "cannot resize %dx%d to %dx%d: %s",
                               image.width, image.height, w, h, vips_error_buffer());
        }
    return NST_OK;
}
