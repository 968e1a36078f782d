/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "image/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "image/colour.h"
#include "image/load.h"
#include "image/modules.h"
#include "image/room.h"
#include "image/pages.h"
#include "image/pnm.h"
#include "image/source_info.h"

static enum nst_status io_error(const struct nst_input *in, int error,
                                struct nst_err *err)
{
    return nst_err_set(err, nst_open_status(error), "%s: %s", in->label,
                       strerror(error));
}

static enum nst_status read_all(struct nst_input *in, int fd, struct nst_err *err)
{
    size_t capacity = 0;

    for (;;) {
        ssize_t n;

        if (in->size == capacity) {
            void *more =
                realloc(in->data, capacity = capacity ? capacity * 2 : 1 << 16);

            if (!more)
                return nst_err_set(err, NST_ERR_MEM, "%s: out of memory: %zu MiB read",
                                   in->label, in->size >> 20);
            in->data = more;
        }
        n = read(fd, (char *)in->data + in->size, capacity - in->size);
        if (n == 0)
            return NST_OK;
        if (n < 0 && errno != EINTR)
            return io_error(in, errno, err);
        if (n > 0)
            in->size += (size_t)n;
    }
}

static enum nst_status open_fd(struct nst_input *in, int fd, struct nst_err *err)
{
    enum nst_status status = NST_OK;
    struct stat st;

    if (fstat(fd, &st) != 0)
        return io_error(in, errno, err);
    if (S_ISDIR(st.st_mode))
        return nst_err_set(err, NST_ERR_ARG, "%s: is a directory", in->label);
    if (S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) == 0) {
        in->fd = dup(fd);
        in->size = (size_t)st.st_size;
        if (in->fd < 0)
            status = io_error(in, errno, err);
    } else {
        status = read_all(in, fd, err);
    }
    if (status == NST_OK && in->size == 0)
        status = nst_err_set(err, NST_ERR_FORMAT, "%s: is empty%s", in->label,
                             S_ISREG(st.st_mode) ? "" : "; did its writer fail?");
    return status;
}

enum nst_status nst_input_open(struct nst_input *in, const char *path,
                               struct nst_err *err)
{
    enum nst_status status;
    int fd;

    memset(in, 0, sizeof *in);
    in->fd = -1;
    in->label = in->path = path;
    if (strcmp(path, "-") == 0) {
        in->label = "standard input";
        return open_fd(in, STDIN_FILENO, err);
    }
    if (!*path)
        return nst_err_set(err, NST_ERR_ARG, "the image's name is empty");
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return io_error(in, errno, err);
    status = open_fd(in, fd, err);
    close(fd);
    return status;
}

void nst_input_close(struct nst_input *in)
{
    if (in->fd >= 0)
        close(in->fd);
    free(in->data);
    in->fd = -1;
    in->data = NULL;
}

/* libvips would load a table of numbers as a picture; nst refuses it as text. */
static bool is_table(const char *loader)
{
    return loader && (strstr(loader, "Csv") || strstr(loader, "Matrix"));
}

/* The pages of other formats are not frames in time. */
static bool is_animation(const char *loader)
{
    return strstr(loader, "Gif") || strstr(loader, "Nsgif") || strstr(loader, "Webp");
}

static bool is_vector(const char *loader)
{
    return loader && (strstr(loader, "Svg") || strstr(loader, "Pdf"));
}

/* The value of alpha that libvips takes for opaque in a float image of that type: 255
 * or 1, depending on its version. */
static double opaque_alpha(VipsInterpretation type)
{
    static const float ones[4] = {1, 1, 1, 1};
    VipsImage *in = vips_image_new_from_memory_copy(ones, sizeof ones, 1, 1, 4,
                                                    VIPS_FORMAT_FLOAT),
              *out = NULL;
    double opaque = 1, *pixel;
    int n;

    if (in) {
        in->Type = type;
        if (!vips_unpremultiply(in, &out, NULL) &&
            !vips_getpoint(out, &pixel, &n, 0, 0, NULL)) {
            opaque = pixel[0];
            g_free(pixel);
        }
    }
    g_clear_object(&out);
    g_clear_object(&in);
    return opaque;
}

/* Multiply alpha by one factor and all other bands by another. Takes image. */
static VipsImage *scale_bands(VipsImage *image, double colour, int alpha_band,
                              double alpha)
{
    double *factor = g_new(double, image->Bands);
    double *zero = g_new0(double, image->Bands);
    VipsImage *out = NULL;

    for (int i = 0; i < image->Bands; i++)
        factor[i] = i == alpha_band ? alpha : colour;
    vips_linear(image, &out, factor, zero, image->Bands, NULL);
    g_free(zero);
    g_free(factor);
    g_object_unref(image);
    return out;
}

/* libvips loads OpenEXR from a path only, not from memory. It leaves colours multiplied
 * by alpha, as the format has them. */
