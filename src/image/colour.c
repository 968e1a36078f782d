/* SPDX-License-Identifier: MIT */
/* Calls Little CMS in float and without its optimiser. libvips runs it in 16 bits
 * through a table of 33 points per side, which moves colours near the edge of sRGB by
 * up to 40 levels of 255 in a round trip. */
#include "config.h"

#include "image/colour.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <lcms2.h>

#include "image/source_info.h"

/* Levels per channel of the colour lattice that probes a profile. */
#define PROBE 9

#define SAME (3.0f / 255)

/* Pixels converted at a time. */
#define CHUNK 1024

const char *nst_vips_error(char *text, size_t size)
{
    char *all = vips_error_buffer_copy();
    char *line = all, *colon;

    /* Each line reads "domain: message"; the first is closest to the cause. */
    while (*line == '\n' || *line == ' ')
        line++;
    line[strcspn(line, "\n")] = 0;
    colon = strstr(line, ": ");
    if (colon && !memchr(line, ' ', (size_t)(colon - line)))
        line = colon + 2;
    snprintf(text, size, "%s", *line ? line : "unknown error");
    g_free(all);
    return text;
}

/* The profile embedded in image, or NULL. */
static cmsHPROFILE open_profile(VipsImage *image)
{
    const void *data;
    size_t size;

    if (!vips_image_get_typeof(image, VIPS_META_ICC_NAME) ||
        vips_image_get_blob(image, VIPS_META_ICC_NAME, &data, &size) != 0 ||
        size > UINT32_MAX)
        return NULL;
    return cmsOpenProfileFromMem(data, (cmsUInt32Number)size);
}

/* Little CMS's type for float samples of space; *full is its value for full scale. */
static cmsUInt32Number sample_type(cmsColorSpaceSignature space, float *full)
{
    *full = space == cmsSigCmykData ? 100 : 1; /* percent of ink */
    return space == cmsSigCmykData   ? TYPE_CMYK_FLT
           : space == cmsSigGrayData ? TYPE_GRAY_FLT
                                     : TYPE_RGB_FLT;
}

/* A transform from own to sRGB, or back; NULL if the profile does not support it. */
static cmsHTRANSFORM new_transform(cmsHPROFILE own, bool back)
{
    const cmsUInt32Number flags =
        cmsFLAGS_NOOPTIMIZE | cmsFLAGS_NOCACHE | cmsFLAGS_BLACKPOINTCOMPENSATION;
    cmsHPROFILE srgb = cmsCreate_sRGBProfile();
    cmsHTRANSFORM t;
    float full;
    cmsUInt32Number type = sample_type(cmsGetColorSpace(own), &full);

    if (back)
        t = cmsCreateTransform(srgb, TYPE_RGB_FLT, own, type,
                               INTENT_RELATIVE_COLORIMETRIC, flags);
    else
        t = cmsCreateTransform(own, type, srgb, TYPE_RGB_FLT,
                               INTENT_RELATIVE_COLORIMETRIC, flags);
    cmsCloseProfile(srgb);
    return t;
}

static float clamp(float v)
{
    return v > 0 ? v < 1 ? v : 1 : 0;
}

/*
 * Most cameras embed their own version of sRGB, and the rounding of the primaries
 * differs: 1.4 levels of 255 at pure green, less elsewhere. A profile that moves no
 * colour of the lattice by more than SAME counts as sRGB, so that samples stay exact.
 * Display P3, the nearest other space, moves some by 100.
 */
static bool is_srgb(cmsHTRANSFORM t)
{
    for (int i = 0; i < PROBE * PROBE * PROBE; i++) {
        const float in[3] = {(float)(i % PROBE) / (PROBE - 1),
                             (float)(i / PROBE % PROBE) / (PROBE - 1),
                             (float)(i / PROBE / PROBE) / (PROBE - 1)};
        float got[3];

        cmsDoTransform(t, in, got, 1);
        for (int c = 0; c < 3; c++)
            if (!(fabsf(clamp(got[c]) - in[c]) <= SAME))
                return false;
    }
    return true;
}

