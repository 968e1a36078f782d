/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/save_internal.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <glib.h>

#include "base/alloc.h"
#include "base/path.h"
#include "image/colour.h"
#include "image/metadata_internal.h"
#include "image/modules.h"
#include "image/pixels.h"
#include "image/pnm.h"
#include "image/room.h"
#include "image/samples.h"

#define PNG ".png[filter=all]"
#define JPEG ".jpg[optimize_coding]"
#define TIFF ".tif[compression=deflate,predictor=horizontal]"
#define HEIC ".heic[compression=hevc,bitdepth="
#define AVIF ".heic[compression=av1,bitdepth="

#define PPM ".ppm[strip]" /* no comment with the time of day */

/* See restore_beyond(). */
#define UNCHANGED 0.1f

/* The first is the default on standard output. */
static const struct nst_format formats[] = {
    {".png", PNG, PNG, 16, true, true, false, NST_COMMENT_PNG},
    {".jpg", JPEG, NULL, 8, false, true, false, NST_COMMENT_JPEG, .quality = 92},
    {".jpeg", JPEG, NULL, 8, false, true, false, NST_COMMENT_JPEG, .quality = 92},
    {".jpe", JPEG, NULL, 8, false, true, false, NST_COMMENT_JPEG, .quality = 92},
    {".webp", ".webp", NULL, 8, true, true, true, NST_COMMENT_EXIF, .quality = 90},
    {".tif", TIFF, TIFF, 16, true, true, false, NST_COMMENT_DESCRIPTION},
    {".tiff", TIFF, TIFF, 16, true, true, false, NST_COMMENT_DESCRIPTION},
    {".heic", HEIC "8]", HEIC "10]", 10, true, true, false, NST_COMMENT_EXIF,
     .quality = 80},
    {".heif", HEIC "8]", HEIC "10]", 10, true, true, false, NST_COMMENT_EXIF,
     .quality = 80},
    {".avif", AVIF "8]", AVIF "12]", 12, true, true, false, NST_COMMENT_EXIF,
     .quality = 80},
    {".jxl", ".jxl", ".jxl", 16, true, true, false, NST_COMMENT_EXIF, .quality = 92},
    {".gif", ".gif", NULL, 8, true, false, true, NST_COMMENT_NONE},
    {".jp2", ".jp2", ".jp2", 16, true, false, false, NST_COMMENT_NONE, .quality = 80},
    {".ppm", PPM, PPM, 16, false, false, false, NST_COMMENT_NONE},
    {".pnm", PPM, PPM, 16, false, false, false, NST_COMMENT_NONE},
    {".pam", NULL, NULL, 16, true, false, false, NST_COMMENT_NONE, true},
    {".hdr", ".hdr", NULL, 8, false, false, false, NST_COMMENT_NONE},
};

/* For previews and other short-lived pictures: 0.05 s instead of 0.12 for 1024 x 768,
 * and a tenth more bytes. */
static const struct nst_format fast_png = {
    ".png",          ".png[compression=1,filter=sub]", NULL, 8, true, true, false,
    NST_COMMENT_NONE};

/* An image without a source has no metadata: not even the resolution. */
static const struct nst_format plain_jpeg = {
    ".jpg",       ".jpg[optimize_coding,strip]",
    NULL,         8,
    false,        true,
    false,        NST_COMMENT_NONE,
    .quality = 92};

/* On request only: no single picture is written as Y4M. */
static const struct nst_format y4m = {.suffix = ".y4m"};

static const struct nst_format *find_by_suffix(const char *suffix)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (g_ascii_strcasecmp(suffix, formats[i].suffix) == 0)
            return &formats[i];
    return NULL;
}

bool nst_output_supports(const char *suffix)
{
    return find_by_suffix(suffix) != NULL;
}

static bool is_listed(const char *suffix, const char *const *list)
{
    for (; *list; list++)
        if (g_ascii_strcasecmp(suffix, *list) == 0)
            return true;
    return false;
}

static bool has_magick(void)
{
    const char *loader = "magickload";

    return vips_type_find("VipsOperation", loader) ||
           (nst_modules_load() && vips_type_find("VipsOperation", loader));
}

