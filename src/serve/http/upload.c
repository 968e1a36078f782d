/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/http/cookie.h"
#include "serve/http/multipart.h"
#include "serve/labels.h"
#include "serve/log.h"
#include "serve/owners.h"
#include "serve/pictures.h"
#include "serve/store.h"

#define MAX_LABEL_BYTES 1024
#define NAME_DIGITS 32
#define BUFFER_SIZE 65536 /* bytes to write at once */
#define RETRY_SECONDS 10

struct serve_upload {
    const struct serve_settings *settings;
    const char *field;
    struct serve_multipart *form;
    char *name, *path; /* of the partial file */
    int fd;
    char buffer[BUFFER_SIZE];
    size_t buffered, size; /* size: of the picture so far */
    GChecksum *digest;     /* of the picture so far */
    GString *label;        /* as sent */
    unsigned pictures;     /* parts with the field */
    int error;             /* errno of a write; 0: none */
};

static void flush(struct serve_upload *u)
{
    const char *bytes = u->buffer;

    while (u->buffered > 0 && !u->error) {
        ssize_t n = write(u->fd, bytes, u->buffered);

        if (n > 0) {
            bytes += n;
            u->buffered -= (size_t)n;
        } else if (errno != EINTR)
            u->error = errno;
    }
}

static void add_to_label(struct serve_upload *u, const char *bytes, size_t size)
{
    size_t room = MAX_LABEL_BYTES - u->label->len;

    g_string_append_len(u->label, bytes, (gssize)MIN(size, room));
}

/* serve_part_fn. The client's file name is ignored. */
static void on_part(void *ctx, const char *name, bool begins, const char *bytes,
                    size_t size)
{
    struct serve_upload *u = ctx;

    if (strcmp(name, "label") == 0)
        add_to_label(u, bytes, size);
    if (strcmp(name, u->field) != 0)
        return;
    u->pictures += begins;
    if (u->pictures > 1 || u->error)
        return;
    u->size += size;
    g_checksum_update(u->digest, (const guchar *)bytes, (gssize)size);
    while (size > 0 && !u->error) {
        size_t n = sizeof u->buffer - u->buffered;

        n = n < size ? n : size;
        memcpy(u->buffer + u->buffered, bytes, n);
        bytes += n;
        size -= n;
        u->buffered += n;
        if (u->buffered == sizeof u->buffer)
            flush(u);
    }
}

