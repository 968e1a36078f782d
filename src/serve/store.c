/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/path.h"

#define MAX_NAME (SERVE_MAX_PICTURE_NAME + 4) /* thumbnails: NAME.jpg */
#define GENERATED_DIGITS 32
#define THUMB_DIR "thumb-"                 /* in work/ */
#define RESERVE_BYTES ((uint64_t)64 << 20) /* of the disk, or */
#define RESERVE_DIVISOR 100                /* 1/100 of it if that is less */
#define LARGEST_FILE ((uint64_t)4 << 30)   /* of a task: the sandbox's limit */
#define PROBE_BYTES (1 << 20)
#define PARTIAL_SECONDS 3600 /* longer than any upload to another front end */

static char *root;
static const char *url_prefix;
static int lock_fd = -1;

static const char *const folders[] = {
    "uploads", "styles", "results", "thumbs", "renditions", "labels",   "tasks",
    "work",    "owners", "quality", "keys",   "hooks",      "previews", "shares"};
#define FOLDERS (sizeof folders / sizeof *folders)

static enum nst_status make_folder(const char *path, struct nst_err *err)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return NST_OK;
    return nst_err_set(err, nst_open_status(errno), "%s: %s", path, strerror(errno));
}

static enum nst_status make_parents(const char *dir, struct nst_err *err)
{
    char *path = nst_xstrdup(dir);
    enum nst_status st = NST_OK;

    for (char *c = path + 1; st == NST_OK && *c; c++)
        if (*c == '/') {
            *c = 0;
            st = make_folder(path, err);
            *c = '/';
        }
    free(path);
    return st == NST_OK ? make_folder(dir, err) : st;
}

struct partial {
    const char *folder;
    int64_t before; /* files up to this time are abandoned */
};

/* Remove an upload that a killed service was receiving. */
static void remove_partial(void *ctx, const char *name)
{
    const struct partial *p = ctx;
    char *path = serve_store_path(p->folder, name);
    struct stat st;

    if (g_str_has_suffix(name, SERVE_PARTIAL_SUFFIX) && stat(path, &st) == 0 &&
        st.st_mtime <= p->before)
        unlink(path);
    free(path);
}

/* Remove the folder of a thumbnail that a killed service was making: whoever makes one
 * has it locked. Not every network disk can lock it; there it must be old. */
static void remove_thumb_dir(void *ctx, const char *name)
{
    const struct partial *p = ctx;
    struct stat st;
    char *path = serve_store_path("work", name);
    int fd = g_str_has_prefix(name, THUMB_DIR)
                 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                 : -1;

    if (fd >= 0 && (flock(fd, LOCK_EX | LOCK_NB) == 0 ||
                    (fstat(fd, &st) == 0 && st.st_mtime <= p->before)))
        serve_store_remove_work_dir(name);
    if (fd >= 0)
        close(fd);
    free(path);
}

static enum nst_status lock_folder(const char *dir, bool shared, struct nst_err *err)
{
    char *path = nst_xasprintf("%s/lock", root);
    enum nst_status st = NST_OK;

    lock_fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (lock_fd < 0)
        st = nst_err_set(err, NST_ERR_IO, "%s: %s", path, strerror(errno));
    else if (flock(lock_fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0)
        st = nst_err_set(err, NST_ERR_IO, "%s: another nst-serve%s uses this folder",
                         dir, shared ? " without --queue" : "");
    free(path);
    return st;
}

/* A folder with a Redis queue needs it: without the queue, its results would look
 * orphaned and be removed. */
static enum nst_status check_queue(const char *dir, bool shared, struct nst_err *err)
{
    char *path = nst_xasprintf("%s/queue", root);
    enum nst_status st = NST_OK;
    int fd = open(path, (shared ? O_CREAT : 0) | O_RDONLY | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    if (shared && fd < 0)
        st = nst_err_set(err, NST_ERR_IO, "%s: %s", path, strerror(errno));
    else if (!shared && fd >= 0)
        st = nst_err_set(err, NST_ERR_ARG,
                         "%s: its tasks are in a queue on Redis: needs --queue, or "
                         "another folder",
                         dir);
    free(path);
    return st;
}

enum nst_status serve_store_open(const char *dir, bool shared, const char *prefix,
                                 struct nst_err *err)
{
    enum nst_status st = make_parents(dir, err);
    struct partial p = {.before = shared ? time(NULL) - PARTIAL_SECONDS : INT64_MAX};