static VipsImage *open_exr(const struct nst_input *in)
{
    const char *loader = in->fd >= 0 ? vips_foreign_find_load(in->path) : NULL;
    VipsImage *image = NULL, *plain = NULL;
    double opaque;

    if (!loader || !strstr(loader, "Openexr") ||
        vips_call(loader, in->path, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                  VIPS_FAIL_ON_TRUNCATED, NULL) ||
        image->Bands != 4)
        return image;
    opaque = opaque_alpha(image->Type);
    vips_unpremultiply(image, &plain, "max_alpha", opaque, NULL);
    g_object_unref(image);
    return plain ? scale_bands(plain, 1, 3, 1 / opaque) : NULL;
}

/* options: of the loader, such as "[page=1]". */
static VipsImage *open_source(VipsSource *source, const char *loader,
                              const char *options, double scale)
{
    const char *option = NULL; /* ends the list of options */

    if (strstr(loader, "Jpeg") && scale < 1)
        return vips_image_new_from_source(
            source, options, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
            VIPS_FAIL_ON_TRUNCATED, "shrink", (int)(1 / scale), NULL);
    if (is_vector(loader) || (strstr(loader, "Webp") && scale < 1))
        option = "scale";
    return vips_image_new_from_source(source, options, "access", VIPS_ACCESS_SEQUENTIAL,
                                      "fail_on", VIPS_FAIL_ON_TRUNCATED, option, scale,
                                      NULL);
}

/* Read width and height from the first bytes of a PNG that is cut short too early for
 * libpng to report them. An image that is too large is then refused for its size. */
static VipsImage *png_header(const struct nst_input *in)
{
    static const unsigned char magic[16] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    unsigned char h[24];
    VipsImage *image;

    if (!nst_input_read_at(in, 0, h, sizeof h) || memcmp(h, magic, sizeof magic) != 0 ||
        (h[16] | h[20]) & 0x80)
        return NULL;
    image = vips_image_new();
    vips_image_set_int(image, NST_SIZE_ONLY, 1);
    image->Xsize = h[16] << 24 | h[17] << 16 | h[18] << 8 | h[19];
    image->Ysize = h[20] << 24 | h[21] << 16 | h[22] << 8 | h[23];
    return image;
}

static bool needs_own_pnm(const struct nst_input *in)
{
    unsigned char magic[4];

    return nst_input_read_at(in, 0, magic, sizeof magic) &&
           nst_pnm_is_needed(magic, sizeof magic);
}

/* This reader reads all pixels at once. */
static enum nst_status read_pnm(VipsImage **out, const struct nst_input *in,
                                struct nst_err *err)
{
    const struct nst_picture_size size = {.max_pixels = in->max_pixels};
    FILE *f = in->data ? fmemopen(in->data, in->size, "rb") : fdopen(dup(in->fd), "rb");
    enum nst_status st;
    bool pam;

    if (!f)
        return io_error(in, errno, err);
    rewind(f); /* libvips may have moved the position of the descriptor */
    st = nst_pnm_read(out, &pam, f, in->label, &size, err);
    fclose(f);
    return st;
}

/* Films begin like this; the byte position of the sign comes first. */
static const char *film_kind(const struct nst_input *in)
{
    static const struct {
        size_t at;
        const char *sign, *kind;
    } films[] = {{0, "YUV4MPEG2", "a YUV4MPEG2 stream: add --y4m"},
                 {4, "ftypiso", NULL}, /* MP4; "ftyp" alone may be HEIF */
                 {4, "ftypmp4", NULL},
                 {4, "ftypM4V", NULL},
                 {4, "ftypqt", NULL},
                 {4, "ftyp3g", NULL},
                 {4, "ftypavc1", NULL},
                 {4, "moov", NULL},
                 {4, "mdat", NULL},
                 {8, "AVI ", NULL},
                 {0, "\x1a\x45\xdf\xa3", NULL}, /* Matroska, WebM */
                 {0, "OggS", NULL},
                 {0, "FLV", NULL}};
    char bytes[16];

    for (size_t i = 0; i < sizeof films / sizeof *films; i++) {
        size_t n = strlen(films[i].sign);

        if (nst_input_read_at(in, films[i].at, bytes, n) &&
            memcmp(bytes, films[i].sign, n) == 0)
            return films[i].kind ? films[i].kind
                                 : "a film: let ffmpeg convert it to YUV4MPEG2, and "
                                   "add --y4m (see nst(1))";
    }
    return NULL;
}

static enum nst_status unreadable_error(const struct nst_input *in, struct nst_err *err)
{
    const char *film = film_kind(in);

    if (film)
        return nst_err_set(err, NST_ERR_FORMAT, "%s: is %s", in->label, film);
    if (nst_modules_check_room(in->label, err) != NST_OK)
        return NST_ERR_MEM;
    return nst_err_set(err, NST_ERR_FORMAT, "%s: is not an image that can be read",
                       in->label);
}

/* libvips reads samples of 1 to 8, 16 and 32 bits, and floats of 32. */
static bool is_supported(const struct nst_tiff *t)
{
    enum { UNSIGNED = 1, SIGNED = 2, FLOAT = 3, VOID = 4 };

    if (t->format == FLOAT)
        return t->bits == 32;
    return t->format <= VOID && (t->bits <= 8 || t->bits == 16 || t->bits == 32);
}

