/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "nst.h"

static bool open_file(struct serve_log_file *f)
{
    int fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    struct stat st;

    if (fd < 0)
        return false;
    if (f->fd >= 0)
        close(f->fd);
    f->fd = fd;
    f->size = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : -1;
    return true;
}

bool serve_log_file_open(struct serve_log_file *f, const char *path)
{
    *f = (struct serve_log_file){.path = nst_xstrdup(path), .fd = -1};
    return open_file(f);
}

void serve_log_file_close(struct serve_log_file *f)
{
    if (f->path && f->fd >= 0)
        close(f->fd);
    free(f->path);
    *f = (struct serve_log_file){.fd = -1};
}

bool serve_log_file_reopen(struct serve_log_file *f)
{
    return open_file(f);
}

/* FILE becomes FILE.1, FILE.1 becomes FILE.2, and the last one is removed. */
static void rotate(struct serve_log_file *f)
{
    for (int i = SERVE_LOG_FILES - 1; i > 0; i--) {
        char *to = nst_xasprintf("%s.%d", f->path, i);
        char *from =
            i > 1 ? nst_xasprintf("%s.%d", f->path, i - 1) : nst_xstrdup(f->path);

        rename(from, to); /* may not exist */
        free(from);
        free(to);
    }
    if (!open_file(f))
        f->size = 0; /* go on in the renamed file */
}

bool serve_log_file_write(struct serve_log_file *f, const char *text, size_t size)
{
    if (f->size > 0 && f->size + (int64_t)size > SERVE_LOG_FILE_BYTES)
        rotate(f);
    while (size > 0) {
        ssize_t n = write(f->fd, text, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text += n;
        size -= (size_t)n;
        if (f->size >= 0)
            f->size += n;
    }
    return true;
}
