/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "run/frame_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/image.h"

#define MOST 65535.0F

struct nst_frame_store {
    int fd;
    int height, width;
    const char *folder;
    uint16_t *samples; /* of one frame */
};

static size_t sample_count(const struct nst_frame_store *s)
{
    return 3 * nst_area(s->height, s->width);
}

enum nst_status nst_frame_store_new(struct nst_frame_store **out, int height, int width,
                                    struct nst_err *err)
{
    struct nst_frame_store *s = nst_xcalloc(1, sizeof *s);
    const char *folder = getenv("TMPDIR");
    enum nst_status st = NST_OK;
    char *path;

    *s = (struct nst_frame_store){-1, height, width,
                                  folder && *folder ? folder : "/var/tmp", NULL};
    s->samples = malloc(sample_count(s) * sizeof *s->samples);
    path = nst_xasprintf("%s/nst-frames-XXXXXX", s->folder);
    s->fd = mkostemp(path, O_CLOEXEC);
    if (s->fd < 0)
        st = nst_err_set(err, NST_ERR_IO,
                         "passes: no work file in %s: %s; set TMPDIR to another folder",
                         s->folder, strerror(errno));
    else
        unlink(path);
    if (!s->samples)
        st = nst_err_set(err, NST_ERR_MEM, "out of memory: a frame of %dx%d", width,
                         height);
    free(path);
    if (st != NST_OK) {
        nst_frame_store_free(s);
        s = NULL;
    }
    *out = s;
    return st;
}

void nst_frame_store_free(struct nst_frame_store *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    free(s->samples);
    free(s);
}

/* Read or write all samples at their place in the file. */
static enum nst_status transfer(struct nst_frame_store *s, int frame,
                                enum nst_frame_kind kind, bool writes,
                                struct nst_err *err)
{
    size_t size = sample_count(s) * sizeof *s->samples, done = 0;
    off_t at = (off_t)size * (2 * (off_t)frame + (kind == NST_FRAME_RESULT));
    char *data = (char *)s->samples;

    while (done < size) {
        ssize_t n = writes ? pwrite(s->fd, data + done, size - done, at + (off_t)done)
                           : pread(s->fd, data + done, size - done, at + (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return nst_err_set(err, NST_ERR_IO,
                               "passes: the work file in %s: %s; set TMPDIR to another "
                               "folder",
                               s->folder, strerror(n < 0 ? errno : EIO));
        done += (size_t)n;
    }
    return NST_OK;
}

enum nst_status nst_frame_store_put(struct nst_frame_store *s, int frame,
                                    enum nst_frame_kind kind, const float *rgb,
                                    struct nst_err *err)
{
    for (size_t i = 0; i < sample_count(s); i++) {
        float v = rgb[i] > 0 ? rgb[i] < 1 ? rgb[i] : 1 : 0;

        s->samples[i] = (uint16_t)(v * MOST + 0.5F);
    }
    return transfer(s, frame, kind, true, err);
}

enum nst_status nst_frame_store_get(struct nst_frame_store *s, int frame,
                                    enum nst_frame_kind kind, float **rgb,
                                    struct nst_err *err)
{
    enum nst_status st = transfer(s, frame, kind, false, err);

    *rgb = NULL;
    if (st == NST_OK)
        st = nst_floats_new(rgb, 3, (size_t)s->height, (size_t)s->width, err);
    for (size_t i = 0; st == NST_OK && i < sample_count(s); i++)
        (*rgb)[i] = (float)s->samples[i] / MOST;
    return st;
}