/* Say what the file holds that is not used. */
static void add_note(VipsImage *image, const struct nst_input *in, const char *loader,
                     const struct nst_tiff *t)
{
    bool frames = is_animation(loader) || strstr(loader, "Png");
    int pages = strstr(loader, "Png") ? nst_pages_count_apng(in)
                                      : vips_image_get_n_pages(image);
    char note[160] = "";

    if (t)
        pages = t->subifd < 0 ? t->pages : t->pages + 1;
    if (t && t->reduced)
        snprintf(note, sizeof note,
                 "only the preview of %dx%d pixels can be read; camera raw is not "
                 "supported",
                 t->width, t->height);
    else if (pages > 1 && !(in->animated && is_animation(loader)))
        snprintf(note, sizeof note, "only the first of %d %s is used", pages,
                 frames ? "frames" : "pages");
    if (t && t->has_exif)
        snprintf(note + strlen(note), sizeof note - strlen(note),
                 "%sEXIF of a TIFF is not kept", *note ? "; " : "");
    if (*note)
        vips_image_set_string(image, NST_NOTE, note);
}

/* ImageMagick turns the pixels of a TGA upright, and still says how they were. */
static void correct_orientation(VipsImage *image)
{
    const char *format;

    if (vips_image_get_typeof(image, "magick-format") &&
        !vips_image_get_string(image, "magick-format", &format) &&
        strcmp(format, "TGA") == 0)
        vips_autorot_remove_angle(image);
}

static VipsImage *open_image(const struct nst_input *in, VipsSource *source,
                             const char *loader, const struct nst_tiff *t, double scale)
{
    char options[64] = "";
    VipsImage *image;

    if (in->animated && is_animation(loader))
        snprintf(options, sizeof options, "[n=-1]");
    if (t && (t->page || t->subifd >= 0))
        snprintf(options, sizeof options, "[page=%d,subifd=%d]", t->page, t->subifd);
    image = open_source(source, loader, options, scale);
    if (!image)
        return NULL;
    /* libvips divides by alpha, but takes the alpha of floats for one of 0 to 255 */
    if (t && t->associated && image->BandFmt == VIPS_FORMAT_FLOAT)
        image = scale_bands(image, 1 / opaque_alpha(image->Type),
                            image->Bands - t->alpha_from_end, 1);
    if (!image)
        return NULL;
    if (t)
        vips_image_set_int(image, NST_ALPHA_FROM_END, t->alpha_from_end);
    correct_orientation(image);
    add_note(image, in, loader, t);
    return image;
}

enum nst_status nst_input_read_header(VipsImage **out, bool *vector,
                                      struct nst_input *in, double scale,
                                      struct nst_err *err)
{
    VipsSource *source;
    const char *loader;
    struct nst_tiff t;
    bool tiff, table;
    char reason[256];

    *out = NULL;
    *vector = false;
    if (in->fd >= 0)
        lseek(in->fd, 0, SEEK_SET);
    if (needs_own_pnm(in))
        return read_pnm(out, in, err);
    if (nst_room_check(in->label, 0, err) != NST_OK)
        return NST_ERR_MEM;
    source = in->data ? vips_source_new_from_memory(in->data, in->size)
                      : vips_source_new_from_descriptor(in->fd);
    loader = source ? vips_foreign_find_load_source(source) : NULL;
    if (source && !loader && nst_modules_load())
        loader = vips_foreign_find_load_source(source);
    vips_error_clear();
    table = is_table(loader);
    if (table)
        loader = NULL;
    *vector = is_vector(loader);
    tiff = loader && strstr(loader, "Tiff") && nst_pages_scan_tiff(&t, in);
    if (loader)
        *out = open_image(in, source, loader, tiff ? &t : NULL, scale);
    else
        *out = open_exr(in);
    if (source && !loader && !table && !*out) /* ImageMagick reads from memory only */
        *out = open_image(in, source, "", NULL, scale);
    g_clear_object(&source);
    if (*out)
        return NST_OK;
    if (!loader)
        return unreadable_error(in, err);
    if ((*out = png_header(in)))
        return NST_OK;
    if (tiff && !is_supported(&t))
        return nst_err_set(err, NST_ERR_FORMAT,
                           "%s: TIFF with %s of %d bits is not supported (integers of "
                           "up to 8, 16 or 32 bits, floats of 32 bits)",
                           in->label, t.format == 3 ? "floats" : "samples", t.bits);
    return nst_err_set(err, NST_ERR_FORMAT, "%s: is damaged or cut short: %s",
                       in->label, nst_vips_error(reason, sizeof reason));
}

int nst_input_alpha_band(VipsImage *image)
{
    int from_end;

    if (!vips_image_get_typeof(image, NST_ALPHA_FROM_END) ||
        vips_image_get_int(image, NST_ALPHA_FROM_END, &from_end))
        return vips_image_hasalpha(image) ? image->Bands - 1 : -1;
    return from_end && from_end < image->Bands ? image->Bands - from_end : -1;
}
