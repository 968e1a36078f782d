/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/pictures.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/sandbox.h"
#include "serve/store.h"

#define THUMB_SIDE 256
#define CHECK_SECONDS 30
#define CHECK_MEMORY ((size_t)6 << 30)
#define WRITE_FAILED 3 /* exit status: cannot write the thumbnail */

static const struct {
    const char *extension, *type, *magic;
    size_t offset, length; /* of the magic bytes */
} formats[] = {
    {".png", "image/png", "\x89PNG\r\n\x1a\n", 0, 8},
    {".jpg", "image/jpeg", "\xff\xd8\xff", 0, 3},
    {".gif", "image/gif", "GIF8", 0, 4},
    {".webp", "image/webp", "WEBP", 8, 4},
    {".tif", "image/tiff", "II*\0", 0, 4},
    {".tif", "image/tiff", "MM\0*", 0, 4},
    {".heic", "image/heic", "ftypheic", 4, 8},
    {".heic", "image/heic", "ftypmif1", 4, 8},
    {".avif", "image/avif", "ftypavif", 4, 8},
};
#define FORMATS (sizeof formats / sizeof *formats)

const char *serve_picture_media_type(const char *name)
{
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < FORMATS; i++)
        if (strcmp(formats[i].extension, dot) == 0)
            return formats[i].type;
    return "application/octet-stream";
}

char *serve_picture_stem(const char *name)
{
    return nst_xasprintf("%.*s", (int)strcspn(name, "."), name);
}

char *serve_picture_find(const char *folder, const char *name_or_stem)
{
    if (serve_store_has(folder, name_or_stem))
        return nst_xstrdup(name_or_stem);
    for (size_t i = 0; i < FORMATS; i++) {
        char *name = nst_xasprintf("%s%s", name_or_stem, formats[i].extension);

        if (serve_store_has(folder, name))
            return name;
        free(name);
    }
    return NULL;
}

const char *serve_picture_extension(const char *path, char **error)
{
    char head[16];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof head, 0);

    if (fd >= 0)
        close(fd);
    for (size_t i = 0; n > 0 && i < FORMATS; i++)
        if ((size_t)n >= formats[i].offset + formats[i].length &&
            memcmp(head + formats[i].offset, formats[i].magic, formats[i].length) == 0)
            return formats[i].extension;
    *error = nst_xstrdup("is not a picture (PNG, JPEG, GIF, WebP, TIFF, HEIC or AVIF)");
    return NULL;
}

/* "is damaged" from "nst-serve: PATH: is damaged", a new string. */
static char *clean_message(const char *message, const char *path)
{
    const char *at = strstr(message, path);
    char *text;

    at = at ? at + strlen(path) : message;
    at += strspn(at, ": ");
    text = nst_xasprintf("%.*s", (int)strcspn(at, "\n"), at);
    return text;
}

enum serve_check serve_picture_check(const char *path, const char *name,
                                     long long max_pixels, char **error)
{
    char pixels[32], self[PATH_MAX], *thumb = nst_xasprintf("%s.jpg", name), *to,
                                     *message, *folder;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    struct serve_sandbox_limits limits = {.memory = CHECK_MEMORY,
                                          .seconds = CHECK_SECONDS};
    enum serve_check check;
    int status;

    self[n < 0 ? 0 : n] = 0;
    snprintf(pixels, sizeof pixels, "%lld", max_pixels);
    to = serve_store_path("thumbs", thumb);
    free(thumb);
    limits.folder = folder = to ? g_path_get_dirname(to) : NULL;
    status = serve_sandbox_run(
        (const char *const[]){self, "--thumbnail", path, to ? to : "", pixels, NULL},
        &limits, CHECK_SECONDS, NULL, &message);
    check = status == 0                      ? SERVE_CHECK_OK
            : status == SERVE_SANDBOX_FAILED ? SERVE_CHECK_UNAVAILABLE
            : WIFEXITED(status) && WEXITSTATUS(status) == WRITE_FAILED
                ? SERVE_CHECK_NO_SPACE
                : SERVE_CHECK_INVALID;
    if (check == SERVE_CHECK_UNAVAILABLE)
        *error = nst_xstrdup("cannot be checked now: try again later");
    else if (check == SERVE_CHECK_NO_SPACE)
        *error = nst_xstrdup("there is no space for its thumbnail");
    else if (check == SERVE_CHECK_INVALID && status != -1 && *message)
        *error = clean_message(message, path);
    else if (check == SERVE_CHECK_INVALID)
        *error = nst_xstrdup("cannot be decoded within the limits of time and memory");
    g_free(folder);
    free(message);
    free(to);
    return check;
}

/* Make the thumbnail of a panorama longer, so that no side is too short. */
static enum nst_status set_longest(struct nst_picture_size *size, const char *in,
                                   struct nst_err *err)
{
    const struct nst_picture_size whole = {.max_pixels = size->max_pixels,
                                           .header_only = true};
    struct nst_picture *p;
    enum nst_status st = nst_picture_load(&p, in, &whole, err);
    int w = st == NST_OK ? p->width : 0, h = st == NST_OK ? p->height : 0;

    nst_picture_free(p);
    while (st == NST_OK && size->longest < MAX(w, h)) {
        int to_w = w, to_h = h;

        nst_picture_target_size(size, &to_w, &to_h);
        if (MIN(to_w, to_h) >= NST_PICTURE_MIN_SIDE)
            break;
        size->longest++;
    }
    return st;
}

int serve_thumbnail(const char *in, const char *out, const char *pixels)
{
    struct nst_picture_size size = {.longest = THUMB_SIDE,
                                    .max_pixels = strtoll(pixels, NULL, 10)};
    struct nst_picture *p = NULL;
    struct nst_err err;
    int failure = 1;
    enum nst_status st = nst_picture_init("nst-serve", &err);

    if (st == NST_OK)
        st = set_longest(&size, in, &err);
    if (st == NST_OK)
        st = nst_picture_load(&p, in, &size, &err);
    if (st == NST_OK) {
        st = nst_pixels_write(out, nst_picture_image(p), &err);
        failure = WRITE_FAILED;
    }
    nst_picture_free(p);
    nst_picture_shutdown();
    if (st != NST_OK)
        fprintf(stderr, "nst-serve: %s\n", err.text);
    return st == NST_OK ? 0 : failure;
}
