/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/metadata_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "image/input.h"
#include "image/source_info.h"

/* A JPEG marker holds 64 KiB; the rest is reserved for libvips' own EXIF. */
#define JPEG_EXIF_MAX 64000

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Whether a result inherits this field. libvips' other fields describe how the source
 * was stored (pages, palette, ...) and would be wrong. */
static bool is_copied(const char *field)
{
    static const char ours[] = "-nst";
    size_t n = strlen(field);

    if (starts_with(field, "png-comment-"))
        return strchr(field + strlen("png-comment-"), '-') &&
               strcmp(field + n - strlen(ours), ours) != 0 && field[n - 1] != '-';
    return strcmp(field, VIPS_META_EXIF_NAME) == 0 ||
           strcmp(field, VIPS_META_XMP_NAME) == 0 ||
           strcmp(field, VIPS_META_IPTC_NAME) == 0 ||
           strcmp(field, VIPS_META_RESOLUTION_UNIT) == 0 ||
           strcmp(field, VIPS_META_IMAGEDESCRIPTION) == 0;
}

/* A result is upright and has no thumbnail (ifd1). */
static bool is_stale(const char *field)
{
    return strcmp(field, VIPS_META_ORIENTATION) == 0 ||
           strcmp(field, "exif-ifd0-Orientation") == 0 ||
           strcmp(field, "jpeg-thumbnail-data") == 0 ||
           starts_with(field, "exif-ifd1-");
}

/* libvips expands EXIF to fields when the block is set, and on writing drops tags whose
 * fields were removed. */
static void drop_stale(VipsImage *image)
{
    gchar **fields = vips_image_get_fields(image);

    for (int i = 0; fields[i]; i++)
        if (is_stale(fields[i]))
            vips_image_remove(image, fields[i]);
    g_strfreev(fields);
}

static void *copy_field(VipsImage *from, const char *field, GValue *value, void *to)
{
    (void)from;
    if (is_copied(field))
        vips_image_set(to, field, value);
    return NULL;
}

/* libvips takes a file without a resolution for one of 1 pixel per mm; Exif says 72 per
 * inch. */
static void set_resolution(VipsImage *to, const VipsImage *from)
{
    bool none = from->Xres == 1 && from->Yres == 1;

    to->Xres = none ? 72 / 25.4 : from->Xres;
    to->Yres = none ? 72 / 25.4 : from->Yres;
}

/*
 * XMP on a phone's picture may describe data that follows the picture in its file (a
 * film, a gain map, more XMP) and that the result does not have. Remove these
 * properties.
 */
static void drop_trailers(VipsImage *image)
{
    static const char trailers[] =
        "\\s[\\w-]+:(?:MicroVideo|MotionPhoto|HasExtendedXMP)\\w*\\s*=\\s*"
        "(?:\"[^\"]*\"|'[^']*')"
        "|<([\\w-]+:(?:MicroVideo|MotionPhoto|HasExtendedXMP)\\w*)\\b[^>]*>[^<]*</"
        "\\1\\s*>"
        "|\\shdrgm:\\w+\\s*=\\s*(?:\"[^\"]*\"|'[^']*')"
        "|<(\\w*[Cc]ontainer:Directory)\\b.*?</\\2\\s*>";
    const void *xmp;
    size_t size;
    GRegex *regex;
    char *text = NULL;

    if (!vips_image_get_typeof(image, VIPS_META_XMP_NAME) ||
        vips_image_get_blob(image, VIPS_META_XMP_NAME, &xmp, &size) ||
        !g_utf8_validate(xmp, (gssize)size, NULL))
        return;
    regex = g_regex_new(trailers, G_REGEX_DOTALL, 0, NULL);
    if (regex && g_regex_match_full(regex, xmp, (gssize)size, 0, 0, NULL, NULL))
        text = g_regex_replace_literal(regex, xmp, (gssize)size, 0, "", 0, NULL);
    if (text)
        vips_image_set_blob_copy(image, VIPS_META_XMP_NAME, text, strlen(text));
    g_free(text);
    if (regex)
        g_regex_unref(regex);
}

/* The EXIF that NST_METADATA_PRIVATE keeps: the camera, the exposure and the time. An
 * allowlist, because makers add tags that identify a camera, and texts may name people
 * and places. */
