/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "record/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/path.h"
#include "base/text_file.h"
#include "model/paths.h"
#include "options/json.h"
#include "record/sha256.h"

static char *default_path(void)
{
    return nst_user_path("XDG_STATE_HOME", ".local/state", "history.jsonl");
}

char *nst_history_path(const char *option)
{
    if (!option)
        option = getenv("NST_HISTORY");
    if (!option || !*option)
        return default_path();
    return strcmp(option, "none") == 0 ? NULL : nst_xstrdup(option);
}

static bool is_default(const char *path)
{
    char *usual = default_path();
    bool same = usual && strcmp(path, usual) == 0;

    free(usual);
    return same;
}

enum nst_status nst_history_check(const char *option, struct nst_err *err)
{
    char *path = nst_history_path(option), *directory;
    enum nst_status st = NST_OK;
    struct stat info;
    int error = 0;

    if (path && !is_default(path) && access(path, W_OK) != 0) {
        error = errno;
        directory = nst_xasprintf("%.*s.", (int)(nst_base_name(path) - path), path);
        if (error == ENOENT)
            error = access(directory, W_OK | X_OK) == 0 ? 0 : errno;
        free(directory);
    } else if (path && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        error = EISDIR;
    if (error)
        st = nst_err_set(err, nst_open_status(error), "history: %s: %s", path,
                         strerror(error));
    free(path);
    return st;
}

/* mkdir -p for the directories above path. */
static void make_parent_directories(const char *path)
{
    char *copy = nst_xstrdup(path);

    for (char *c = copy + 1; *c; c++)
        if (*c == '/') {
            *c = 0;
            mkdir(copy, 0700); /* an error shows when the file is opened */
            *c = '/';
        }
    free(copy);
}

/* Open and lock the file; retry if it was replaced during the wait. -1 sets errno. */
static int open_locked(const char *path, int flags)
{
    for (;;) {
        struct stat a, b;
        int fd = open(path, flags | O_CLOEXEC, 0600);

        if (fd < 0)
            return -1;
        while (flock(fd, LOCK_EX) != 0 && errno == EINTR)
            ;
        if (fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
            a.st_ino == b.st_ino)
            return fd;
        close(fd);
    }
}

enum nst_status nst_history_append(const char *path, const char *line,
                                   struct nst_err *err)
{
    enum nst_status st = NST_OK;
    char *terminated, last = '\n';
    struct stat before;
    ssize_t n;
    int fd;

    if (is_default(path))
        make_parent_directories(path);
    fd = open_locked(path, O_RDWR | O_APPEND | O_CREAT);
    if (fd < 0)
        return nst_err_set(err, nst_open_status(errno), "history: %s: %s", path,
                           strerror(errno));
    if (fstat(fd, &before) != 0)
        before.st_size = -1;
    if (before.st_size > 0 && pread(fd, &last, 1, before.st_size - 1) != 1)
        last = '\n';
    terminated = nst_xasprintf("%s%s\n", last != '\n' ? "\n" : "", line);
    n = write(fd, terminated, strlen(terminated));
    if (n != (ssize_t)strlen(terminated)) {
        st = nst_err_set(err, NST_ERR_IO, "history: %s: %s", path,
                         strerror(n < 0 ? errno : ENOSPC));
        if (n > 0 && before.st_size >= 0) /* remove the partial line */
            (void)!ftruncate(fd, before.st_size);
    }
    free(terminated);
    close(fd);
    return st;
}

static void add_line(struct nst_history *h, const char *text)
{
    char *sum = nst_sha256_text(text, strlen(text));
    struct nst_history_line *l;

    h->line = nst_xrealloc(h->line, (h->count + 1) * sizeof *h->line);
    l = &h->line[h->count++];
    l->text = nst_xstrdup(text);
    snprintf(l->id, sizeof l->id, "%.*s", NST_HISTORY_ID, sum);
    l->run = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(l->run)) {
        json_decref(l->run);
        l->run = NULL;
    }
    free(sum);
}

enum nst_status nst_history_read(struct nst_history *h, const char *path,
                                 struct nst_err *err)
{
    enum nst_status st = NST_OK;
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t capacity = 0;