struct serve_upload *serve_upload_new(struct MHD_Connection *c, const char *field,
                                      const struct serve_settings *s)
{
    const char *type =
        MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    struct serve_upload *u = nst_xcalloc(1, sizeof *u);

    u->settings = s;
    u->field = field;
    u->fd = -1;
    u->form = serve_multipart_new(type, on_part, u);
    if (!u->form) {
        free(u);
        return NULL;
    }
    u->digest = g_checksum_new(G_CHECKSUM_SHA256);
    u->label = g_string_new(NULL);
    u->name = serve_store_new_name(SERVE_PARTIAL_SUFFIX);
    u->path = serve_store_path("uploads", u->name);
    u->fd = open(u->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    u->error = u->fd < 0 ? errno : 0;
    return u;
}

void serve_upload_free(struct serve_upload *u)
{
    if (!u)
        return;
    serve_multipart_free(u->form);
    if (u->fd >= 0) {
        close(u->fd);
        unlink(u->path);
    }
    g_checksum_free(u->digest);
    g_string_free(u->label, TRUE);
    free(u->name);
    free(u->path);
    free(u);
}

void serve_upload_add(struct serve_upload *u, const char *bytes, size_t size)
{
    serve_multipart_add(u->form, bytes, size);
}

static struct serve_response store_error(const struct serve_upload *u, int error)
{
    serve_log(SERVE_ERROR, "cannot keep a picture: %s", strerror(error));
    return serve_response_error(serve_store_is_disk_full(error)
                                    ? MHD_HTTP_INSUFFICIENT_STORAGE
                                    : MHD_HTTP_INTERNAL_SERVER_ERROR,
                                "%s: cannot be kept: %s", u->field, strerror(error));
}

bool serve_upload_has_space(const struct serve_upload *u, uint64_t bytes,
                            struct serve_response *response)
{
    bool fits = serve_store_has_space(bytes);

    if (!fits)
        *response = store_error(u, ENOSPC);
    return fits;
}

/* Check that the form was complete and sync the file. False: *response. */
static bool finish_form(struct serve_upload *u, struct serve_response *response)
{
    const char *error = serve_multipart_error(u->form);

    flush(u);
    if (u->error == 0 && fsync(u->fd) != 0)
        u->error = errno;
    if (u->error)
        *response = store_error(u, u->error);
    else if (error)
        *response = serve_response_error(MHD_HTTP_BAD_REQUEST, "the form %s", error);
    else if (u->pictures != 1)
        *response = serve_response_error(
            MHD_HTTP_BAD_REQUEST, "%s: the form contains %s: send one picture",
            u->field, u->pictures ? "more than one picture" : "no picture");
    else if (u->size == 0)
        *response =
            serve_response_error(MHD_HTTP_BAD_REQUEST,
                                 "%s: the file is empty: choose another one", u->field);
    else
        return true;
    return false;
}

/* Decode the picture, create its versions and remove its metadata. False: *response. */
static bool check_picture(const struct serve_upload *u, const char *name,
                          struct serve_response *response)
{
    char *error = NULL;
    unsigned strip = u->settings->keep_metadata ? 0 : SERVE_PICTURE_STRIP;
    enum serve_check check = serve_picture_check(
        u->path, name, u->settings, SERVE_PICTURE_RENDITION | strip, &error);

    if (check == SERVE_CHECK_NO_SPACE)
        *response = store_error(u, ENOSPC);
    else if (check == SERVE_CHECK_UNAVAILABLE)
        *response = serve_response_retry_after(
            MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS, "%s: %s", u->field, error);
    else if (check == SERVE_CHECK_INVALID)
        *response = serve_response_error(MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "%s: %s",
                                         u->field, error);
    free(error);
    return check == SERVE_CHECK_OK;
}

/* Move the file to its folder; serve_upload_free() then keeps it. */
static bool move_to_store(struct serve_upload *u, const char *folder, const char *name,
                          const struct serve_identity *who,
                          struct serve_response *response)
{
    char *path = serve_store_path(folder, name);
    bool moved = serve_owner_set(name, who->owner, serve_party(who)) &&
                 serve_file_move(u->path, path);

    if (moved) {
        close(u->fd);
        u->fd = -1;
    } else {
        *response = store_error(u, errno);
        serve_store_remove_picture(folder, name); /* the versions */
    }
    free(path);
    return moved;
}

size_t serve_upload_size(const struct serve_upload *u)
{
    return u->size;
}

char *serve_upload_label(const struct serve_upload *u)
{
    return serve_label_clean(u->label->str);
}

/* The name for a picture of an owner in a folder: an HMAC of its contents, so that the
 * same picture gets the same name, which nobody else can guess. A new string. */
static char *make_name(const struct serve_upload *u, const char *folder,
                       const char *owner, const char *extension)
{
    char digest[SERVE_DIGEST_SIZE];
    char *text =
        nst_xasprintf("%s\n%s\n%s", folder, owner, g_checksum_get_string(u->digest));

    serve_key_sign(digest, "picture", text);
    free(text);
    return nst_xasprintf("%.*s%s", NAME_DIGITS, digest, extension);
}

char *serve_upload_name(struct serve_upload *u, const char *folder,
                        const struct serve_identity *who,
                        struct serve_response *response)
{
    const char *extension;
    char *error = NULL;

    if (!finish_form(u, response))
        return NULL;
    extension = serve_picture_extension(u->path, &error);
    if (extension)
        return make_name(u, folder, who->owner, extension);
    *response = serve_response_error(MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "%s: %s",
                                     u->field, error);
    free(error);
    return NULL;
}

bool serve_upload_is_stored(const char *folder, const char *name)
{
    char *path = serve_store_path(folder, name);
    bool stored = serve_store_has_version("thumbs", name) &&
                  serve_store_has_version("renditions", name) &&
                  utimensat(AT_FDCWD, path, NULL, 0) == 0;

    free(path);
    return stored;
}

bool serve_upload_store(struct serve_upload *u, const char *folder, const char *name,
                        const struct serve_identity *who,
                        struct serve_response *response)
{
    return check_picture(u, name, response) &&
           move_to_store(u, folder, name, who, response);
}
