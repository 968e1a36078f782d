/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/pictures.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nst.h"
#include "serve/sandbox.h"
#include "serve/store.h"

#define THUMB_SIDE 256
#define SNIFF_BYTES 1024  /* searched for markup */
#define ZIP_END_RECORD 22 /* bytes of a ZIP's end record, without its comment */
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

/* True if there is a ZIP end record whose comment extends to the end of the file. In
 * the last SNIFF_BYTES the length is not checked, since readers tolerate other data. */
static bool has_zip_directory(const unsigned char *end, size_t e)
{
    const unsigned char *at = end, *stop = end + e;

    while ((at = memmem(at, (size_t)(stop - at), "PK\5\6", 4))) {
        size_t left = (size_t)(stop - at);

        if (left <= SNIFF_BYTES || left == ZIP_END_RECORD + at[ZIP_END_RECORD - 2] +
                                               256u * at[ZIP_END_RECORD - 1])
            return true;
        at += 4;
    }
    return false;
}

/*
 * A polyglot begins as a picture and is another format to other programs: it has markup
 * near its beginning, or a ZIP directory at its end.
 */
static bool is_polyglot(const unsigned char *begin, size_t b, const unsigned char *end,
                        size_t e)
{
    static const char *const markup[] = {"<html",     "<script", "<svg",   "<?php",
                                         "<!doctype", "%PDF-",   "<iframe"};

    for (size_t i = 0; i < sizeof markup / sizeof *markup; i++)
        for (size_t at = 0; at + strlen(markup[i]) <= b; at++)
            if (strncasecmp((const char *)begin + at, markup[i], strlen(markup[i])) ==
                0)
                return true;
    return has_zip_directory(end, e);
}

const char *serve_picture_extension(const char *path, char **error)
{
    unsigned char begin[SNIFF_BYTES], end[ZIP_END_RECORD + 65535];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t b = fd < 0 ? -1 : pread(fd, begin, sizeof begin, 0), e = -1;
    struct stat st;

    if (b >= 0 && fstat(fd, &st) == 0)
        e = pread(fd, end, sizeof end,
                  st.st_size > (off_t)sizeof end ? st.st_size - (off_t)sizeof end : 0);
    if (fd >= 0)
        close(fd);
    for (size_t i = 0; b > 0 && e > 0 && i < FORMATS; i++)
        if ((size_t)b >= formats[i].offset + formats[i].length &&
            memcmp(begin + formats[i].offset, formats[i].magic, formats[i].length) ==
                0) {
            if (!is_polyglot(begin, (size_t)b, end, (size_t)e))
                return formats[i].extension;
            *error = nst_xstrdup("is a picture and another kind of file at once");
            return NULL;
        }
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

static enum serve_check classify_status(int status)
{
    if (status == 0)
        return SERVE_CHECK_OK;
    if (status == SERVE_SANDBOX_FAILED)
        return SERVE_CHECK_UNAVAILABLE;
    return WIFEXITED(status) && WEXITSTATUS(status) == WRITE_FAILED
               ? SERVE_CHECK_NO_SPACE
               : SERVE_CHECK_INVALID;
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
    limits.folder = folder =
        to ? nst_xasprintf("%.*s", (int)(strrchr(to, '/') - to), to) : NULL;
    status = serve_sandbox_run(
        (const char *const[]){self, "--thumbnail", path, to ? to : "", pixels, NULL},
        &limits, CHECK_SECONDS, NULL, &message);
    check = classify_status(status);
    if (check == SERVE_CHECK_UNAVAILABLE)
        *error = nst_xstrdup("cannot be checked now: try again later");
    else if (check == SERVE_CHECK_NO_SPACE)
        *error = nst_xstrdup("there is no space for its thumbnail");
    else if (check == SERVE_CHECK_INVALID && status != -1 && *message)
        *error = clean_message(message, path);
    else if (check == SERVE_CHECK_INVALID)
        *error = nst_xstrdup("cannot be decoded within the limits of time and memory");
    free(folder);
    free(message);
    free(to);
    return check;
}

int serve_thumbnail(const char *in, const char *out, const char *pixels)
{
    const struct nst_picture_size size = {.longest = THUMB_SIDE,
                                          .max_pixels = strtoll(pixels, NULL, 10)};
    struct nst_picture *p = NULL;
    struct nst_err err;
    int failure = 1;
    enum nst_status st = nst_picture_init("nst-serve", &err);

    if (st == NST_OK)
        st = nst_picture_load(&p, in, &size, &err);
    if (st == NST_OK) {
        st = nst_pixels_write(out, p->rgb, p->height, p->width, &err);
        failure = WRITE_FAILED;
    }
    nst_picture_free(p);
    nst_picture_shutdown();
    if (st != NST_OK)
        fprintf(stderr, "nst-serve: %s\n", err.text);
    return st == NST_OK ? 0 : failure;
}
