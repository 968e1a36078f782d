/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nst.h"
#include "serve/log.h"
#include "serve/pictures.h"
#include "serve/store.h"

#define BUFFER 32768 /* of the form's reader */

struct serve_upload {
    const struct serve_settings *settings;
    const char *field;
    struct MHD_PostProcessor *form;
    char *name, *path; /* of the file that it is received into */
    int fd;
    size_t size;
    int error; /* errno of writing */
    bool several, broken;
};

/* A part of the form's value; the file's name is not looked at. */
static enum MHD_Result on_part(void *cls, enum MHD_ValueKind kind, const char *key,
                               const char *filename, const char *type,
                               const char *encoding, const char *data, uint64_t at,
                               size_t size)
{
    struct serve_upload *u = cls;

    (void)kind;
    (void)filename;
    (void)type;
    (void)encoding;
    if (!key || strcmp(key, u->field) != 0)
        return MHD_YES;
    if (at == 0 && u->size > 0)
        u->several = true;
    while (size > 0 && !u->error && !u->several) {
        ssize_t n = write(u->fd, data, size);

        if (n > 0) {
            data += n;
            size -= (size_t)n;
            u->size += (size_t)n;
        } else if (errno != EINTR)
            u->error = errno;
    }
    return MHD_YES;
}

struct serve_upload *serve_upload_new(struct MHD_Connection *c, const char *field,
                                      const struct serve_settings *s)
{
    struct serve_upload *u = nst_xcalloc(1, sizeof *u);

    u->settings = s;
    u->field = field;
    u->fd = -1;
    u->form = MHD_create_post_processor(c, BUFFER, on_part, u);
    if (!u->form) {
        free(u);
        return NULL;
    }
    u->name = serve_store_new_name(SERVE_PARTIAL);
    u->path = serve_store_path("uploads", u->name);
    u->fd = open(u->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    u->error = u->fd < 0 ? errno : 0;
    return u;
}

void serve_upload_free(struct serve_upload *u)
{
    if (!u)
        return;
    if (u->form)
        MHD_destroy_post_processor(u->form);
    if (u->fd >= 0) {
        close(u->fd);
        unlink(u->path);
    }
    free(u->name);
    free(u->path);
    free(u);
}

void serve_upload_add(struct serve_upload *u, const char *bytes, size_t size)
{
    if (!u->broken && MHD_post_process(u->form, bytes, size) != MHD_YES)
        u->broken = true;
}

/* Is there one, whole, on the disk? */
static bool is_received(struct serve_upload *u, struct serve_answer *answer)
{
    bool whole = MHD_destroy_post_processor(u->form) == MHD_YES && !u->broken;

    u->form = NULL;
    if (u->error == 0 && fsync(u->fd) != 0)
        u->error = errno;
    if (u->error) {
        serve_log(SERVE_ERROR, "cannot keep a picture: %s", strerror(u->error));
        *answer = serve_answer_error(
            u->error == ENOSPC || u->error == EDQUOT ? MHD_HTTP_INSUFFICIENT_STORAGE
                                                     : MHD_HTTP_INTERNAL_SERVER_ERROR,
            "%s: cannot be kept: %s", u->field, strerror(u->error));
    } else if (!whole)
        *answer = serve_answer_error(MHD_HTTP_BAD_REQUEST, "the form is cut short");
    else if (u->several)
        *answer =
            serve_answer_error(MHD_HTTP_BAD_REQUEST, "%s: takes one picture", u->field);
    else if (u->size == 0)
        *answer = serve_answer_error(MHD_HTTP_BAD_REQUEST,
                                     "%s: the form has no picture in it", u->field);
    else
        return true;
    return false;
}

char *serve_upload_keep(struct serve_upload *u, const char *folder,
                        struct serve_answer *answer)
{
    char *error = NULL, *name = NULL, *path = NULL, *kept = NULL;
    const char *kind = NULL;

    if (!is_received(u, answer))
        return NULL;
    kind = serve_picture_kind(u->path, &error);
    if (kind) {
        name = nst_xasprintf("%.*s%s", (int)strcspn(u->name, "."), u->name, kind);
        path = serve_store_path(folder, name);
    }
    if (!kind ||
        !serve_picture_check(u->path, name, (long long)u->settings->max_pixels, &error))
        *answer = serve_answer_error(MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "%s: %s",
                                     u->field, error);
    else if (rename(u->path, path) != 0)
        *answer =
            serve_answer_error(MHD_HTTP_INTERNAL_SERVER_ERROR, "%s: cannot be kept: %s",
                               u->field, strerror(errno));
    else {
        close(u->fd);
        u->fd = -1;
        kept = nst_xstrdup(name);
    }
    free(error);
    free(name);
    free(path);
    return kept;
}