static enum nst_profile classify(cmsHPROFILE own)
{
    cmsHTRANSFORM there = new_transform(own, false), back = NULL;
    enum nst_profile profile = NST_PROFILE_OTHER;

    if (!there)
        return NST_PROFILE_NONE;
    if (cmsGetColorSpace(own) == cmsSigRgbData) {
        if (is_srgb(there))
            profile = NST_PROFILE_SRGB;
        else if ((back = new_transform(own, true)))
            profile = NST_PROFILE_RGB;
    }
    if (back)
        cmsDeleteTransform(back);
    cmsDeleteTransform(there);
    return profile;
}

/*
 * OpenEXR and Radiance are defined as linear light. Floats in other formats are encoded
 * like integers: as their profile says, or as sRGB. libvips takes those of an RGB TIFF,
 * but not of a grey one, for linear.
 */
static bool is_linear(VipsImage *in)
{
    const char *loader;

    return in->Type == VIPS_INTERPRETATION_scRGB &&
           !(vips_image_get_typeof(in, VIPS_META_LOADER) &&
             !vips_image_get_string(in, VIPS_META_LOADER, &loader) &&
             (strstr(loader, "tiff") || strstr(loader, "jxl")));
}

static bool has_profile(const VipsImage *in)
{
    switch (in->BandFmt) {
    case VIPS_FORMAT_UCHAR:
    case VIPS_FORMAT_USHORT:
    case VIPS_FORMAT_FLOAT:
        return true;
    default:
        return false;
    }
}

enum nst_profile nst_colour_profile(VipsImage *in)
{
    enum nst_profile profile = NST_PROFILE_NONE;
    cmsHPROFILE own;
    int channels = 0;

    if (!has_profile(in) || is_linear(in) || !(own = open_profile(in)))
        return NST_PROFILE_NONE;
    if (cmsGetColorSpace(own) == cmsSigRgbData)
        channels = 3;
    else if (cmsGetColorSpace(own) == cmsSigGrayData)
        channels = 1;
    else if (cmsGetColorSpace(own) == cmsSigCmykData)
        channels = 4;
    if (channels == in->Bands)
        profile = classify(own);
    cmsCloseProfile(own);
    return profile;
}

/* The sRGB encoding of linear light (IEC 61966-2-1). */
static float encode(float v)
{
    return v <= 0.0031308f ? 12.92f * v : 1.055f * powf(v, 1 / 2.4f) - 0.055f;
}

/* Conversion of samples, which are clipped first: 0 is black and white is the brightest
 * value; infinities are clipped, and NaN is 0. */
struct conversion {
    float white;
    cmsHTRANSFORM t; /* to sRGB; or NULL */
    float full;      /* what t takes for full scale */
    bool linear;     /* without t: the samples are linear light */
};

static int convert_rows(VipsImage *in, VipsImage *out, const struct conversion *c)
{
    VipsRegion *region = vips_region_new(in);
    size_t samples = (size_t)in->Xsize * (size_t)in->Bands;
    size_t results = (size_t)out->Xsize * (size_t)out->Bands;
    float *from = g_new(float, samples);
    float *to = g_new(float, results);
    int failed = 0;

    for (int y = 0; y < in->Ysize && !failed; y++) {
        VipsRect row = {0, y, in->Xsize, 1};
        const float *v;

        if ((failed = vips_region_prepare(region, &row)))
            break;
        v = (const float *)(void *)VIPS_REGION_ADDR(region, 0, y);
        for (size_t i = 0; i < samples; i++)
            from[i] = clamp(v[i] / c->white) * c->full;
        if (c->t)
            cmsDoTransform(c->t, from, to, (cmsUInt32Number)in->Xsize);
        for (size_t i = 0; i < results; i++)
            to[i] = c->t ? clamp(to[i]) : c->linear ? encode(from[i]) : from[i];
        failed = vips_image_write_line(out, y, (VipsPel *)to);
    }
    g_free(to);
    g_free(from);
    g_object_unref(region);
    return failed;
}