bool nst_picture_supports(const char *suffix)
{
    static const char *const others[] = {".svg",  ".pbm",  ".pgm", ".pfm", ".exr",
                                         ".j2k",  ".j2c",  ".jpc", ".jpf", ".jpx",
                                         ".jfif", ".apng", NULL};
    /* libvips reads these through ImageMagick */
    static const char *const foreign[] = {".bmp", ".dds", ".ico", ".pcx",
                                          ".psd", ".qoi", ".sgi", ".tga",
                                          ".xbm", ".xcf", ".xpm", NULL};

    if (nst_output_supports(suffix) || is_listed(suffix, others))
        return true;
    return is_listed(suffix, foreign) && has_magick();
}

static enum nst_status find_format(const struct nst_format **out, const char *path,
                                   struct nst_err *err)
{
    const char *name = nst_base_name(path);
    const char *dot = strrchr(name, '.');

    if (!dot || dot == name || !dot[1])
        return nst_err_set(err, NST_ERR_ARG,
                           "%s: the name needs a suffix that says its format (.png, "
                           ".jpg, .webp, .tiff, ...)",
                           path);
    *out = find_by_suffix(dot);
    if (*out)
        return NST_OK;
    return nst_err_set(err, NST_ERR_ARG,
                       "%s: '%s' is not an image format that can be written (png, jpg, "
                       "webp, tiff, ...)",
                       path, dot);
}

/* Bytes per pixel that an encoder takes beside the samples, measured with libvips 8.14.
 */
static size_t encoder_bytes(const struct nst_format *f)
{
    if (strcmp(f->suffix, ".jxl") == 0)
        return 48;
    return g_str_has_prefix(f->saver, ".heic") ? 20 : 0;
}

/* Encode with libvips; quality 0 is the format's default. */
static int write_buffer(VipsImage *image, const struct nst_format *f, bool high_depth,
                        int quality, void **data, size_t *size)
{
    const char *saver = high_depth ? f->saver_16bit : f->saver;
    size_t area = (size_t)image->Xsize * (size_t)image->Ysize;

    if (!nst_room_is_left(area * encoder_bytes(f))) {
        vips_error("nst", "out of memory or threads (ulimit -v, -u)");
        return -1;
    }
    if (!f->quality)
        return vips_image_write_to_buffer(image, saver, data, size, NULL);
    return vips_image_write_to_buffer(image, saver, data, size, "Q",
                                      quality ? quality : f->quality, NULL);
}

static void add_note(struct nst_output *o, const char *text)
{
    char *longer = o->note ? nst_xasprintf("%s; %s", o->note, text) : nst_xstrdup(text);

    free(o->note);
    o->note = longer;
}

void nst_output_add_metadata(struct nst_output *o, VipsImage *image,
                             const struct nst_source_info *source, bool profile,
                             const char *comment)
{
    nst_metadata_copy(image, source, profile, o->metadata);
    if (!nst_metadata_set_comment(image, o->format->comment, comment))
        add_note(o, "there is no room for the record of the run: --skip-done will make "
                    "it again");
}

/* Note what the file lacks. */
static void check_metadata(struct nst_output *o, VipsImage *image, const void *data,
                           size_t size)
{
    char *lost = nst_metadata_list_lost(image, data, size), *text;

    if (!lost)
        return;
    text = nst_xasprintf("%s of the input did not fit into this format", lost);
    add_note(o, text);
    free(text);
    free(lost);
}

int nst_output_encode(struct nst_output *o, VipsImage *image, bool high_depth,
                      void **data, size_t *size)
{
    int failed = write_buffer(image, o->format, high_depth, o->quality, data, size);

    if (!failed)
        check_metadata(o, image, *data, *size);
    return failed;
}

const char *nst_output_note(const struct nst_output *out)
{
    return out->note;
}

/* Encode a small black picture, because libvips may lack the format or its encoder. If
 * not even PNG or JPEG works, memory or threads are short. */
static enum nst_status try_format(const struct nst_format *format, const char *path,
                                  struct nst_err *err)
{
    VipsImage *black;
    void *data = NULL;
    char why[256];
    size_t size;
    bool failed, short_of_memory;

