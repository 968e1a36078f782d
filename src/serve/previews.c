/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/previews.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/http/auth.h"
#include "serve/log.h"
#include "serve/owners.h"
#include "serve/pictures.h"
#include "serve/sandbox.h"
#include "serve/store.h"
#include "serve/styles.h"

#define SIZE 128     /* pixels of the longest side, unless the request says */
#define MIN_SIZE 64  /* */
#define MAX_SIZE 256 /* that of a thumbnail, which is what is painted */
#define STEPS 24     /* the strokes are there; more only refines them */
#define SECONDS 60   /* wall clock: tasks go first */
#define CPU_SECONDS 20
#define MEMORY ((size_t)1 << 30)
#define NICE 15        /* tasks have 5 */
#define MAX_FILES 4096 /* about 40 MB */
#define HASH_DIGITS 16
#define RETRY_SECONDS 10
#define WEIGHT_MIN 1e-6
#define WEIGHT_MAX 1e6

/* What a request asks for. */
struct order {
    const char *content, *style; /* borrowed */
    int64_t size;
    GPtrArray *arguments; /* --style=PATH:WEIGHT of each style */
    GPtrArray *inputs;    /* paths: of each style, of the content, and NULL */
    bool is_net;          /* the style is a network */
    char *file;           /* its name in previews/ */
};

static const char *query(const struct serve_request *r, const char *name)
{
    const char *text =
        MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);

    return text ? text : "";
}

static void clear_order(struct order *o)
{
    g_ptr_array_free(o->arguments, TRUE);
    g_ptr_array_free(o->inputs, TRUE);
    free(o->file);
}

/* The path of a style: its pack, or the thumbnail of a picture, which is large enough.
 * A new string; NULL if there is none that who sees. */
static char *style_path(const struct serve_identity *who, const char *name)
{
    char *path = serve_styles_path(name), *picture, *thumb;

    if (path && !serve_owner_sees_picture(who, name)) {
        free(path);
        return NULL;
    }
    picture = serve_styles_picture_path(name);
    if (picture) {
        char *file = nst_xasprintf("%s.jpg", name);

        thumb = serve_store_path("thumbs", file);
        free(file);
        if (thumb && access(thumb, R_OK) == 0) {
            free(path);
            path = thumb;
        } else
            free(thumb);
    }
    free(picture);
    return path;
}

/* Add a style of the list, NAME or NAME:WEIGHT. False: *response is the error. */
static bool add_style(struct order *o, const struct serve_identity *who, char *item,
                      struct serve_response *response)
{
    char *colon = strchr(item, ':'), *end = NULL, *path;
    double weight = colon ? g_ascii_strtod(colon + 1, &end) : 1;

    if (colon &&
        (end == colon + 1 || *end || !(weight >= WEIGHT_MIN && weight <= WEIGHT_MAX))) {
        *response = serve_response_error(
            MHD_HTTP_BAD_REQUEST,
            "style: the weight '%.40s' is not a number from %g to %g", colon + 1,
            WEIGHT_MIN, WEIGHT_MAX);
        return false;
    }
    if (colon)
        *colon = 0;
    path = style_path(who, item);
    if (!path) {
        *response = serve_response_unknown("style", item);
        return false;
    }
    g_ptr_array_add(o->arguments, g_strdup_printf("--style=%s:%.9g", path, weight));
    g_ptr_array_add(o->inputs, g_strdup(path));
    o->is_net |= serve_styles_is_net(item);
    free(path);
    return true;
}

static bool add_styles(struct order *o, const struct serve_identity *who,
                       struct serve_response *response)
{
    char **list = g_strsplit(o->style, ",", -1);
    guint n = g_strv_length(list);
    bool good = n >= 1 && n <= NST_STYLES_MAX;

    if (!good)
        *response = serve_response_error(
            MHD_HTTP_BAD_REQUEST,
            "style: must be 1 to %d names of styles, with a comma between them",
            NST_STYLES_MAX);
    for (guint i = 0; good && i < n; i++)
        good = add_style(o, who, list[i], response);
    g_strfreev(list);
    if (good && o->is_net && n > 1) {
        *response = serve_response_error(
            MHD_HTTP_BAD_REQUEST, "style: a network cannot be mixed with other styles");
        return false;
    }
    return good;
}