/* Convert in through its profile, or without one if own is NULL. */
static int convert(VipsImage *in, cmsHPROFILE own, double white, VipsImage **out)
{
    struct conversion c = {(float)white, own ? new_transform(own, false) : NULL, 1,
                           is_linear(in)};
    VipsImage *floats;
    int failed;

    if (own && !c.t)
        return -1;
    if (own)
        sample_type(cmsGetColorSpace(own), &c.full);
    if (vips_cast(in, &floats, VIPS_FORMAT_FLOAT, NULL)) {
        if (c.t)
            cmsDeleteTransform(c.t);
        return -1;
    }
    *out = vips_image_new_memory();
    vips_image_init_fields(*out, in->Xsize, in->Ysize, own ? 3 : in->Bands,
                           VIPS_FORMAT_FLOAT, VIPS_CODING_NONE,
                           VIPS_INTERPRETATION_sRGB, 1, 1);
    failed = convert_rows(floats, *out, &c);
    if (failed)
        g_clear_object(out);
    g_object_unref(floats);
    if (c.t)
        cmsDeleteTransform(c.t);
    return failed;
}

/* Convert CMYK without a profile, using the CMYK profile of libvips. */
static int convert_plain_cmyk(VipsImage *in, double white, VipsImage **out)
{
    cmsHPROFILE inks;
    VipsBlob *blob;
    const void *data;
    size_t size;
    int failed = -1;

    if (vips_profile_load("cmyk", &blob, NULL))
        return -1;
    data = vips_blob_get(blob, &size);
    if ((inks = cmsOpenProfileFromMem(data, (cmsUInt32Number)size))) {
        failed = convert(in, inks, white, out);
        cmsCloseProfile(inks);
    }
    vips_area_unref(VIPS_AREA(blob));
    return failed;
}

static bool is_gamma_encoded(VipsInterpretation type)
{
    switch (type) {
    case VIPS_INTERPRETATION_scRGB:
    case VIPS_INTERPRETATION_XYZ:
    case VIPS_INTERPRETATION_YXY:
    case VIPS_INTERPRETATION_LAB:
    case VIPS_INTERPRETATION_LABQ:
    case VIPS_INTERPRETATION_LABS:
    case VIPS_INTERPRETATION_LCH:
    case VIPS_INTERPRETATION_CMC:
    case VIPS_INTERPRETATION_HSV:
        return false;
    default:
        return true;
    }
}

int nst_colour_to_srgb(VipsImage *in, enum nst_profile profile, double white,
                       VipsImage **out)
{
    VipsInterpretation type = vips_image_guess_interpretation(in);
    cmsHPROFILE own;
    int failed;

    if ((profile == NST_PROFILE_RGB || profile == NST_PROFILE_OTHER) &&
        (own = open_profile(in))) {
        failed = convert(in, own, white, out);
        cmsCloseProfile(own);
        return failed;
    }
    if (type == VIPS_INTERPRETATION_CMYK && in->Bands == 4)
        return convert_plain_cmyk(in, white, out);
    if (vips_band_format_isfloat(in->BandFmt) &&
        (is_gamma_encoded(type) || type == VIPS_INTERPRETATION_scRGB))
        return convert(in, NULL, white, out);
    if (is_gamma_encoded(type))
        return vips_copy(in, out, NULL);
    return vips_colourspace(in, out, VIPS_INTERPRETATION_RGB16, "source_space", type,
                            NULL);
}

int nst_colour_from_srgb(float *rgb, size_t n, VipsImage *meta)
{
    cmsHPROFILE own = open_profile(meta);
    cmsHTRANSFORM t = own ? new_transform(own, true) : NULL;
    float px[CHUNK * 3];

    for (size_t at = 0; t && at < n; at += CHUNK) {
        size_t count = n - at < CHUNK ? n - at : CHUNK;

        for (size_t i = 0; i < count; i++)
            for (size_t c = 0; c < 3; c++)
                px[3 * i + c] = clamp(rgb[c * n + at + i]);
        cmsDoTransform(t, px, px, (cmsUInt32Number)count);
        for (size_t i = 0; i < count; i++)
            for (size_t c = 0; c < 3; c++)
                rgb[c * n + at + i] = clamp(px[3 * i + c]);
    }
    if (own)
        cmsCloseProfile(own);
    if (!t)
        return -1;
    cmsDeleteTransform(t);
    return 0;
}