static bool is_harmless(const char *field)
{
    static const char *const tags[] = {"Make",
                                       "Model",
                                       "DateTime",
                                       "DateTimeOriginal",
                                       "DateTimeDigitized",
                                       "ExposureTime",
                                       "FNumber",
                                       "ExposureProgram",
                                       "ISOSpeedRatings",
                                       "ShutterSpeedValue",
                                       "ApertureValue",
                                       "BrightnessValue",
                                       "ExposureBiasValue",
                                       "MaxApertureValue",
                                       "MeteringMode",
                                       "LightSource",
                                       "Flash",
                                       "FocalLength",
                                       "FocalLengthIn35mmFilm",
                                       "ExposureMode",
                                       "WhiteBalance",
                                       "DigitalZoomRatio",
                                       "SceneCaptureType",
                                       "LensMake",
                                       "LensModel"};

    if (!starts_with(field, "exif-ifd0-") && !starts_with(field, "exif-ifd2-"))
        return false;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (strcmp(field + strlen("exif-ifd0-"), tags[i]) == 0)
            return true;
    return false;
}

/* As drop_stale() does, and libvips also drops the tags that it does not know. */
static void drop_private(VipsImage *image)
{
    gchar **fields = vips_image_get_fields(image);

    for (int i = 0; fields[i]; i++)
        if (starts_with(fields[i], "exif-ifd") && !is_harmless(fields[i]))
            vips_image_remove(image, fields[i]);
    g_strfreev(fields);
}

void nst_metadata_copy(VipsImage *to, const struct nst_source_info *from, bool profile,
                       enum nst_metadata_mode mode)
{
    VipsBlob *srgb = NULL;
    const void *data;
    size_t size;

    if (mode == NST_METADATA_KEEP)
        vips_image_map(from->meta, copy_field, to);
    else if (mode == NST_METADATA_PRIVATE &&
             vips_image_get_typeof(from->meta, VIPS_META_EXIF_NAME) &&
             !vips_image_get_blob(from->meta, VIPS_META_EXIF_NAME, &data, &size)) {
        vips_image_set_blob_copy(to, VIPS_META_EXIF_NAME, data, size);
        drop_private(to);
    }
    drop_stale(to);
    drop_trailers(to);
    set_resolution(to, from->meta);
    if (!profile || from->profile == NST_PROFILE_NONE)
        return;
    if (from->profile != NST_PROFILE_OTHER) {
        if (!vips_image_get_blob(from->meta, VIPS_META_ICC_NAME, &data, &size))
            vips_image_set_blob_copy(to, VIPS_META_ICC_NAME, data, size);
    } else if (!vips_profile_load("srgb", &srgb, NULL)) {
        data = vips_blob_get(srgb, &size);
        vips_image_set_blob_copy(to, VIPS_META_ICC_NAME, data, size);
        vips_area_unref(VIPS_AREA(srgb));
    }
}

/* A copy of text with non-ASCII characters as \uXXXX (surrogate pairs); g_free(). */
static char *to_ascii(const char *text)
{
    GString *s = g_string_new(NULL);

    while (*text) {
        gunichar c = g_utf8_get_char_validated(text, -1);
        bool bad = c >= (gunichar)-2;

        if (c < 128)
            g_string_append_c(s, (char)c);
        else if (bad)
            g_string_append(s, "\\ufffd");
        else if (c < 0x10000)
            g_string_append_printf(s, "\\u%04x", c);
        else
            g_string_append_printf(s, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10),
                                   0xdc00 + (c & 0x3ff));
        text = bad ? text + 1 : g_utf8_next_char(text);
    }
    return g_string_free(s, FALSE);
}

static bool fits_jpeg(VipsImage *to, const char *text)
{
    const void *exif;
    size_t size = 0;

    if (vips_image_get_typeof(to, VIPS_META_EXIF_NAME) &&
        vips_image_get_blob(to, VIPS_META_EXIF_NAME, &exif, &size))
        size = 0;
    return size + strlen(text) <= JPEG_EXIF_MAX;
}

#define RECORD "{\"nst\""

/* Text that others have put into a field, before our record; NULL if there is none. */
static char *foreign_text(VipsImage *image, const char *field)
{
    const char *text, *ours;
    char *copy;

    if (!vips_image_get_typeof(image, field) ||
        vips_image_get_string(image, field, &text))
        return NULL;
    ours = strstr(text, RECORD);
    copy = ours ? g_strndup(text, (gsize)(ours - text)) : g_strdup(text);
    g_strchomp(copy);
    /* libvips appends the value in words, in parentheses: an empty one has only these
     */
    if (!*copy || (*copy == ' ' && copy[strspn(copy, " ")] == '(')) {
        g_free(copy);
        return NULL;
    }
    return copy;
}

/* Store text in the first of some EXIF tags that nobody else uses. */
static void set_exif_comment(VipsImage *to, const char *text)
{
    static const char *const tags[] = {
        "exif-ifd2-UserComment", "exif-ifd0-ImageDescription", "exif-ifd0-XPComment"};
    const size_t n = sizeof tags / sizeof *tags;
    bool stored = false;

    for (size_t i = 0; i < n; i++) {
        char *foreign = foreign_text(to, tags[i]);

        if (!stored && (!foreign || i == n - 1)) {
            vips_image_set_string(to, tags[i], text);
            stored = true;
        } else if (!foreign)
            vips_image_remove(to, tags[i]); /* an older record */
        g_free(foreign);
    }
}