/* Add the thumbnail of the upload. False: *response is the error. */
static bool add_content(struct order *o, const struct serve_identity *who,
                        struct serve_response *response)
{
    char *file = nst_xasprintf("%s.jpg", o->content), *path;
    bool known = serve_store_is_generated_name(o->content) &&
                 serve_store_has("uploads", o->content) &&
                 serve_owner_sees_picture(who, o->content) &&
                 serve_store_has("thumbs", file);

    if (!*o->content)
        *response = serve_response_error(
            MHD_HTTP_BAD_REQUEST, "content: missing: must be the name of an upload");
    else if (!known)
        *response = serve_response_unknown("content", o->content);
    else {
        path = serve_store_path("thumbs", file);
        g_ptr_array_add(o->inputs, g_strdup(path));
        g_ptr_array_add(o->inputs, NULL);
        free(path);
    }
    free(file);
    return known;
}

/* The name of the file, a new string. */
static char *file_name(const struct order *o)
{
    char *asked = nst_xasprintf("%s\n%" PRId64, o->style, o->size);
    char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, asked, -1);
    char *stem = serve_picture_stem(o->content);
    char *name = nst_xasprintf("%s-%.*s.jpg", stem, HASH_DIGITS, hash);

    free(stem);
    g_free(hash);
    free(asked);
    return name;
}

/* Read the request. False: *response is the error. */
static bool read_order(struct order *o, struct serve_request *r,
                       struct serve_response *response)
{
    *o = (struct order){.content = query(r, "content"),
                        .style = query(r, "style"),
                        .arguments = g_ptr_array_new_with_free_func(g_free),
                        .inputs = g_ptr_array_new_with_free_func(g_free)};
    if (!serve_query_integer(r, "size", MIN_SIZE, MAX_SIZE, SIZE, &o->size, response) ||
        !add_styles(o, &r->identity, response) ||
        !add_content(o, &r->identity, response))
        return false;
    o->file = file_name(o);
    return true;
}

/* Open the kept preview; -1 if there is none, or if a picture that it shows is newer: a
 * file of --styles may be replaced. */
static int open_kept(const struct order *o)
{
    uint64_t size;
    struct stat kept, input;
    int fd = serve_store_open_file("previews", o->file, &size);

    if (fd < 0 || fstat(fd, &kept) != 0)
        return fd;
    for (guint i = 0; o->inputs->pdata[i]; i++)
        if (stat(o->inputs->pdata[i], &input) == 0 && input.st_mtime > kept.st_mtime) {
            close(fd);
            return -1;
        }
    return fd;
}

/* The argument list of nst, to free by g_ptr_array_free(). */
static GPtrArray *make_arguments(const struct order *o, const char *made,
                                 const struct serve_settings *s)
{
    GPtrArray *a = g_ptr_array_new_with_free_func(g_free);
    char *program = serve_program_path("nst");

    g_ptr_array_add(a, g_strdup(program));
    free(program);
    g_ptr_array_add(a, g_strdup("--config=none"));
    for (guint i = 0; i < o->arguments->len; i++)
        g_ptr_array_add(a, g_strdup(o->arguments->pdata[i]));
    if (s->model && !o->is_net)
        g_ptr_array_add(a, g_strdup_printf("--model=%s", s->model));
    g_ptr_array_add(a, g_strdup_printf("--size=%" PRId64, o->size));
    if (!o->is_net)
        g_ptr_array_add(a, g_strdup_printf("--iterations=%d", STEPS));
    g_ptr_array_add(a, g_strdup_printf("--threads=%d", s->cores > 1 ? 2 : 1));
    g_ptr_array_add(a, g_strdup("--device=cpu")); /* CUDA takes longer to start */
    g_ptr_array_add(a, g_strdup("--history=none"));
    g_ptr_array_add(a, g_strdup("--metadata=none"));
    g_ptr_array_add(a, g_strdup("--quiet"));
    g_ptr_array_add(a, g_strdup("--quality=80"));
    g_ptr_array_add(a, g_strdup_printf("--output=%s", made));
    g_ptr_array_add(a, g_strdup("--"));
    g_ptr_array_add(a, g_strdup(o->inputs->pdata[o->inputs->len - 2]));
    g_ptr_array_add(a, NULL);
    return a;
}

static int client_socket(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

    return i ? i->connect_fd : 0;
}

static bool is_gone(int client)
{
    struct pollfd p = {client, POLLRDHUP, 0};

    return client > 0 && poll(&p, 1, 0) > 0;
}