    *h = (struct nst_history){.count = 0};
    if (!f && errno == ENOENT)
        return NST_OK;
    if (!f)
        return nst_err_set(err, nst_open_status(errno), "history: %s: %s", path,
                           strerror(errno));
    errno = 0;
    st = nst_text_file_begin(f, path, err);
    while (st == NST_OK && getline(&line, &capacity, f) > 0) {
        line[strcspn(line, "\r\n")] = 0; /* JSON has neither */
        if (*line)
            add_line(h, line);
    }
    if (st == NST_OK && ferror(f))
        st = nst_err_set(err, nst_open_status(errno), "history: %s: %s", path,
                         strerror(errno));
    free(line);
    fclose(f);
    return st;
}

void nst_history_clear(struct nst_history *h)
{
    for (size_t i = 0; i < h->count; i++) {
        free(h->line[i].text);
        json_decref(h->line[i].run);
    }
    free(h->line);
    *h = (struct nst_history){.count = 0};
}

/* Write all lines except those marked by an empty text. */
static enum nst_status rewrite(const struct nst_history *h, const char *path,
                               struct nst_err *err)
{
    struct nst_atomic_file *file;
    enum nst_status st = nst_atomic_file_open(&file, path, err);

    for (size_t i = 0; st == NST_OK && i < h->count; i++) {
        const char *text = h->line[i].text;

        if (!*text)
            continue;
        st = nst_atomic_file_write(file, text, strlen(text), err);
        if (st == NST_OK)
            st = nst_atomic_file_write(file, "\n", 1, err);
    }
    if (st == NST_OK)
        st = nst_atomic_file_commit(file, err);
    nst_atomic_file_free(file);
    return st;
}

enum nst_status nst_history_remove(const char *path,
                                   bool (*should_remove)(void *ctx,
                                                         const struct nst_history *h,
                                                         size_t i),
                                   void *ctx, size_t *removed, struct nst_err *err)
{
    struct nst_history h = {.count = 0};
    int fd = open_locked(path, O_RDONLY);
    enum nst_status st;

    *removed = 0;
    if (fd < 0 && errno == ENOENT)
        return NST_OK;
    if (fd < 0)
        return nst_err_set(err, nst_open_status(errno), "history: %s: %s", path,
                           strerror(errno));
    st = nst_history_read(&h, path, err);
    for (size_t i = 0; st == NST_OK && i < h.count; i++)
        if (h.line[i].run && should_remove(ctx, &h, i)) {
            h.line[i].text[0] = 0;
            ++*removed;
        }
    if (st == NST_OK && *removed)
        st = rewrite(&h, path, err);
    nst_history_clear(&h);
    close(fd);
    return st;
}

/* Whether a recorded run made the file output, a canonical path. */
static bool made(const json_t *run, const char *output)
{
    const char *recorded = json_string_value(json_object_get(run, "output"));
    char *bytes = recorded ? nst_json_text_bytes(recorded) : NULL;
    char *canonical = bytes ? nst_path_canonical(bytes) : NULL;
    bool same = canonical && strcmp(canonical, output) == 0;

    free(canonical);
    free(bytes);
    return same;
}

char *nst_history_content(const char *path, const char *output, const char *sha256)
{
    char *canonical = nst_path_canonical(output), *content = NULL;
    struct nst_history h;
    struct nst_err err;
    size_t i;

    nst_history_read(&h, path, &err); /* an unreadable history knows nothing */
    for (i = h.count; i > 0 && !made(h.line[i - 1].run, canonical); i--)
        ;
    if (i > 0) {
        const json_t *run = h.line[i - 1].run;
        const json_t *input = json_array_get(json_object_get(run, "inputs"), 0);
        const char *from = json_string_value(json_object_get(run, "content"));
        const char *digest = json_string_value(json_object_get(input, "sha256"));

        if (from && digest && strcmp(digest, sha256) == 0)
            content = nst_json_text_bytes(from);
    }
    nst_history_clear(&h);
    free(canonical);
    return content;
}