/* A TIFF has one text; the record follows it. */
static void set_description(VipsImage *to, const char *text)
{
    char *foreign = foreign_text(to, VIPS_META_IMAGEDESCRIPTION);
    char *all = foreign ? g_strconcat(foreign, "\n", text, NULL) : g_strdup(text);

    vips_image_set_string(to, VIPS_META_IMAGEDESCRIPTION, all);
    g_free(all);
    g_free(foreign);
}

bool nst_metadata_set_comment(VipsImage *to, enum nst_comment_location location,
                              const char *text)
{
    bool stored = true;
    char *ascii;

    if (!text || location == NST_COMMENT_NONE)
        return true;
    ascii = to_ascii(text);
    switch (location) {
    case NST_COMMENT_PNG:
        vips_image_set_string(to, "png-comment-0-nst", ascii);
        break;
    case NST_COMMENT_JPEG:
        if (!(stored = fits_jpeg(to, ascii)))
            break;
        /* fall through */
    case NST_COMMENT_EXIF:
        set_exif_comment(to, ascii);
        break;
    case NST_COMMENT_DESCRIPTION:
        set_description(to, ascii);
        break;
    case NST_COMMENT_NONE:
        break;
    }
    g_free(ascii);
    return stored;
}

char *nst_metadata_list_lost(VipsImage *image, const void *data, size_t size)
{
    static const struct {
        const char *field, *name;
    } blocks[] = {{VIPS_META_EXIF_NAME, "EXIF"},
                  {VIPS_META_XMP_NAME, "XMP"},
                  {VIPS_META_IPTC_NAME, "IPTC"}};
    VipsImage *written = NULL;
    char *lost = NULL;

    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        char *longer;

        if (!vips_image_get_typeof(image, blocks[i].field))
            continue;
        if (!written)
            written = vips_image_new_from_buffer(data, size, "", NULL);
        if (written && vips_image_get_typeof(written, blocks[i].field))
            continue;
        longer =
            nst_xasprintf("%s%s%s", lost ? lost : "", lost ? ", " : "", blocks[i].name);
        free(lost);
        lost = longer;
    }
    g_clear_object(&written);
    vips_error_clear();
    return lost;
}

/* For vips_image_map(), because the name of a PNG text chunk contains a number. */
static void *find_comment(VipsImage *image, const char *name, GValue *value,
                          void *found)
{
    const char **text = found;

    (void)value;
    if (starts_with(name, "png-comment-") && strcmp(strrchr(name, '-'), "-nst") == 0)
        vips_image_get_string(image, name, text);
    return NULL;
}

/* Search the EXIF block, because libvips shortens its values. The new string may
 * continue beyond the text. XPComment has 16 bits per character, little-endian. */
static char *comment_of_exif(VipsImage *image)
{
    static const char begin[] = RECORD;
    char wide[2 * sizeof begin] = "";
    const char *at, *end;
    const void *exif;
    size_t size, n = 0;
    char *text;

    if (!vips_image_get_typeof(image, VIPS_META_EXIF_NAME) ||
        vips_image_get_blob(image, VIPS_META_EXIF_NAME, &exif, &size))
        return NULL;
    end = (const char *)exif + size;
    at = memmem(exif, size, begin, sizeof begin - 1);
    if (at)
        return nst_xasprintf("%.*s", (int)(end - at), at);
    for (size_t i = 0; i < sizeof begin - 1; i++)
        wide[2 * i] = begin[i];
    at = memmem(exif, size, wide, 2 * (sizeof begin - 1));
    if (!at)
        return NULL;
    text = nst_xcalloc((size_t)(end - at) / 2 + 1, 1);
    for (; at + 1 < end && at[0] && !at[1]; at += 2)
        text[n++] = at[0];
    return text;
}

char *nst_picture_comment(const char *path)
{
    struct nst_input in = {.fd = -1};
    VipsImage *image = NULL;
    const char *text = NULL;
    char *copy = NULL;
    bool vector;

    if (nst_input_open(&in, path, NULL) == NST_OK &&
        nst_input_read_header(&image, &vector, &in, 1, NULL) == NST_OK) {
        vips_image_map(image, find_comment, &text);
        if (!text && vips_image_get_typeof(image, VIPS_META_IMAGEDESCRIPTION))
            vips_image_get_string(image, VIPS_META_IMAGEDESCRIPTION, &text);
        if (text && strstr(text, RECORD))
            text = strstr(text, RECORD);
        copy = text ? nst_xstrdup(text) : comment_of_exif(image);
    }
    vips_error_clear();
    g_clear_object(&image);
    nst_input_close(&in);
    return copy;
}