/* Why the child has made nothing. */
static struct serve_response failure(int status, const char *message)
{
    if (status == SERVE_SANDBOX_FAILED || status == -1)
        return serve_response_retry_after(
            MHD_HTTP_SERVICE_UNAVAILABLE, RETRY_SECONDS,
            "the preview cannot be made now: try again later");
    if (message && strstr(message, "too small"))
        return serve_response_error(MHD_HTTP_BAD_REQUEST,
                                    "content: is too narrow for a preview");
    serve_log(SERVE_ERROR, "preview: status %d: %.200s", status, message);
    return serve_response_error(MHD_HTTP_INTERNAL_SERVER_ERROR,
                                "the preview could not be made");
}

static struct serve_response disk_full(void)
{
    return serve_response_error(MHD_HTTP_INSUFFICIENT_STORAGE,
                                "the preview cannot be stored: the disk is full");
}

/* Make the preview. False: *response is the error. */
static bool make_preview(const struct order *o, const struct serve_request *r,
                         struct serve_response *response)
{
    int lock, status = SERVE_SANDBOX_FAILED;
    char *job, *folder = serve_store_new_work_dir(&job, &lock), *message = NULL;
    char *made = nst_xasprintf("%s/preview.jpg", folder ? folder : "");
    char *kept = serve_store_path("previews", o->file);
    bool stored = false;

    if (folder) {
        GPtrArray *argv = make_arguments(o, made, r->settings);
        const struct serve_sandbox_limits limits = {
            .memory = MEMORY + SERVE_ADDRESS_OVERHEAD,
            .seconds = CPU_SECONDS,
            .folder = folder,
            .inputs = (const char *const *)o->inputs->pdata,
            .nice = NICE,
            .client = client_socket(r->connection)};

        if (!is_gone(limits.client))
            status = serve_sandbox_run((const char *const *)argv->pdata, &limits,
                                       SECONDS, NULL, &message);
        g_ptr_array_free(argv, TRUE);
        stored = status == 0 && serve_file_take(made, kept);
    }
    if (!folder || (status == 0 && !stored))
        *response = disk_full();
    else if (!stored)
        *response = failure(status, message);
    serve_store_remove_work_dir(job);
    if (lock >= 0)
        close(lock);
    free(message);
    free(kept);
    free(made);
    free(folder);
    free(job);
    return stored;
}

struct serve_response serve_get_preview(struct serve_request *r)
{
    const struct serve_picture_request p = {
        .connection = r->connection, .is_head = r->is_head, .type = "image/jpeg"};
    struct serve_response response;
    struct order o;
    int fd = -1;

    if (read_order(&o, r, &response)) {
        fd = open_kept(&o);
        if (fd < 0 && !serve_store_has_space(0))
            response = disk_full();
        else if (fd < 0 && serve_auth_take_rate(&r->identity, &response) &&
                 make_preview(&o, r, &response)) {
            fd = open_kept(&o);
            if (fd < 0) /* removed at once */
                response = failure(SERVE_SANDBOX_FAILED, NULL);
        }
    }
    clear_order(&o);
    return fd >= 0 ? serve_response_file(&p, fd) : response;
}

struct kept {
    char *name;
    time_t made;
};

static void free_kept(gpointer p)
{
    free(((struct kept *)p)->name);
    free(p);
}

/* serve_store_foreach(): remove the preview of an upload that is gone; list others. */
static void visit(void *list, const char *name)
{
    char *stem = nst_xasprintf("%.*s", (int)strcspn(name, "-."), name);
    char *upload = serve_picture_find("uploads", stem);
    char *path = serve_store_path("previews", name);
    struct stat st;

    if (!upload)
        serve_store_remove("previews", name);
    else if (path && stat(path, &st) == 0) {
        struct kept *k = nst_xcalloc(1, sizeof *k);

        *k = (struct kept){nst_xstrdup(name), st.st_mtime};
        g_ptr_array_add(list, k);
    }
    free(path);
    free(upload);
    free(stem);
}

static gint newest_first(gconstpointer a, gconstpointer b)
{
    const struct kept *x = *(struct kept *const *)a, *y = *(struct kept *const *)b;

    return (x->made < y->made) - (x->made > y->made);
}

void serve_previews_sweep(void)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(free_kept);

    serve_store_foreach("previews", visit, list);
    g_ptr_array_sort(list, newest_first);
    for (guint i = MAX_FILES; i < list->len; i++)
        serve_store_remove("previews", ((const struct kept *)list->pdata[i])->name);
    g_ptr_array_free(list, TRUE);
}
