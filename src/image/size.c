/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/size.h"

#include <math.h>

enum nst_status nst_picture_check_dimensions(const char *label, int w, int h,
                                             long long max, const char *what,
                                             struct nst_err *err)
{
    if (w < NST_PICTURE_MIN_SIDE || h < NST_PICTURE_MIN_SIDE)
        return nst_err_set(
            err, NST_ERR_FORMAT,
            "%s: %s%dx%d pixels is too small: each side needs at least %d", label, what,
            w, h, NST_PICTURE_MIN_SIDE);
    if (max > 0 && (long long)w * h > max)
        return nst_err_set(
            err, NST_ERR_FORMAT,
            "%s: %s%dx%d pixels is too large: at most %lld pixels in all", label, what,
            w, h, max);
    return NST_OK;
}

/* The nearest multiple to the scaled side that is not above target. */
static int scale_side(int side, int target, int longest, int multiple)
{
    int unit = multiple > 0 ? multiple : 1;
    double s = rint((double)side * target / longest / unit) * unit;

    if (s > target)
        s -= unit;
    return s < unit ? unit : (int)s;
}

void nst_picture_target_size(const struct nst_picture_size *size, int *w, int *h)
{
    int longest = *w > *h ? *w : *h;

    if (size->longest <= 0)
        return;
    *w = scale_side(size->square ? longest : *w, size->longest, longest,
                    size->multiple_width);
    *h = scale_side(size->square ? longest : *h, size->longest, longest,
                    size->multiple_height);
}

enum nst_status nst_picture_check_size(const char *label, int w, int h,
                                       const struct nst_picture_size *size,
                                       struct nst_err *err)
{
    enum nst_status status =
        nst_picture_check_dimensions(label, w, h, size->max_pixels, "", err);

    if (status != NST_OK)
        return status;
    nst_picture_target_size(size, &w, &h);
    return nst_picture_check_dimensions(label, w, h, size->max_pixels, "resized to ",
                                        err);
}
