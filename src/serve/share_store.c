/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/share_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "serve/clock.h"
#include "serve/store.h"

#define FOLDER "shares"
#define SECOND "of-"        /* the prefix of the second name */
#define TOKEN_LENGTH 32     /* hexadecimal digits */
#define ORPHAN_SECONDS 3600 /* longer than any front end takes to make a link */

static char *file_name(const char *token, const char *ending)
{
    return nst_xasprintf("%s%s", token, ending);
}

static char *second_name(const char *task)
{
    return nst_xasprintf(SECOND "%s.json", task);
}

/* The contents of a file, a new reference, or NULL. */
static json_t *load(const char *name)
{
    char *path = serve_store_path(FOLDER, name);
    json_t *j = path ? json_load_file(path, JSON_REJECT_DUPLICATES, NULL) : NULL;

    free(path);
    return j;
}

static const char *text_of(const json_t *j, const char *key)
{
    const char *text = json_string_value(json_object_get(j, key));

    return text ? text : "";
}

char *serve_share_find(const char *task)
{
    char *name = second_name(task);
    json_t *j = load(name);
    char *token = j ? nst_xstrdup(text_of(j, "token")) : NULL;

    json_decref(j);
    free(name);
    return token;
}

json_t *serve_share_load(const char *token)
{
    char *name = file_name(token, ".json"), *current;
    json_t *j = strlen(token) == TOKEN_LENGTH ? load(name) : NULL;

    free(name);
    current = j ? serve_share_find(text_of(j, "task")) : NULL;
    if (current && strcmp(current, token) != 0) {
        free(current);
        current = NULL;
    }
    if (!current) {
        json_decref(j);
        j = NULL;
    }
    free(current);
    return j;
}

char *serve_share_picture(const char *token)
{
    json_t *j = serve_share_load(token);
    char *name = file_name(token, ".jpg");
    char *path = j ? serve_store_path(FOLDER, name) : NULL;

    free(name);
    json_decref(j);
    return path;
}

struct count {
    const char *party;
    size_t links;
};

static void add_link(void *ctx, const char *name)
{
    struct count *c = ctx;
    json_t *j = g_str_has_prefix(name, SECOND) ? load(name) : NULL;

    if (j && strcmp(text_of(j, "party"), c->party) == 0)
        c->links++;
    json_decref(j);
}

size_t serve_share_count(const char *party)
{
    struct count c = {party, 0};

    serve_store_foreach(FOLDER, add_link, &c);
    return c.links;
}

static void remove_files(const char *token)
{
    char *record = file_name(token, ".json"), *picture = file_name(token, ".jpg");

    serve_store_remove(FOLDER, record);
    serve_store_remove(FOLDER, picture);
    free(picture);
    free(record);
}

/* Give the record its second name. False: errno. */
static bool link_record(const char *record, const char *task)
{
    char *second = second_name(task);
    char *from = serve_store_path(FOLDER, record),
         *to = serve_store_path(FOLDER, second);
    bool linked = link(from, to) == 0;
    int error = errno;

    free(to);
    free(from);
    free(second);
    errno = error;
    return linked;
}

/* Write the files of a new token. False: errno. */
static bool write_files(const char *token, const struct serve_share *s,
                        const char *path)
{
    char *record = file_name(token, ".json"), *name = file_name(token, ".jpg");
    char *picture = serve_store_path(FOLDER, name);
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:f}", "token", token, "task",
                  s->task, "result", s->result, "party", s->party, "title", s->title,
                  "width", s->width, "height", s->height, "created", serve_now());
    struct nst_err err = {.text = ""};
    bool written = serve_file_take(path, picture) &&
                   serve_store_write(FOLDER, record, j, &err) == NST_OK &&
                   link_record(record, s->task);
    int error = errno;

    json_decref(j);
    free(picture);
    free(name);
    free(record);
    errno = error;
    return written;
}

char *serve_share_add(const struct serve_share *s, const char *path)
{
    char *token = serve_store_new_name("");
    bool written = write_files(token, s, path);
    int error = errno;

    if (written &&
        !serve_store_has("results", s->result)) { /* it was deleted in the meantime */
        serve_share_remove(s->task);
        written = false;
        error = ENOENT;
    }
    if (!written) {
        remove_files(token);
        free(token);
        token = error == EEXIST ? serve_share_find(s->task) : NULL;
        errno = error;
    }
    return token;
}

bool serve_share_remove(const char *task)
{
    char *token = serve_share_find(task), *second;

    if (!token)
        return false;
    second = second_name(task);
    serve_store_remove(FOLDER, second);
    remove_files(token);
    free(second);
    free(token);
    return true;
}

/* Remove a file of no link, unless a front end may be about to make one of it. */
static void sweep_file(void *ctx, const char *name)
{
    const time_t *before = ctx;
    char *path = serve_store_path(FOLDER, name);
    char *stem = nst_xasprintf("%.*s", (int)strcspn(name, "."), name);
    json_t *j = NULL;
    struct stat st;

    if (g_str_has_prefix(stem, SECOND)) {
        j = load(name);
        if (!serve_store_has("results", text_of(j, "result")))
            serve_share_remove(stem + strlen(SECOND));
    } else if (stat(path, &st) == 0 && st.st_mtime <= *before &&
               !(j = serve_share_load(stem)))
        unlink(path);
    json_decref(j);
    free(stem);
    free(path);
}

void serve_share_sweep(void)
{
    time_t before = time(NULL) - ORPHAN_SECONDS;

    serve_store_foreach(FOLDER, sweep_file, &before);
}
