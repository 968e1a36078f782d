/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define MAX_LINKS 40

struct nst_place {
    char *label;   /* how messages call it */
    char *target;  /* path with its symbolic links followed; NULL: standard output */
    bool stream;   /* not a regular file: written straight */
    int dir;       /* the folder, so that a later chdir() does not matter */
    char *name;    /* the file's name in it */
    int fd;        /* the reserved file, or -1 */
    char temp[64]; /* its name for now, or "" */
};

static enum nst_status refuse(const struct nst_place *p, int error, struct nst_err *err)
{
    nst_err_set(err, NST_ERR_IO, "%s: cannot be written: %s", p->label,
                strerror(error));
    errno = error;
    return NST_ERR_IO;
}

/* Where the chain of symbolic links at path ends, whether that exists or not. */
static char *follow(const char *path)
{
    char *at = nst_xstrdup(path);

    for (int i = 0; i < MAX_LINKS; i++) {
        char to[PATH_MAX], *next;
        ssize_t n = readlink(at, to, sizeof to - 1);
        const char *slash = strrchr(at, '/');

        if (n < 0)
            return at;
        to[n] = 0;
        if (to[0] == '/' || !slash)
            next = nst_xstrdup(to);
        else
            next = nst_xasprintf("%.*s/%s", (int)(slash - at), at, to);
        free(at);
        at = next;
    }
    free(at);
    errno = ELOOP;
    return NULL;
}

/* path, which is not there: where its folder is, and its last part. */
static char *below_folder(const char *path)
{
    size_t n = strlen(path), from;
    char *folder, *real, *slash;

    while (n > 1 && path[n - 1] == '/')
        n--;
    for (from = n; from > 0 && path[from - 1] != '/'; from--)
        ;
    folder = from ? nst_xasprintf("%.*s", (int)from, path) : nst_xstrdup(".");
    real = nst_place_real(folder);
    free(folder);
    if (n - from == 2 && memcmp(path + from, "..", 2) == 0) {
        slash = strrchr(real, '/');
        if (slash && slash != real)
            *slash = 0;
    } else if (n - from != 1 || path[from] != '.') {
        folder = real;
        real = nst_xasprintf("%s/%.*s", folder, (int)(n - from), path + from);
        free(folder);
    }
    return real;
}

char *nst_place_real(const char *path)
{
    char *target = follow(path);
    char *real = realpath(target ? target : path, NULL);

    if (!real && strspn(path, "/.") == strlen(path)) /* no folder is left to go to */
        real = nst_xstrdup(path);
    if (!real)
        real = below_folder(target ? target : path);
    free(target);
    return real;
}

static void temp_name(struct nst_place *p)
{
    unsigned long long r = 0;

    if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        r = (unsigned long long)now.tv_nsec << 32 ^ (unsigned long long)getpid();
    }
    snprintf(p->temp, sizeof p->temp, ".nst-%016llx.tmp", r);
}