    if (!format->saver)
        return NST_OK;
    if (nst_room_check(path, 0, err) != NST_OK)
        return NST_ERR_MEM;
    if (vips_black(&black, 64, 64, "bands", 3, NULL))
        return nst_err_set(err, NST_ERR_MEM, "%s: out of memory", path);
    black->Type = VIPS_INTERPRETATION_sRGB;
    failed = write_buffer(black, format, false, 0, &data, &size) != 0;
    if (failed && nst_modules_load())
        failed = write_buffer(black, format, false, 0, &data, &size) != 0;
    g_free(data);
    nst_vips_error(why, sizeof why);
    data = NULL;
    short_of_memory =
        failed && (g_str_has_prefix(format->saver, ".png") ||
                   g_str_has_prefix(format->saver, ".jpg") ||
                   write_buffer(black, &fast_png, false, 0, &data, &size));
    g_free(data);
    g_object_unref(black);
    vips_error_clear();
    if (failed && nst_modules_check_room(path, err) != NST_OK)
        return NST_ERR_MEM;
    if (short_of_memory)
        return nst_err_set(err, NST_ERR_MEM,
                           "%s: cannot encode an image: out of memory or threads (%s)",
                           path, why);
    if (failed)
        return nst_err_set(err, NST_ERR_IO,
                           "%s: this build of libvips cannot write '%s' (png and jpg "
                           "always work)",
                           path, format->suffix);
    return NST_OK;
}

/* Choose the format by name, or else by the suffix of path; streams default to PNG. */
static enum nst_status choose_format(struct nst_output *o, const char *path,
                                     const char *name, struct nst_err *err)
{
    char suffix[16];

    if (name && strcmp(name, "y4m") == 0) {
        o->format = &y4m;
        return NST_OK;
    }
    if (name) {
        snprintf(suffix, sizeof suffix, ".%s", name);
        o->format = find_by_suffix(suffix);
        return o->format ? NST_OK
                         : nst_err_set(err, NST_ERR_ARG,
                                       "format: '%s' is not one that can be written "
                                       "(png, jpg, webp, tiff, ppm, ...)",
                                       name);
    }
    if (find_format(&o->format, path, err) == NST_OK)
        return NST_OK;
    o->format = formats; /* a stream may have any name */
    return o->file && nst_atomic_file_is_stream(o->file) ? NST_OK : NST_ERR_ARG;
}

enum nst_status nst_output_check_format(const char *path, const char *format,
                                        struct nst_err *err)
{
    struct nst_output o = {.file = NULL};
    enum nst_status st = choose_format(&o, path, format, err);

    return st == NST_OK ? try_format(o.format, path, err) : st;
}

enum nst_status nst_output_open(struct nst_output **out, const char *path,
                                const char *format, struct nst_err *err)
{
    struct nst_output *o = nst_xcalloc(1, sizeof *o);
    enum nst_status status;

    *out = NULL;
    o->path = nst_xstrdup(strcmp(path, "-") == 0 ? "standard output" : path);
    status = nst_atomic_file_open(&o->file, path, err);
    if (status == NST_OK)
        status = choose_format(o, path, format, err);
    if (status == NST_OK)
        status = try_format(o->format, o->path, err);
    if (status == NST_OK)
        *out = o;
    else
        nst_output_free(o);
    return status;
}

/* The format of that name, or else of the suffix of path; NULL if unknown. */
static const struct nst_format *output_format(const char *path, const char *format)
{
    const char *dot = strrchr(path, '.');
    char suffix[16];

    if (!format)
        return dot ? find_by_suffix(dot) : NULL;
    snprintf(suffix, sizeof suffix, ".%s", format);
    return find_by_suffix(suffix);
}

bool nst_output_is_animated(const char *path, const char *format)
{
    const struct nst_format *f = output_format(path, format);

    return f && f->animated;
}

bool nst_output_has_quality(const char *path, const char *format)
{
    const struct nst_format *f = output_format(path, format);

    return f && f->quality;
}

void nst_output_set_quality(struct nst_output *out, int quality)
{
    out->quality = quality;
}

