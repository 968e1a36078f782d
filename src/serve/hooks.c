/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "serve/log.h"
#include "serve/store.h"

#define YOUNG_SECONDS 60
#define OLD_SECONDS (7 * 24 * 3600)

static char *record_path(const char *task_id)
{
    char *name = nst_xasprintf("%s.json", task_id);
    char *path = serve_store_path(SERVE_HOOK_FOLDER, name);

    free(name);
    return path;
}

bool serve_hook_store(const char *task_id, const char *url)
{
    char *name = nst_xasprintf("%s.json", task_id);
    json_t *j = url ? json_pack("{s:s}", "url", url) : NULL;
    bool stored = !url || serve_store_write(SERVE_HOOK_FOLDER, name, j, NULL) == NST_OK;

    json_decref(j);
    free(name);
    return stored;
}

bool serve_hook_exists(const char *task_id)
{
    char *path = record_path(task_id);
    bool exists = path && access(path, F_OK) == 0;

    free(path);
    return exists;
}

/* Open and lock a record; -1 if there is none, or another process has it. */
static int open_locked(const char *task_id, int flags)
{
    char *path = record_path(task_id);
    int fd = path ? open(path, flags | O_CLOEXEC | O_NOFOLLOW) : -1;

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        fd = -1;
    }
    free(path);
    return fd;
}

/* The last whole line that is a JSON object with this member, a new string; NULL if
 * there is none. */
static char *last_object(gchar **lines, const char *member)
{
    char *found = NULL;

    for (guint i = g_strv_length(lines); i > 0 && !found; i--) {
        json_t *j = json_loads(lines[i - 1], 0, NULL);

        if (json_object_get(j, member))
            found = nst_xstrdup(lines[i - 1]);
        json_decref(j);
    }
    return found;
}

/* The end that a record has, a new string, or NULL. */
static char *read_end(const char *task_id)
{
    char *path = record_path(task_id), *all = NULL, *end = NULL;
    gchar **lines;

    if (path && g_file_get_contents(path, &all, NULL, NULL)) {
        lines = g_strsplit(all, "\n", -1);
        end = last_object(lines, "task_id");
        g_strfreev(lines);
    }
    g_free(all);
    free(path);
    return end;
}

void serve_hook_end(const char *task_id, const char *text)
{
    int fd = open_locked(task_id, O_WRONLY | O_APPEND);
    char *line = fd >= 0 ? read_end(task_id) : NULL;
    size_t size;

    if (line) { /* the first end counts: that of a cancelled task, say */
        free(line);
        close(fd);
        return;
    }
    if (fd < 0)
        return;
    /* appended, so that the file keeps its lock, and its URL if the disk is full */
    line = nst_xasprintf("\n%s\n", text);
    size = strlen(line);
    if (write(fd, line, size) != (ssize_t)size || fsync(fd) != 0)
        serve_log(SERVE_WARNING,
                  "task %s: its webhook is lost if the task is deleted now: %s",
                  task_id, strerror(errno));
    close(fd);
    free(line);
}

void serve_hook_remove(const char *task_id)
{
    char *path = record_path(task_id);

    if (path)
        unlink(path);
    free(path);
}

int serve_hook_open(const char *task_id, char **url, char **text)
{
    int fd = open_locked(task_id, O_RDONLY);
    char *path = record_path(task_id), *all = NULL;
    json_t *j;

    *url = *text = NULL;
    if (fd >= 0 && g_file_get_contents(path, &all, NULL, NULL)) {
        j = json_loads(all, JSON_DISABLE_EOF_CHECK, NULL);
        if (json_string_value(json_object_get(j, "url")))
            *url = nst_xstrdup(json_string_value(json_object_get(j, "url")));
        json_decref(j);
        *text = read_end(task_id);
    }
    g_free(all);
    free(path);
    return fd;
}

bool serve_hook_is_young(const char *task_id)
{
    char *path = record_path(task_id);
    struct stat st;
    bool young =
        path && stat(path, &st) == 0 && time(NULL) - st.st_mtime < YOUNG_SECONDS;

    free(path);
    return young;
}

static void remove_old(void *ctx, const char *name)
{
    const time_t *before = ctx;
    char *path = serve_store_path(SERVE_HOOK_FOLDER, name);
    struct stat st;

    if (path && stat(path, &st) == 0 && st.st_mtime < *before)
        unlink(path);
    free(path);
}

void serve_hooks_sweep(void)
{
    time_t before = time(NULL) - OLD_SECONDS;

    serve_store_foreach(SERVE_HOOK_FOLDER, remove_old, &before);
}