/* The unnamed file, or a dot file where one cannot be made or later named. */
static int reserve(struct nst_place *p)
{
    p->fd = -1;
    if (access("/proc/self/fd", X_OK) == 0)
        p->fd = openat(p->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    for (int i = 0; p->fd < 0 && i < 100; i++) {
        temp_name(p);
        p->fd = openat(p->dir, p->temp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
        if (p->fd < 0) {
            p->temp[0] = 0;
            if (errno != EEXIST)
                return -1;
        }
    }
    return p->fd < 0 ? -1 : 0;
}

static enum nst_status open_file(struct nst_place *p, bool exists, struct nst_err *err)
{
    char *slash = strrchr(p->target, '/');
    char *folder;

    folder = slash ? nst_xasprintf("%.*s/", (int)(slash - p->target), p->target)
                   : nst_xstrdup(".");
    p->name = nst_xstrdup(slash ? slash + 1 : p->target);
    p->dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (p->dir < 0)
        return refuse(p, errno, err);
    if (strlen(p->name) > NAME_MAX)
        return refuse(p, ENAMETOOLONG, err);
    /* rename() would replace a file that its owner made read-only; we do not. */
    if (exists && faccessat(p->dir, p->name, W_OK, AT_EACCESS) != 0)
        return refuse(p, errno, err);
    if (reserve(p) != 0)
        return refuse(p, errno, err);
    return NST_OK;
}

static enum nst_status open_place(struct nst_place *p, const char *path,
                                  struct nst_err *err)
{
    struct stat st;
    size_t n = strlen(path);
    bool exists;

    if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0) {
        p->stream = true;
        return NST_OK;
    }
    if (n == 0)
        return nst_err_set(err, NST_ERR_IO, "the output's name is empty");
    exists = stat(path, &st) == 0;
    if (exists ? S_ISDIR(st.st_mode) : path[n - 1] == '/')
        return nst_err_set(err, NST_ERR_IO, "%s: is a directory", path);
    if (!(p->target = follow(path)))
        return refuse(p, errno, err);
    if (exists && !S_ISREG(st.st_mode)) {
        /* "/dev/fd/3" links to no path that could be opened: keep what was given. */
        free(p->target);
        p->target = nst_xstrdup(path);
        p->stream = true;
        return access(path, W_OK) == 0 ? NST_OK : refuse(p, errno, err);
    }
    return open_file(p, exists, err);
}

enum nst_status nst_place_open(struct nst_place **out, const char *path,
                               struct nst_err *err)
{
    struct nst_place *p = nst_xcalloc(1, sizeof *p);
    enum nst_status status;

    *out = NULL;
    p->dir = p->fd = -1;
    p->label = nst_xstrdup(strcmp(path, "-") == 0 ? "standard output" : path);
    status = open_place(p, path, err);
    if (status == NST_OK)
        *out = p;
    else
        nst_place_free(p);
    return status;
}

bool nst_place_is_stream(const struct nst_place *p)
{
    return p->stream;
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

/* write_all(), where a reader that went away is EPIPE, not the end of the process. */
static int write_pipe(int fd, const char *data, size_t size)
{
    const struct timespec now = {0, 0};
    sigset_t pipe_set, before, pending;
    int failed, error;

    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_set, &before);
    failed = write_all(fd, data, size);
    error = errno;
    if (failed && error == EPIPE && !sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&pipe_set, NULL, &now) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return failed;
}

enum nst_status nst_place_add(struct nst_place *p, const void *data, size_t size,
                              struct nst_err *err)
{
    int failed;

    if (p->stream && p->fd < 0) {
        /* A pipe is opened only now: doing so waits for its reader. */
        p->fd = p->target ? open(p->target, O_WRONLY | O_CLOEXEC)
                          : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
        if (p->fd < 0)
            return refuse(p, errno, err);
    }
    failed = p->stream ? write_pipe(p->fd, data, size) : write_all(p->fd, data, size);
    return failed ? refuse(p, errno, err) : NST_OK;
}

/* Give the unnamed file a name; one that is taken means another try. */
static int name_it(struct nst_place *p)
{
    char self[64];

    snprintf(self, sizeof self, "/proc/self/fd/%d", p->fd);
    for (int i = 0; i < 100; i++) {
        temp_name(p);
        if (linkat(AT_FDCWD, self, p->dir, p->temp, AT_SYMLINK_FOLLOW) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    p->temp[0] = 0;
    return -1;
}

/* A new file needs no second name: linkat() refuses to replace, and is atomic. */
static int publish(struct nst_place *p, bool exists)
{
    char self[64];

    snprintf(self, sizeof self, "/proc/self/fd/%d", p->fd);
    if (!exists && !p->temp[0] &&
        linkat(AT_FDCWD, self, p->dir, p->name, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    if (!p->temp[0] && name_it(p) != 0)
        return -1;
    if (renameat(p->dir, p->temp, p->dir, p->name) != 0)
        return -1;
    p->temp[0] = 0;
    return 0;
}

static void sync_folder(const struct nst_place *p)
{
    int fd = openat(p->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    /* Only the moment of the rename is at stake, so a refusal is no failure. */
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

static enum nst_status finish_file(struct nst_place *p, struct nst_err *err)
{
    struct stat st;
    bool exists = fstatat(p->dir, p->name, &st, 0) == 0;

    if (exists && fchmod(p->fd, st.st_mode & 07777) != 0)
        return refuse(p, errno, err);
    if (fsync(p->fd) != 0 || publish(p, exists) != 0)
        return refuse(p, errno, err);
    sync_folder(p);
    return NST_OK;
}

enum nst_status nst_place_finish(struct nst_place *p, struct nst_err *err)
{
    enum nst_status st = p->stream ? NST_OK : finish_file(p, err);
    int fd = p->fd;

    if (st != NST_OK || fd < 0)
        return st;
    p->fd = -1;
    return close(fd) == 0 ? NST_OK : refuse(p, errno, err);
}

void nst_place_free(struct nst_place *p)
{
    int error = errno;

    if (!p)
        return;
    if (p->fd >= 0)
        close(p->fd);
    if (p->temp[0])
        unlinkat(p->dir, p->temp, 0);
    if (p->dir >= 0)
        close(p->dir);
    free(p->name);
    free(p->target);
    free(p->label);
    free(p);
    errno = error;
}