void nst_output_set_metadata(struct nst_output *out, enum nst_metadata_mode mode)
{
    out->metadata = mode;
}

void nst_output_free(struct nst_output *out)
{
    if (!out)
        return;
    nst_atomic_file_free(out->file);
    free(out->path);
    free(out->note);
    free(out);
}

/* Interleave n pixels of three planes, and alpha unless NULL: uint8_t for 8 bits, or
 * uint16_t with bits significant bits, shifted up as libvips expects. */
static void interleave(void *to, const float *rgb, const float *alpha, size_t n,
                       int bits)
{
    unsigned max = (1u << bits) - 1;
    uint8_t *narrow = to;
    uint16_t *wide = to;

    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < (alpha ? 4 : 3); c++) {
            /* cppcheck-suppress nullPointer; c is below 3 without alpha */
            unsigned v = nst_quantise(c < 3 ? rgb[(size_t)c * n + i] : alpha[i], max);

            if (bits > 8)
                *wide++ = (uint16_t)(v << (16 - bits));
            else
                *narrow++ = (uint8_t)v;
        }
}

static VipsImage *wrap_samples(void *samples, const struct nst_picture *source,
                               int bands, int bits)
{
    size_t n = (size_t)source->width * (size_t)source->height;
    bool wide = bits > 8;
    VipsImage *image = vips_image_new_from_memory(
        samples, n * (size_t)bands * (wide ? 2 : 1), source->width, source->height,
        bands, wide ? VIPS_FORMAT_USHORT : VIPS_FORMAT_UCHAR);

    if (image)
        image->Type = wide ? VIPS_INTERPRETATION_RGB16 : VIPS_INTERPRETATION_sRGB;
    return image;
}

/* Encode planes that need no conversion. *data belongs to the caller: g_free(). */
static int encode(struct nst_output *out, const struct nst_picture *source,
                  const float *rgb, const char *comment, void **data, size_t *size)
{
    const struct nst_format *f = out->format;
    const struct nst_source_info *o = source->source_info;
    const float *alpha = f->alpha ? o->alpha : NULL;
    bool high_depth = o->depth > 8 && (f->saver_16bit || f->pam);
    int bits = high_depth ? f->bits : 8, bands = alpha ? 4 : 3, failed = -1;
    size_t n = (size_t)source->width * (size_t)source->height;
    void *samples = vips_malloc(NULL, n * (size_t)bands * (high_depth ? 2 : 1));
    VipsImage *image;

    if (!samples)
        return -1;
    interleave(samples, rgb, alpha, n, bits);
    image = wrap_samples(samples, source, bands, bits);
    if (image && f->pam) {
        nst_pnm_write_pam(image, data, size);
        failed = *size ? 0 : -1;
        g_object_unref(image);
    } else if (image) {
        nst_output_add_metadata(out, image, o, f->profile, comment);
        failed = nst_output_encode(out, image, high_depth, data, size);
        g_object_unref(image);
    }
    g_free(samples);
    return failed;
}

enum nst_status nst_output_encode_error(const struct nst_output *o, struct nst_err *err)
{
    char reason[256];

    return nst_err_set(err, NST_ERR_IO, "%s: cannot be encoded: %s", o->path,
                       nst_vips_error(reason, sizeof reason));
}

enum nst_status nst_output_quantise(const struct nst_output *o,
                                    const struct nst_picture *source, const float *rgb,
                                    unsigned char *to, struct nst_err *err)
{
    size_t n = (size_t)source->width * (size_t)source->height;
    const float *alpha = source->source_info->alpha;
    enum nst_status status;
    float *work;

    if (!alpha || o->format->alpha) {
        interleave(to, rgb, alpha, n, 8);
        return NST_OK;
    }
    status =
        nst_floats_new(&work, 3, (size_t)source->height, (size_t)source->width, err);
    if (status != NST_OK)
        return status;
    memcpy(work, rgb, 3 * n * sizeof *work);
    nst_pixels_flatten(work, alpha, n, NST_WHITE);
    interleave(to, work, NULL, n, 8);
    free(work);
    return NST_OK;
}