    url_prefix = prefix ? prefix : "";
    if (st == NST_OK && !(root = realpath(dir, NULL)))
        st = nst_err_set(err, nst_open_status(errno), "%s: %s", dir, strerror(errno));
    for (size_t i = 0; st == NST_OK && i < FOLDERS; i++) {
        char *path = nst_xasprintf("%s/%s", root, folders[i]);

        st = make_folder(path, err);
        free(path);
    }
    if (st == NST_OK)
        st = lock_folder(dir, shared, err);
    if (st == NST_OK)
        st = check_queue(dir, shared, err);
    for (size_t i = 0; st == NST_OK && i < 2; i++) {
        p.folder = folders[i];
        serve_store_foreach(folders[i], remove_partial, &p);
    }
    if (st == NST_OK)
        serve_store_foreach("work", remove_thumb_dir, &p);
    return st;
}

void serve_store_close(void)
{
    if (lock_fd >= 0)
        close(lock_fd);
    lock_fd = -1;
    free(root);
    root = NULL;
}

bool serve_store_is_valid_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");

    return n > 0 && n <= MAX_NAME && !name[n] && name[0] != '.' && name[0] != '-' &&
           name[0] != '_' && !strstr(name, "..");
}

char *serve_store_new_name(const char *ending)
{
    uint64_t r[2] = {0, 0};

    while (getrandom(r, sizeof r, 0) != sizeof r)
        ;
    return nst_xasprintf("%016llx%016llx%s", (unsigned long long)r[0],
                         (unsigned long long)r[1], ending);
}

bool serve_store_is_generated_name(const char *name)
{
    size_t digits = strspn(name, "0123456789abcdef");

    return digits == GENERATED_DIGITS && name[digits] == '.' && name[digits + 1] &&
           !name[digits + 1 + strspn(name + digits + 1, "abcdefghijklmnopqrstuvwxyz")];
}

char *serve_store_path(const char *folder, const char *name)
{
    return serve_store_is_valid_name(name)
               ? nst_xasprintf("%s/%s/%s", root, folder, name)
               : NULL;
}

int serve_file_open(const char *path, uint64_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        return -1;
    }
    if (fd >= 0)
        *size = (uint64_t)st.st_size;
    return fd;
}

bool serve_file_move(const char *from, const char *to)
{
    char *folder = g_path_get_dirname(to);
    bool moved = rename(from, to) == 0;
    int error = errno, fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        fsync(fd); /* best effort: the file is renamed in any case */
        close(fd);
    }
    g_free(folder);
    errno = error;
    return moved;
}

/* What made the file runs no more, so it stays what it is here. */
bool serve_file_take(const char *from, const char *to)
{
    uint64_t size = 0;
    int fd = serve_file_open(from, &size);
    struct stat st;
    bool plain = fd >= 0 && size > 0 && fstat(fd, &st) == 0 && st.st_nlink == 1;

    if (fd >= 0)
        close(fd);
    if (!plain)
        errno = EINVAL;
    return plain && serve_file_move(from, to);
}

int serve_store_open_file(const char *folder, const char *name, uint64_t *size)
{
    char *path = serve_store_path(folder, name);
    int fd = path ? serve_file_open(path, size) : -1;

    free(path);
    return fd;
}

