/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/clock.h"
#include "serve/sandbox_calls.h"
#include "serve/sandbox_files.h"

#define MAX_OUTPUT 65536
#define MAX_FILE_BYTES ((rlim_t)4 << 30)
#define MAX_FILES 128
#define MAX_FILES_GPU 1024 /* CUDA's driver opens dozens for each GPU */
#define NICE 5             /* requests have priority over tasks */
#define POLL_MS 200

/* Variables, or their beginnings, that programs and their libraries use. Others may be
 * secrets of the service. */
static const char *const passed[] = {
    "PATH=",   "HOME=", "LANG=",   "LANGUAGE=", "LC_",   "TZ=",   "LD_",   "XDG_",
    "NST_",    "VIPS_", "G_",      "OMP_",      "GOMP_", "BLIS_", "MKL_",  "OPENBLAS_",
    "MALLOC_", "CUDA_", "NVIDIA_", "ASAN_",     "LSAN_", "TSAN_", "UBSAN_"};

static char **environment; /* of children */
static atomic_bool shutting_down;

char *serve_program_path(const char *name)
{
    char self[PATH_MAX], *slash, *found;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    self[n < 0 ? 0 : n] = 0;
    slash = strrchr(self, '/');
    if (slash) {
        char *path = nst_xasprintf("%.*s/%s", (int)(slash - self), self, name);

        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    found = g_find_program_in_path(name);
    return found ? found : nst_xstrdup(name);
}

static char **filter_environment(void)
{
    GPtrArray *kept = g_ptr_array_new();

    for (char **v = environ; *v; v++)
        for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
            if (strncmp(*v, passed[i], strlen(passed[i])) == 0)
                g_ptr_array_add(kept, g_strdup(*v));
    g_ptr_array_add(kept, NULL);
    return (char **)g_ptr_array_free(kept, FALSE);
}

void serve_sandbox_open(const char *model)
{
    environment = filter_environment();
    serve_files_open(model);
}

void serve_sandbox_close(void)
{
    g_strfreev(environment);
    environment = NULL;
    serve_files_close();
}

const char *serve_sandbox_gap(void)
{
    bool files = serve_files_can_be_restricted(), calls = serve_calls_can_be_filtered();

    if (files && calls)
        return NULL;
    if (calls)
        return "the kernel has no Landlock: a program that decodes pictures could, if "
               "taken over, read and write all files of this user";
    if (files)
        return "the kernel has no seccomp: a program that decodes pictures could, if "
               "taken over, use sockets and signal all processes of this user";
    return "the kernel has neither Landlock nor seccomp: a program that decodes "
           "pictures could, if taken over, do all that this user can";
}

/* The functions up to exec_program() run between fork() and exec in a process with
 * threads, so they must not allocate memory. */

static void set_limit(int resource, rlim_t value)
{
    setrlimit(resource, &(struct rlimit){value, value});
}

/* Keep none but the right of a root to use files of other users, which Landlock then
 * restricts. */
static void drop_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const uint32_t keep =
        serve_files_can_be_restricted() ? CAP_TO_MASK(CAP_DAC_OVERRIDE) : 0;
    struct __user_cap_data_struct data[2], few[2] = {{0}};

    if (syscall(SYS_capget, &header, data) != 0)
        return;
    few[0].permitted = few[0].effective = data[0].permitted & keep;
    syscall(SYS_capset, &header, few);
}

static void limit_resources(const struct serve_sandbox_limits *l)
{
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_FSIZE, MAX_FILE_BYTES);
    set_limit(RLIMIT_NOFILE, l->gpu ? MAX_FILES_GPU : MAX_FILES);
    /* SIGXCPU, and SIGKILL 5 s later */
    setrlimit(RLIMIT_CPU, &(struct rlimit){l->seconds, l->seconds + 5});
#ifndef __SANITIZE_ADDRESS__  /* it reserves terabytes of address space */
    if (l->memory && !l->gpu) /* CUDA reserves more address space than all memory */
        set_limit(RLIMIT_AS, l->memory);
#endif
}

static bool give_up_rights(const char *program, const struct serve_sandbox_limits *l)
{
    const struct serve_files files = {program, l->folder, l->inputs, l->gpu};

    drop_capabilities();
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           serve_files_restrict(&files) && serve_calls_restrict(l->gpu);
}

static void exec_program(const char *const *argv, const struct serve_sandbox_limits *l,
                         pid_t parent, const int out[2], const int err[2],
                         int exec_error)
{
    sigset_t none;
    int error;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* the parent died before prctl() */
        _exit(127);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0); /* Ctrl-C must only reach the service */
    if (setpriority(PRIO_PROCESS, 0, l->nice ? l->nice : NICE) != 0)
        errno = 0; /* not fatal */
    dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    /* also descriptors that the service itself inherited */
    syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
    limit_resources(l);
    if (give_up_rights(argv[0], l))
        execve(argv[0], (char *const *)argv, environment);
    error = errno;
    while (write(exec_error, &error, sizeof error) < 0 && errno == EINTR)
        ;
    _exit(127);
}