/*
 * Where the result (rgb) is the photograph, give it the samples of the file again: the
 * profile may hold colours that sRGB cannot. work is the result in that profile. A
 * change of a channel by UNCHANGED or more takes all of it away, so that the colours
 * fade where a mask does.
 */
static void restore_beyond(float *work, const struct nst_picture *source,
                           const float *rgb, bool flattened)
{
    const struct nst_source_info *o = source->source_info;
    size_t n = (size_t)source->width * (size_t)source->height;

    for (size_t i = 0; i < n; i++) {
        float change = 0, amount;

        for (size_t c = 0; c < 3; c++)
            change = fmaxf(change, fabsf(rgb[c * n + i] - source->rgb[c * n + i]));
        amount = fmaxf(0, 1 - change / UNCHANGED) * (flattened ? o->alpha[i] : 1);
        for (size_t c = 0; c < 3; c++)
            work[c * n + i] += amount * o->beyond[c * n + i];
    }
}

/* As encode(), but first composite rgb (sRGB) over white and convert it to the profile,
 * as the format requires. */
static enum nst_status convert_and_encode(struct nst_output *out,
                                          const struct nst_picture *source,
                                          const float *rgb, const char *comment,
                                          void **data, size_t *size,
                                          struct nst_err *err)
{
    const struct nst_source_info *o = source->source_info;
    size_t n = (size_t)source->width * (size_t)source->height;
    bool flatten = o->alpha && !out->format->alpha;
    bool convert = o->profile == NST_PROFILE_RGB && out->format->profile;
    enum nst_status status = NST_OK;
    float *work = NULL;
    int failed = 0;

    if (flatten || convert) {
        status = nst_floats_new(&work, 3, (size_t)source->height, (size_t)source->width,
                                err);
        if (status != NST_OK)
            return status;
        memcpy(work, rgb, 3 * n * sizeof *work);
        if (flatten)
            nst_pixels_flatten(work, o->alpha, n, NST_WHITE);
        if (convert)
            failed = nst_colour_from_srgb(work, n, o->meta);
        if (convert && o->beyond && source->rgb)
            restore_beyond(work, source, rgb, flatten);
    }
    if (!failed)
        failed = encode(out, source, work ? work : rgb, comment, data, size);
    free(work);
    return failed ? nst_output_encode_error(out, err) : NST_OK;
}

enum nst_status nst_output_encode_picture(struct nst_output *o, const char *suffix,
                                          const struct nst_picture *source,
                                          const float *rgb, void **data, size_t *size,
                                          struct nst_err *err)
{
    *data = NULL;
    o->format = find_by_suffix(suffix);
    return convert_and_encode(o, source, rgb, "", data, size, err);
}

enum nst_status nst_output_write(struct nst_output *out,
                                 const struct nst_picture *source, const float *rgb,
                                 const char *comment, struct nst_err *err)
{
    void *data = NULL;
    size_t size = 0;
    enum nst_status status =
        convert_and_encode(out, source, rgb, comment, &data, &size, err);

    if (status == NST_OK)
        status = nst_atomic_file_write(out->file, data, size, err);
    if (status == NST_OK)
        status = nst_atomic_file_commit(out->file, err);
    g_free(data);
    return status;
}

enum nst_status nst_pixels_write(const char *path, struct nst_image image,
                                 struct nst_err *err)
{
    struct nst_source_info plain = {.depth = 8, .profile = NST_PROFILE_NONE};
    const struct nst_picture source = {
        .width = image.width, .height = image.height, .source_info = &plain};
    struct nst_output *out;
    enum nst_status status;

    if (vips_black(&plain.meta, 1, 1, NULL))
        return nst_err_set(err, NST_ERR_MEM, "%s: out of memory", path);
    status = nst_output_open(&out, path, NULL, err);
    if (status == NST_OK) {
        if (out->format == formats)
            out->format = &fast_png;
        else if (g_strcmp0(out->format->saver, JPEG) == 0)
            out->format = &plain_jpeg;
        status = nst_output_write(out, &source, image.rgb, "", err);
        nst_output_free(out);
    }
    g_object_unref(plain.meta);
    return status;
}
