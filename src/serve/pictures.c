/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/pictures.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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
#include "serve/strip/strip.h"

#define THUMB_SIDE 256
#define RENDITION_SIDE 1600
#define WALL_FACTOR 2 /* of the CPU time: other processes use the processors, too */
/* The most that a decoder takes, measured with libvips 8.14; see SERVE.md. */
#define BYTES_PER_PIXEL 32
#define COPY_MARGIN 64 /* bytes that a copy without metadata may be longer */
#define WRITE_FAILED 3 /* exit status: cannot write */

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

/* Paths of a check: those that the child writes, and where they go. */
struct paths {
    char *job, *folder; /* of the child, below work/; folder may be NULL */
    char *made_thumb, *thumb;
    char *made_rendition, *rendition; /* made_*: empty: none is wanted */
    char *copy;                       /* without metadata; or empty */
    int lock;                         /* of the folder, or -1 */
};

static char *made_path(const struct paths *p, bool wanted, const char *name)
{
    return wanted && p->folder ? nst_xasprintf("%s/%s", p->folder, name)
                               : nst_xstrdup("");
}

static struct paths make_paths(const char *name, unsigned parts)
{
    struct paths p = {.thumb = serve_store_version_path("thumbs", name),
                      .rendition = serve_store_version_path("renditions", name)};

    p.folder = serve_store_new_work_dir(&p.job, &p.lock);
    p.made_thumb = made_path(&p, true, "thumb.jpg");
    p.made_rendition = made_path(&p, parts & SERVE_PICTURE_RENDITION, "rendition.jpg");
    p.copy = made_path(&p, parts & SERVE_PICTURE_STRIP, "copy");
    return p;
}

static void free_paths(struct paths *p)
{
    serve_store_remove_work_dir(p->job);
    if (p->lock >= 0)
        close(p->lock);
    free(p->job);
    free(p->folder);
    free(p->made_thumb);
    free(p->thumb);
    free(p->made_rendition);
    free(p->rendition);
    free(p->copy);
}

static int run_child(const char *path, const struct paths *p,
                     const struct serve_settings *s, char **message)
{
    char pixels[32], self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    struct serve_sandbox_limits limits = {
        .memory = SERVE_ADDRESS_OVERHEAD + (size_t)s->max_pixels * BYTES_PER_PIXEL,
        .seconds = (unsigned)s->decode_seconds,
        .folder = p->folder,
        .inputs = (const char *const[]){path, NULL}};

    self[n < 0 ? 0 : n] = 0;
    snprintf(pixels, sizeof pixels, "%" PRId64, s->max_pixels);
    return serve_sandbox_run((const char *const[]){self, "--thumbnail", path,
                                                   p->made_thumb, pixels, p->copy,
                                                   p->made_rendition, NULL},
                             &limits, WALL_FACTOR * limits.seconds, NULL, message);
}

/* True if the copy is no longer than the picture, as an honest child makes it. */
static bool is_plausible(const char *copy, const char *path)
{
    uint64_t size = 0, limit = 0;
    int fd = serve_file_open(copy, &size), original = serve_file_open(path, &limit);

    if (fd >= 0)
        close(fd);
    if (original >= 0)
        close(original);
    return fd >= 0 && original >= 0 && size <= limit + COPY_MARGIN;
}

/* Move what the child has made: the copy to path, and the versions. */
static bool take_files(const struct paths *p, const char *path)
{
    if (*p->copy && (!is_plausible(p->copy, path) || !serve_file_take(p->copy, path)))
        return false;
    if (*p->made_rendition &&
        (!p->rendition || !serve_file_take(p->made_rendition, p->rendition)))
        return false;
    return p->thumb && serve_file_take(p->made_thumb, p->thumb);
}

/* What the status of a child that failed means; message is what it said. */
static enum serve_check judge(int status, const char *message, int64_t seconds,
                              char **error)
{
    if (status == SERVE_SANDBOX_FAILED || status == -1) {
        *error = nst_xstrdup(status == -1 ? "cannot be checked in time, because the "
                                            "machine is busy: try again later"
                                          : "cannot be checked now: try again later");
        return SERVE_CHECK_UNAVAILABLE;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == WRITE_FAILED) {
        *error = nst_xstrdup("there is no space for it");
        return SERVE_CHECK_NO_SPACE;
    }
    *error = WIFEXITED(status) && *message
                 ? nst_xasprintf("%.*s", (int)strcspn(message, "\n"), message)
                 : nst_xasprintf("takes more than %" PRId64
                                 " s or too much memory to decode: "
                                 "save it anew, or smaller",
                                 seconds);
    return SERVE_CHECK_INVALID;
}

