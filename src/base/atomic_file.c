/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/path.h"

#define MAX_LINKS 40

struct nst_atomic_file {
    char *label;   /* name in messages */
    char *target;  /* path with symbolic links resolved; NULL: standard output */
    bool stream;   /* not a regular file: written directly */
    int dir;       /* open directory, so that a later chdir() does not matter */
    char *name;    /* file name in dir */
    int fd;        /* temporary file or stream, or -1 */
    char temp[64]; /* temporary name, or "" */
};

static enum nst_status write_error(const struct nst_atomic_file *f,
                                   enum nst_status status, int error,
                                   struct nst_err *err)
{
    nst_err_set(err, status, "%s: cannot be written: %s", f->label, strerror(error));
    errno = error;
    return status;
}

static enum nst_status open_error(const struct nst_atomic_file *f, int error,
                                  struct nst_err *err)
{
    return write_error(f, nst_open_status(error), error, err);
}

static enum nst_status io_error(const struct nst_atomic_file *f, int error,
                                struct nst_err *err)
{
    return write_error(f, nst_write_status(error), error, err);
}

/* Follow the chain of symbolic links at path; its end need not exist. */
static char *resolve_links(const char *path)
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

/* Canonical form of a path that does not exist: that of its directory + last part. */
static char *canonical_missing(const char *path)
{
    size_t n = strlen(path), from;
    char *dir, *real, *slash;

    while (n > 1 && path[n - 1] == '/')
        n--;
    for (from = n; from > 0 && path[from - 1] != '/'; from--)
        ;
    dir = from ? nst_xasprintf("%.*s", (int)from, path) : nst_xstrdup(".");
    real = nst_path_canonical(dir);
    free(dir);
    if (n - from == 2 && memcmp(path + from, "..", 2) == 0) {
        slash = strrchr(real, '/');
        if (slash && slash != real)
            *slash = 0;
    } else if (n - from != 1 || path[from] != '.') {
        dir = real;
        real = nst_xasprintf("%s/%.*s", dir, (int)(n - from), path + from);
        free(dir);
    }
    return real;
}

char *nst_path_canonical(const char *path)
{
    char *target = resolve_links(path);
    char *real = realpath(target ? target : path, NULL);

    if (!real && strspn(path, "/.") == strlen(path)) /* ends the recursion */
        real = nst_xstrdup(path);
    if (!real)
        real = canonical_missing(target ? target : path);
    free(target);
    return real;
}

static void make_temp_name(struct nst_atomic_file *f)
{
    unsigned long long r = 0;

    if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        r = (unsigned long long)now.tv_nsec << 32 ^ (unsigned long long)getpid();
    }
    snprintf(f->temp, sizeof f->temp, ".nst-%016llx.tmp", r);
}