bool serve_store_has(const char *folder, const char *name)
{
    uint64_t size;
    int fd = serve_store_open_file(folder, name, &size);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

void serve_store_remove(const char *folder, const char *name)
{
    char *path = serve_store_path(folder, name);

    if (path)
        unlink(path);
    free(path);
}

json_t *serve_url(const char *folder, const char *name)
{
    return json_sprintf("%s/%s/%s", url_prefix, folder, name);
}

/* The name of a version of a picture, in its folder: a new string. */
static char *version_name(const char *picture)
{
    return nst_xasprintf("%s.jpg", picture);
}

char *serve_store_version_path(const char *folder, const char *picture)
{
    char *name = version_name(picture), *path = serve_store_path(folder, name);

    free(name);
    return path;
}

bool serve_store_has_version(const char *folder, const char *picture)
{
    char *name = version_name(picture);
    bool has = serve_store_has(folder, name);

    free(name);
    return has;
}

json_t *serve_version_url(const char *folder, const char *picture)
{
    char *name = version_name(picture);
    json_t *url = serve_store_has(folder, name) ? serve_url(folder, name) : json_null();

    free(name);
    return url;
}

json_t *serve_thumb_url(const char *picture)
{
    return serve_version_url("thumbs", picture);
}

void serve_store_remove_picture(const char *folder, const char *name)
{
    char *version = version_name(name);

    serve_store_remove(folder, name);
    serve_store_remove("thumbs", version);
    serve_store_remove("renditions", version);
    serve_store_remove("labels", name);
    serve_store_remove("owners", name);
    free(version);
}

enum nst_status serve_store_write(const char *folder, const char *name, const json_t *j,
                                  struct nst_err *err)
{
    char *path = serve_store_path(folder, name);
    char *text = json_dumps(j, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    struct nst_atomic_file *file;
    enum nst_status st = nst_atomic_file_open(&file, path, err);

    if (st == NST_OK) {
        st = nst_atomic_file_write(file, text, strlen(text), err);
        if (st == NST_OK)
            st = nst_atomic_file_commit(file, err);
        nst_atomic_file_free(file);
    }
    free(text);
    free(path);
    return st;
}

void serve_store_foreach(const char *folder, void (*visit)(void *ctx, const char *name),
                         void *ctx)
{
    char *path = nst_xasprintf("%s/%s", root, folder);
    DIR *d = opendir(path);
    const struct dirent *e;

    free(path);
    while (d && (e = readdir(d)))
        if (serve_store_is_valid_name(e->d_name))
            visit(ctx, e->d_name);
    if (d)
        closedir(d);
}

int64_t serve_store_mtime(const char *folder)
{
    char *path = nst_xasprintf("%s/%s", root, folder);
    struct stat st = {0};

    stat(path, &st);
    free(path);
    return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

char *serve_store_work_dir(const char *name)
{
    char *path = serve_store_path("work", name);

    if (path && mkdir(path, 0700) != 0 && errno != EEXIST) {
        free(path);
        return NULL;
    }
    return path;
}

char *serve_store_new_work_dir(char **name, int *lock)
{
    char *digits = serve_store_new_name(""), *path;

    *name = nst_xasprintf(THUMB_DIR "%s", digits);
    path = serve_store_work_dir(*name);
    *lock = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (*lock >= 0)
        flock(*lock, LOCK_SH | LOCK_NB);
    free(digits);
    return path;
}

bool serve_store_remove_work_dir(const char *name)
{
    char *path = serve_store_path("work", name);
    DIR *d = path ? opendir(path) : NULL;
    const struct dirent *e;
    bool gone;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.' || e->d_name[1])
            unlinkat(dirfd(d), e->d_name, 0); /* fails for .., a folder */
    if (d)
        closedir(d);
    gone = !path || rmdir(path) == 0 || errno == ENOENT;
    free(path);
    return gone;
}

void serve_store_disk_usage(uint64_t *free_bytes, double *used)
{
    struct statvfs v;
    fsblkcnt_t taken;

    *free_bytes = 0;
    *used = 0;
    if (statvfs(root, &v) != 0 || v.f_blocks == 0)
        return;
    *free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    /* as df(1): blocks that only root may use count as neither */
    taken = v.f_blocks - v.f_bfree;
    *used = taken + v.f_bavail > 0 ? (double)taken / (double)(taken + v.f_bavail) : 1;
}

bool serve_store_is_disk_full(int error)
{
    return nst_is_disk_full(error);
}

/* The bytes left for a write that must leave a share of the reserve, or -1. If they are
 * unknown, the write itself reports the error. */
static int64_t space_beyond_reserve(unsigned divisor)
{
    struct statvfs v;
    uint64_t left, reserve;

    if (statvfs(root, &v) != 0)
        return INT64_MAX;
    left = (uint64_t)v.f_bavail * v.f_frsize;
    reserve = MIN((uint64_t)v.f_blocks * v.f_frsize / RESERVE_DIVISOR, RESERVE_BYTES) /
              divisor;
    return left >= reserve ? (int64_t)(left - reserve) : -1;
}

bool serve_store_has_space(uint64_t bytes)
{
    int64_t space = space_beyond_reserve(1);

    return space >= 0 && (uint64_t)space >= bytes;
}

bool serve_store_has_room(void)
{
    return space_beyond_reserve(4) >= 0;
}

bool serve_store_is_short(void)
{
    char *name = serve_store_new_name(""), *path = serve_store_path("work", name);
    bool is_short = !serve_store_has_space(LARGEST_FILE);
    int fd = is_short ? -1 : open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

    if (fd >= 0) {
        is_short = serve_store_is_disk_full(posix_fallocate(fd, 0, PROBE_BYTES));
        close(fd);
        unlink(path);
    }
    free(path);
    free(name);
    return is_short;
}
