/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/strip/strip.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "serve/strip/copy.h"

static const struct {
    const char *magic;
    size_t offset, length;
    void (*walk)(struct strip *s);
} formats[] = {
    {"\xff\xd8\xff", 0, 3, strip_jpeg}, {"\x89PNG\r\n\x1a\n", 0, 8, strip_png},
    {"WEBP", 8, 4, strip_webp},         {"GIF8", 0, 4, strip_gif},
    {"II*\0", 0, 4, strip_tiff},        {"MM\0*", 0, 4, strip_tiff},
    {"ftyp", 4, 4, strip_heif},
};

static void walk(struct strip *s)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strip_has(s, formats[i].offset, formats[i].length) &&
            memcmp(s->in + formats[i].offset, formats[i].magic, formats[i].length) ==
                0) {
            formats[i].walk(s);
            strip_flush(s);
            return;
        }
    if (s->fd >= 0)
        s->problem = nst_xstrdup("is of no format that can be copied without metadata");
}

static bool map_file(struct strip *s, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st = {.st_size = 0};
    void *p = MAP_FAILED;

    if (fd >= 0 && fstat(fd, &st) == 0)
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd >= 0)
        close(fd);
    s->in = p;
    s->size = (size_t)st.st_size;
    return p != MAP_FAILED;
}

/* Close the copy; its name is removed by the caller if there is an error. */
static void finish_copy(struct strip *s)
{
    if (s->fd < 0)
        return;
    if (!s->write_error && s->in_place && ftruncate(s->fd, (off_t)s->size) != 0)
        s->write_error = errno;
    if (!s->write_error && fsync(s->fd) != 0)
        s->write_error = errno;
    if (close(s->fd) != 0 && !s->write_error)
        s->write_error = errno;
}

enum serve_strip serve_strip(const char *from, const char *to, char **error)
{
    struct strip s = {.fd = -1};
    enum serve_strip outcome = SERVE_STRIP_OK;

    if (!map_file(&s, from)) {
        *error = nst_xstrdup(strerror(errno));
        return SERVE_STRIP_UNREADABLE;
    }
    if (to) {
        s.fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        s.write_error = s.fd < 0 ? errno : 0;
    }
    walk(&s);
    finish_copy(&s);
    munmap((void *)(uintptr_t)s.in, s.size);
    if (s.problem) {
        *error = s.problem;
        outcome = SERVE_STRIP_REFUSED;
    } else if (s.write_error) {
        *error = nst_xstrdup(strerror(s.write_error));
        outcome = SERVE_STRIP_UNWRITABLE;
    }
    if (to && outcome != SERVE_STRIP_OK)
        unlink(to);
    return outcome;
}