static void close_pipe(int p[2])
{
    for (int i = 0; i < 2; i++)
        if (p[i] >= 0)
            close(p[i]);
    p[0] = p[1] = -1;
}

/* The pipe closes at exec. Before that the child writes errno if exec fails. */
static bool has_executed(int exec_error)
{
    ssize_t n;
    int error;

    do
        n = read(exec_error, &error, sizeof error);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof error)
        errno = error;
    return n == 0;
}

/* While it is open, the kernel keeps what Landlock's rule for /proc/self names. */
static int open_proc(pid_t pid)
{
    char path[32];

    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    return open(path, O_PATH | O_CLOEXEC);
}

bool serve_sandbox_start(struct serve_sandbox *c, const char *const *argv,
                         const struct serve_sandbox_limits *limits)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, exec_error[2] = {-1, -1};
    pid_t parent = getpid();
    bool started = false;

    *c = (struct serve_sandbox){-1, -1, -1, -1, -1};
    if (pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0 &&
        pipe2(exec_error, O_CLOEXEC) == 0)
        c->pid = fork();
    if (c->pid == 0)
        exec_program(argv, limits, parent, out, err, exec_error[1]);
    if (c->pid > 0) {
        close(exec_error[1]);
        exec_error[1] = -1;
        started = has_executed(exec_error[0]);
    }
    if (started) {
        c->out = out[0];
        c->err = err[0];
        c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
        c->proc = open_proc(c->pid);
        out[0] = err[0] = -1;
    } else if (c->pid > 0) {
        int error = errno;

        waitpid(c->pid, NULL, 0);
        errno = error;
    }
    close_pipe(out);
    close_pipe(err);
    close_pipe(exec_error);
    return started;
}

void serve_sandbox_kill(const struct serve_sandbox *c)
{
    kill(-c->pid, SIGKILL);
}

int serve_sandbox_wait(struct serve_sandbox *c)
{
    siginfo_t info;
    int status = -1;

    /* kill before reaping: until then no other group can have the same id */
    while (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    serve_sandbox_kill(c);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(c->out);
    close(c->err);
    if (c->pidfd >= 0)
        close(c->pidfd);
    if (c->proc >= 0)
        close(c->proc);
    return status;
}

/* Append available output to *text. False at its end. */
static bool read_output(int fd, char **text, size_t *size)
{
    char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof buffer);

    if (n <= 0)
        return n < 0 && (errno == EINTR || errno == EAGAIN);
    if (*text && *size + (size_t)n <= MAX_OUTPUT) {
        memcpy(*text + *size, buffer, (size_t)n);
        *size += (size_t)n;
        (*text)[*size] = 0;
    }
    return true;
}

void serve_sandbox_shutdown(void)
{
    atomic_store(&shutting_down, true);
}

/* Read output until the child has exited, by its pidfd: it may close its pipes early,
 * or a descendant may keep them open. False at the deadline, at shutdown, or when the
 * client (a socket, or 0) is gone. */
static bool read_until_exit(const struct serve_sandbox *c, double deadline, int client,
                            char *text[2])
{
    struct pollfd p[4] = {{c->out, POLLIN, 0},
                          {c->err, POLLIN, 0},
                          {c->pidfd, POLLIN, 0},
                          {client > 0 ? client : -1, POLLRDHUP, 0}};
    size_t size[2] = {0, 0};
    bool drained = false;

    while (!drained || (p[2].fd < 0 ? p[0].fd >= 0 || p[1].fd >= 0 : !p[2].revents)) {
        double ms = 1000 * (deadline - nst_clock_seconds());

        if (ms <= 0 || atomic_load(&shutting_down))
            return false;
        poll(p, 4, ms < POLL_MS ? (int)ms + 1 : POLL_MS);
        if (p[3].revents)
            return false;
        drained = true;
        for (int i = 0; i < 2; i++)
            if (p[i].fd >= 0 && p[i].revents) {
                drained = false;
                if (!read_output(p[i].fd, &text[i], &size[i]))
                    p[i].fd = -1;
            }
    }
    return true;
}

int serve_sandbox_run(const char *const *argv,
                      const struct serve_sandbox_limits *limits, unsigned seconds,
                      char **out, char **err)
{
    char *text[2] = {out ? nst_xcalloc(MAX_OUTPUT + 1, 1) : NULL,
                     err ? nst_xcalloc(MAX_OUTPUT + 1, 1) : NULL};
    double deadline = nst_clock_seconds() + seconds;
    struct serve_sandbox c;
    bool timed_out;
    int status;

    if (out)
        *out = text[0];
    if (err)
        *err = text[1];
    if (!serve_sandbox_start(&c, argv, limits))
        return SERVE_SANDBOX_FAILED;
    timed_out = !read_until_exit(&c, deadline, limits->client, text);
    if (timed_out)
        serve_sandbox_kill(&c);
    status = serve_sandbox_wait(&c);
    return !timed_out                    ? status
           : atomic_load(&shutting_down) ? SERVE_SANDBOX_FAILED
                                         : -1;
}
