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

/* libvips loads OpenEXR from a path only, not from memory. */
static VipsImage *open_by_path(const struct nst_input *in)
{
    const char *loader = in->fd >= 0 ? vips_foreign_find_load(in->path) : NULL;
    VipsImage *image = NULL;

    if (loader && strstr(loader, "Openexr"))
        vips_call(loader, in->path, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                  VIPS_FAIL_ON_TRUNCATED, NULL);
    return image;
}

static VipsImage *open_source(VipsSource *source, const char *loader, double scale,
                              bool animated)
{
    const char *option = NULL; /* ends the list of options */

    if (animated)
        return vips_image_new_from_source(source, "", "access", VIPS_ACCESS_SEQUENTIAL,
                                          "fail_on", VIPS_FAIL_ON_TRUNCATED, "n", -1,
                                          NULL);
    if (loader && strstr(loader, "Jpeg") && scale < 1)
        return vips_image_new_from_source(source, "", "access", VIPS_ACCESS_SEQUENTIAL,
                                          "fail_on", VIPS_FAIL_ON_TRUNCATED, "shrink",
                                          (int)(1 / scale), NULL);
    if (is_vector(loader) || (loader && strstr(loader, "Webp") && scale < 1))
        option = "scale";
    return vips_image_new_from_source(source, "", "access", VIPS_ACCESS_SEQUENTIAL,
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

    if (in->size < sizeof h)
        return NULL;
    if (in->data)
        memcpy(h, in->data, sizeof h);
    else if (pread(in->fd, h, sizeof h, 0) != (ssize_t)sizeof h)
        return NULL;
    if (memcmp(h, magic, sizeof magic) != 0 || (h[16] | h[20]) & 0x80)
        return NULL;
    image = vips_image_new();
    vips_image_set_int(image, NST_SIZE_ONLY, 1);
    image->Xsize = h[16] << 24 | h[17] << 16 | h[18] << 8 | h[19];
    image->Ysize = h[20] << 24 | h[21] << 16 | h[22] << 8 | h[23];
    return image;
}

static bool is_pam(const struct nst_input *in)
{
    unsigned char magic[4];

    if (in->data)
        return nst_pnm_is_pam(in->data, in->size);
    return pread(in->fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
           nst_pnm_is_pam(magic, sizeof magic);
}

/* libvips has no loader for PAM; this one reads all pixels at once. */
static enum nst_status read_pam(VipsImage **out, const struct nst_input *in,
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

enum nst_status nst_input_read_header(VipsImage **out, bool *vector,
                                      struct nst_input *in, double scale,
                                      struct nst_err *err)
{
    VipsSource *source;
    const char *loader;
    char reason[256];

    *out = NULL;
    *vector = false;
    if (in->fd >= 0)
        lseek(in->fd, 0, SEEK_SET);
    if (is_pam(in))
        return read_pam(out, in, err);
    source = in->data ? vips_source_new_from_memory(in->data, in->size)
                      : vips_source_new_from_descriptor(in->fd);
    loader = source ? vips_foreign_find_load_source(source) : NULL;
    if (source && !loader && nst_modules_load())
        loader = vips_foreign_find_load_source(source);
    vips_error_clear();
    *vector = is_vector(loader);
    if (source && !is_table(loader))
        *out = open_source(source, loader, scale,
                           in->animated && loader && is_animation(loader));
    if (!*out && !loader)
        *out = open_by_path(in);
    g_clear_object(&source);
    if (*out)
        return NST_OK;
    nst_vips_error(reason, sizeof reason);
    if (loader && !is_table(loader) && (*out = png_header(in)))
        return NST_OK;
    if (!loader || is_table(loader))
        return nst_err_set(err, NST_ERR_FORMAT, "%s: is not an image that can be read",
                           in->label);
    return nst_err_set(err, NST_ERR_FORMAT, "%s: is damaged or cut short: %s",
                       in->label, reason);
}
