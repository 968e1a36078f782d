/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/idempotency.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "serve/queue/queue.h"
#include "serve/store.h"

#define HEADER "Idempotency-Key"
#define MAX_KEY 255
#define KEY_SECONDS (24 * 3600)
#define CHECKSUM_LENGTH 64 /* of SHA-256, in hexadecimal */
#define CONTENTS_SIZE (CHECKSUM_LENGTH + 1 + SERVE_TASK_ID_LENGTH + 1)

static bool is_valid_key(const char *key)
{
    size_t n = strlen(key);

    for (size_t i = 0; i < n; i++)
        if (key[i] <= ' ' || key[i] > '~')
            return false;
    return n > 0 && n <= MAX_KEY;
}

/* Keys belong to their owner; without a name, to the client's address. */
static char *file_name(const struct serve_identity *who, const char *key)
{
    char *text = who->owner[0] ? g_strdup_printf("owner %s\n%s", who->owner, key)
                               : g_strdup_printf("address %s\n%s", who->address, key);
    char *name = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);

    g_free(text);
    return name;
}

static char *body_checksum(const json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);

    free(text);
    return sum;
}

/* Open the key's file, made if missing, and lock it. -1: errno. */
static int open_locked(const char *name)
{
    char *path = serve_store_path("keys", name);
    struct stat st = {.st_nlink = 0};
    int fd = -1;

    while (st.st_nlink == 0) { /* 0: the file was removed before it was locked */
        if (fd >= 0)
            close(fd);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || flock(fd, LOCK_EX) != 0 || fstat(fd, &st) != 0)
            break;
    }
    free(path);
    return fd;
}

/* Find the task of an earlier request. False if there is none, or no longer. */
static bool find_earlier(const struct serve_key *k, const struct serve_identity *who,
                         struct serve_response *response)
{
    char text[CONTENTS_SIZE + 1] = "", *task_id = text + CHECKSUM_LENGTH + 1;
    struct stat st;
    json_t *task;

    if (pread(k->fd, text, CONTENTS_SIZE, 0) != CONTENTS_SIZE ||
        fstat(k->fd, &st) != 0 || time(NULL) - st.st_mtime > KEY_SECONDS)
        return false;
    text[CHECKSUM_LENGTH] = task_id[SERVE_TASK_ID_LENGTH] = 0;
    task = serve_queue->progress(who, task_id, NULL, NULL);
    if (!task && errno == ENOENT)
        return false;
    if (!task)
        *response = serve_response_unavailable();
    else if (strcmp(text, k->body) != 0)
        *response = serve_response_error(MHD_HTTP_UNPROCESSABLE_CONTENT,
                                         HEADER ": this key was sent with another "
                                                "request before: use a new one");
    else
        *response = serve_response_json(
            MHD_HTTP_OK, json_pack("{s:s, s:O, s:O}", "task_id", task_id, "position",
                                   json_object_get(task, "position"), "waiting",
                                   json_object_get(task, "waiting")));
    json_decref(task);
    return true;
}

bool serve_key_begin(struct serve_key *k, struct serve_request *r,
                     struct serve_response *response)
{
    const char *key =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, HEADER);

    *k = (struct serve_key){.fd = -1};
    if (!key)
        return true;
    if (!is_valid_key(key)) {
        *response = serve_response_error(
            MHD_HTTP_BAD_REQUEST,
            HEADER ": must have 1 to %d printable ASCII characters without blanks",
            MAX_KEY);
        return false;
    }
    k->name = file_name(&r->identity, key);
    k->body = body_checksum(r->body);
    k->fd = open_locked(k->name);
    if (k->fd >= 0 && !find_earlier(k, &r->identity, response))
        return true;
    if (k->fd < 0)
        *response = serve_response_error(
            serve_store_is_disk_full(errno) ? MHD_HTTP_INSUFFICIENT_STORAGE
                                            : MHD_HTTP_INTERNAL_SERVER_ERROR,
            HEADER ": cannot be stored: %s", strerror(errno));
    serve_key_end(k, true);
    return false;
}

bool serve_key_store(const struct serve_key *k, const char *task_id)
{
    char text[CONTENTS_SIZE + 1];

    if (!k->name)
        return true;
    snprintf(text, sizeof text, "%s %s\n", k->body, task_id);
    return pwrite(k->fd, text, CONTENTS_SIZE, 0) == CONTENTS_SIZE && fsync(k->fd) == 0;
}

void serve_key_end(struct serve_key *k, bool queued)
{
    if (k->name && !queued)
        serve_store_remove("keys", k->name);
    if (k->fd >= 0)
        close(k->fd);
    g_free(k->name);
    g_free(k->body);
    *k = (struct serve_key){.fd = -1};
}

static void remove_old(void *now, const char *name)
{
    char *path = serve_store_path("keys", name);
    struct stat st;

    if (stat(path, &st) == 0 && *(const time_t *)now - st.st_mtime > KEY_SECONDS)
        unlink(path);
    free(path);
}

void serve_keys_sweep(void)
{
    time_t now = time(NULL);

    serve_store_foreach("keys", remove_old, &now);
}