enum serve_check serve_picture_check(const char *path, const char *name,
                                     const struct serve_settings *s, unsigned parts,
                                     char **error)
{
    struct paths p = make_paths(name, parts);
    enum serve_check check = SERVE_CHECK_OK;
    char *message = NULL;
    int status =
        p.folder ? run_child(path, &p, s, &message) : W_EXITCODE(WRITE_FAILED, 0);

    if (status == 0 && !take_files(&p, path))
        status = W_EXITCODE(WRITE_FAILED, 0);
    if (status != 0)
        check = judge(status, message, s->decode_seconds, error);
    free(message);
    free_paths(&p);
    return check;
}

/* Count the parts of the file, and copy it without its metadata if copy is not empty.
 */
static int check_parts(const char *in, const char *copy)
{
    char *error = NULL;
    enum serve_strip outcome = serve_strip(in, *copy ? copy : NULL, &error);

    if (outcome == SERVE_STRIP_OK)
        return 0;
    fprintf(stderr, "%s\n", error);
    free(error);
    return outcome == SERVE_STRIP_UNWRITABLE ? WRITE_FAILED : 1;
}

/* "is damaged" of "PATH: is damaged". */
static const char *without_path(const char *message, const char *path)
{
    size_t n = strlen(path);

    return strncmp(message, path, n) == 0 ? message + n + strspn(message + n, ": ")
                                          : message;
}

/* The longest side to decode for a version: no more than the picture has, and so much
 * that no side is too short. */
static enum nst_status set_longest(struct nst_picture_size *size, const char *in,
                                   struct nst_err *err)
{
    const struct nst_picture_size whole = {.max_pixels = size->max_pixels,
                                           .header_only = true};
    struct nst_picture *p;
    enum nst_status st = nst_picture_load(&p, in, &whole, err);
    int w = st == NST_OK ? p->width : 0, h = st == NST_OK ? p->height : 0;

    nst_picture_free(p);
    size->longest = MIN(size->longest, MAX(w, h));
    while (st == NST_OK && size->longest < MAX(w, h)) {
        int to_w = w, to_h = h;

        nst_picture_target_size(size, &to_w, &to_h);
        if (MIN(to_w, to_h) >= NST_PICTURE_MIN_SIDE)
            break;
        size->longest++;
    }
    return st;
}

/* Write the picture as a JPEG whose longest side is at most longest. */
static enum nst_status write_version(const char *path, const struct nst_picture *p,
                                     int longest, struct nst_err *err)
{
    const struct nst_picture_size size = {.longest =
                                              MIN(longest, MAX(p->width, p->height))};
    int w = p->width, h = p->height;
    enum nst_status st;
    float *rgb;

    nst_picture_target_size(&size, &w, &h);
    st = nst_pixels_resize(&rgb, nst_picture_image(p), h, w, err);
    if (st == NST_OK)
        st = nst_pixels_write(path, (struct nst_image){rgb, h, w}, err);
    free(rgb);
    return st;
}

int serve_thumbnail(const char *in, const char *out, const char *pixels,
                    const char *copy, const char *rendition)
{
    struct nst_picture_size size = {.longest = *rendition ? RENDITION_SIDE : THUMB_SIDE,
                                    .max_pixels = strtoll(pixels, NULL, 10),
                                    .for_view = true};
    const char *picture = *copy ? copy : in;
    struct nst_picture *p = NULL;
    struct nst_err err;
    int failure = check_parts(in, copy);
    enum nst_status st;

    if (failure)
        return failure;
    failure = 1;
    st = nst_picture_init("nst-serve", &err);
    if (st == NST_OK)
        st = set_longest(&size, picture, &err);
    if (st == NST_OK)
        st = nst_picture_load(&p, picture, &size, &err);
    if (st == NST_OK) {
        nst_picture_flatten(p, NST_WHITE);
        failure = WRITE_FAILED;
        st = write_version(out, p, THUMB_SIDE, &err);
    }
    if (st == NST_OK && *rendition)
        st = write_version(rendition, p, RENDITION_SIDE, &err);
    nst_picture_free(p);
    nst_picture_shutdown();
    if (st != NST_OK)
        fprintf(stderr, "%s\n", without_path(err.text, picture));
    return st == NST_OK ? 0 : failure;
}