/* Create a dot file. */
static int create_named_file(struct nst_atomic_file *f)
{
    f->fd = -1;
    for (int i = 0; f->fd < 0 && i < 100; i++) {
        make_temp_name(f);
        f->fd = openat(f->dir, f->temp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
        if (f->fd < 0) {
            f->temp[0] = 0;
            if (errno != EEXIST)
                return -1;
        }
    }
    return f->fd < 0 ? -1 : 0;
}

/* Create an unnamed file, or a dot file if O_TMPFILE or /proc is missing. */
static int create_temp_file(struct nst_atomic_file *f)
{
    f->fd = -1;
    if (access("/proc/self/fd", X_OK) == 0)
        f->fd = openat(f->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    return f->fd < 0 ? create_named_file(f) : 0;
}

static enum nst_status open_file(struct nst_atomic_file *f, bool exists,
                                 struct nst_err *err)
{
    char *slash = strrchr(f->target, '/');
    char *dir;

    dir = slash ? nst_xasprintf("%.*s/", (int)(slash - f->target), f->target)
                : nst_xstrdup(".");
    f->name = nst_xstrdup(slash ? slash + 1 : f->target);
    f->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    if (f->dir < 0)
        return open_error(f, errno, err);
    if (strlen(f->name) > NAME_MAX)
        return open_error(f, ENAMETOOLONG, err);
    /* rename() would replace a read-only file; refuse it here. */
    if (exists && faccessat(f->dir, f->name, W_OK, AT_EACCESS) != 0)
        return open_error(f, errno, err);
    if (create_temp_file(f) != 0)
        return open_error(f, errno, err);
    return NST_OK;
}

static enum nst_status open_output(struct nst_atomic_file *f, const char *path,
                                   struct nst_err *err)
{
    struct stat st;
    size_t n = strlen(path);
    bool exists;

    if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0) {
        f->stream = true;
        return NST_OK;
    }
    if (n == 0)
        return nst_err_set(err, NST_ERR_ARG, "the output's name is empty");
    exists = stat(path, &st) == 0;
    if (exists ? S_ISDIR(st.st_mode) : path[n - 1] == '/')
        return nst_err_set(err, NST_ERR_ARG, "%s: is a directory", path);
    if (!(f->target = resolve_links(path)))
        return open_error(f, errno, err);
    if (exists && !S_ISREG(st.st_mode)) {
        /* "/dev/fd/3" links to a path that cannot be opened: keep the given one. */
        free(f->target);
        f->target = nst_xstrdup(path);
        f->stream = true;
        return access(path, W_OK) == 0 ? NST_OK : open_error(f, errno, err);
    }
    return open_file(f, exists, err);
}

enum nst_status nst_atomic_file_open(struct nst_atomic_file **out, const char *path,
                                     struct nst_err *err)
{
    struct nst_atomic_file *f = nst_xcalloc(1, sizeof *f);
    enum nst_status status;

    *out = NULL;
    f->dir = f->fd = -1;
    f->label = nst_xstrdup(strcmp(path, "-") == 0 ? "standard output" : path);
    status = open_output(f, path, err);
    if (status == NST_OK)
        *out = f;
    else
        nst_atomic_file_free(f);
    return status;
}

bool nst_atomic_file_is_stream(const struct nst_atomic_file *f)
{
    return f->stream;
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

/* write_all(), but a closed pipe returns EPIPE and does not raise SIGPIPE. */
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

enum nst_status nst_atomic_file_write(struct nst_atomic_file *f, const void *data,
                                      size_t size, struct nst_err *err)
{
    int failed;

    if (f->stream && f->fd < 0) {
        /* Opening a pipe waits for its reader, so open it only now. */
        f->fd = f->target ? open(f->target, O_WRONLY | O_CLOEXEC)
                          : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
        if (f->fd < 0)
            return io_error(f, errno, err);
    }
    failed = f->stream ? write_pipe(f->fd, data, size) : write_all(f->fd, data, size);
    return failed ? io_error(f, errno, err) : NST_OK;
}

/* Give the unnamed file a temporary name; retry if the name is taken. */
static int link_temp_name(struct nst_atomic_file *f)
{
    char self[64];

    snprintf(self, sizeof self, "/proc/self/fd/%d", f->fd);
    for (int i = 0; i < 100; i++) {
        make_temp_name(f);
        if (linkat(AT_FDCWD, self, f->dir, f->temp, AT_SYMLINK_FOLLOW) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    f->temp[0] = 0;
    return -1;
}

/* Whether a file system refuses an operation that it does not know: FAT, shared storage
 * and FUSE have no modes of their own, or no fsync(). */
static bool is_unsupported(int error)
{
    return error == EPERM || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP;
}

/* Copy the unnamed file to one with a temporary name, where a policy or a missing /proc
 * forbids to link it. */
static int copy_to_temp_file(struct nst_atomic_file *f)
{
    char bytes[1 << 16];
    struct stat st;
    ssize_t n = 0;
    off_t at = 0;
    int from = f->fd;

    if (create_named_file(f) != 0) {
        f->fd = from;
        return -1;
    }
    while ((n = pread(from, bytes, sizeof bytes, at)) > 0) {
        if (write_all(f->fd, bytes, (size_t)n) != 0)
            break;
        at += n;
    }
    if (n == 0 && fstat(from, &st) == 0)
        fchmod(f->fd, st.st_mode & 07777);
    close(from);
    return n == 0 && (fsync(f->fd) == 0 || is_unsupported(errno)) ? 0 : -1;
}

/* A new file needs no temporary name: linkat() is atomic and never replaces. */
static int publish(struct nst_atomic_file *f, bool exists)
{
    char self[64];

    snprintf(self, sizeof self, "/proc/self/fd/%d", f->fd);
    if (!exists && !f->temp[0] &&
        linkat(AT_FDCWD, self, f->dir, f->name, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    if (!f->temp[0] && link_temp_name(f) != 0 && copy_to_temp_file(f) != 0)
        return -1;
    if (renameat(f->dir, f->temp, f->dir, f->name) != 0)
        return -1;
    f->temp[0] = 0;
    return 0;
}

static void sync_directory(const struct nst_atomic_file *f)
{
    int fd = openat(f->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    /* Failure is harmless: a crash could at most undo the rename. */
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

static enum nst_status commit_file(struct nst_atomic_file *f, struct nst_err *err)
{
    struct stat st;
    bool exists = fstatat(f->dir, f->name, &st, 0) == 0;

    if (exists && fchmod(f->fd, st.st_mode & 07777) != 0 && !is_unsupported(errno))
        return io_error(f, errno, err);
    if (fsync(f->fd) != 0 && !is_unsupported(errno))
        return io_error(f, errno, err);
    if (publish(f, exists) != 0)
        return io_error(f, errno, err);
    sync_directory(f);
    return NST_OK;
}

enum nst_status nst_atomic_file_commit(struct nst_atomic_file *f, struct nst_err *err)
{
    enum nst_status st = f->stream ? NST_OK : commit_file(f, err);
    int fd = f->fd;

    if (st != NST_OK || fd < 0)
        return st;
    f->fd = -1;
    return close(fd) == 0 ? NST_OK : io_error(f, errno, err);
}

void nst_atomic_file_free(struct nst_atomic_file *f)
{
    int error = errno;

    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    if (f->temp[0])
        unlinkat(f->dir, f->temp, 0);
    if (f->dir >= 0)
        close(f->dir);
    free(f->name);
    free(f->target);
    free(f->label);
    free(f);
    errno = error;
}

int nst_lock_directory_of(const char *path)
{
    const struct timespec pause = {0, 10000000};
    const char *slash = strrchr(path, '/');
    char *name = slash ? nst_xstrdup(path) : nst_xstrdup(".");
    int fd;

    if (slash)
        name[slash - path + 1] = '\0';
    fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(name);
    for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (i == 1000 || (errno != EWOULDBLOCK && errno != EINTR)) {
            close(fd);
            return -1;
        }
        nanosleep(&pause, NULL);
    }
    return fd;
}
