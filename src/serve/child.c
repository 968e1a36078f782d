/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nst.h"

#define MOST_OUTPUT 65536
#define FILE_BYTES ((rlim_t)4 << 30)
#define FILES 128
#define FILES_GPU 1024 /* CUDA's driver opens dozens for each GPU */
#define MOST_GPUS 32
#define NICE 5 /* the service answers before it paints */
#define LOOK_MS 200

static atomic_bool quits;

char *serve_program(const char *name)
{
    char self[PATH_MAX], *slash;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    self[n < 0 ? 0 : n] = 0;
    slash = strrchr(self, '/');
    if (slash) {
        char *path = nst_xasprintf("%.*s/%s", (int)(slash - self), self, name);

        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return nst_xstrdup(name);
}

/* What follows runs in a child of a process with threads, so it allocates nothing. */

static void limit(int what, rlim_t most)
{
    setrlimit(what, &(struct rlimit){most, most});
}

#define TRUNCATE ((uint64_t)1 << 14) /* LANDLOCK_ACCESS_FS_TRUNCATE, of version 3 */

static void allow(int rules, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr beneath = {
        .allowed_access = access, .parent_fd = open(path, O_PATH | O_CLOEXEC)};

    if (beneath.parent_fd >= 0)
        syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
}

/* CUDA's driver gives commands by files in /dev, and its threads names by files of the
 * process itself; if that fails, so does cuInit(). */
static void allow_gpus(int rules, uint64_t access)
{
    char path[32];

    allow(rules, "/dev/nvidiactl", access);
    allow(rules, "/dev/nvidia-uvm", access);
    allow(rules, "/dev/nvidia-uvm-tools", access);
    allow(rules, "/proc/self/task", access);
    for (int i = 0; i < MOST_GPUS; i++) {
        snprintf(path, sizeof path, "/dev/nvidia%d", i);
        allow(rules, path, access);
    }
}

/* Every file that is opened for writing, or cut short, is below the folder, or
 * /dev/null, or a GPU. */
static void allow_writing(const struct serve_limits *l)
{
    int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
                               LANDLOCK_CREATE_RULESET_VERSION);
    const uint64_t file = LANDLOCK_ACCESS_FS_WRITE_FILE | (version >= 3 ? TRUNCATE : 0);
    const uint64_t writing =
        file | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
        LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
        LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
        LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
        LANDLOCK_ACCESS_FS_MAKE_SYM;
    const uint64_t plain = /* no links, folders or the like, which others may follow */
        file | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG;
    struct landlock_ruleset_attr attr = {.handled_access_fs = writing};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);

    if (rules < 0) /* an older kernel, or one without it */
        return;
    if (l->folder)
        allow(rules, l->folder, plain);
    allow(rules, "/dev/null", file);
    if (l->gpu)
        allow_gpus(rules, file);
    syscall(SYS_landlock_restrict_self, rules, 0);
    close(rules);
}

#if defined __x86_64__
#define ARCH AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCH AUDIT_ARCH_AARCH64
#endif

#define X32_CALLS 0x40000000 /* the same calls by other numbers; none elsewhere */

#define NO_FAMILY UINT32_MAX

/* Calls that no part of making a picture needs fail. CUDA's driver needs a socket to
 * listen on (by which it would share memory with others); it connects to none. */
static void forbid_calls(bool gpu)
{
#ifdef ARCH
    const uint32_t family = gpu ? AF_UNIX : NO_FAMILY;
#define FORBID(call)                                                                   \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),                                   \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        FORBID(SYS_connect),
        FORBID(SYS_io_uring_setup),
        FORBID(SYS_kill),
        FORBID(SYS_setpgid), /* by the group it is ended */
        FORBID(SYS_setsid),
        FORBID(SYS_tkill),
        FORBID(SYS_rt_sigqueueinfo),
        FORBID(SYS_rt_tgsigqueueinfo),
        FORBID(SYS_pidfd_open),
        FORBID(SYS_pidfd_getfd),
        FORBID(SYS_pidfd_send_signal),
        FORBID(SYS_socketpair),
#ifndef __SANITIZE_ADDRESS__ /* which looks for leaks with it */
        FORBID(SYS_ptrace),
#endif
        FORBID(SYS_process_vm_readv),
        FORBID(SYS_process_vm_writev),
        FORBID(SYS_mount),
        FORBID(SYS_umount2),
        FORBID(SYS_pivot_root),
        FORBID(SYS_chroot),
        FORBID(SYS_setns),
        FORBID(SYS_unshare),
        FORBID(SYS_bpf),
        FORBID(SYS_perf_event_open),
        FORBID(SYS_keyctl),
        FORBID(SYS_add_key),
        FORBID(SYS_init_module),
        FORBID(SYS_finit_module),
        FORBID(SYS_kexec_load),
        FORBID(SYS_userfaultfd),
        FORBID(SYS_reboot),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 7),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, family, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_SEQPACKET, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        /* abort() sends itself a signal by this */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
#endif
}

static void become(const char *const *argv, const struct serve_limits *l, pid_t parent,
                   const int out[2], const int err[2], int failed)
{
    sigset_t none;
    int error;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it ended before that */
        _exit(127);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0); /* a Ctrl-C is for the service alone */
    if (setpriority(PRIO_PROCESS, 0, NICE) != 0)
        errno = 0; /* it is as important as the service, then */
    dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    /* whatever we have open, or were started with */
    syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, FILE_BYTES);
    limit(RLIMIT_NOFILE, l->gpu ? FILES_GPU : FILES);
    /* SIGXCPU, and later SIGKILL */
    setrlimit(RLIMIT_CPU, &(struct rlimit){l->seconds, l->seconds + 5});
#ifndef __SANITIZE_ADDRESS__  /* which has terabytes of addresses */
    if (l->memory && !l->gpu) /* CUDA takes as many as all memory has, and more */
        limit(RLIMIT_AS, l->memory);
#endif
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    allow_writing(l);
    forbid_calls(l->gpu);
    execvp(argv[0], (char *const *)argv);
    error = errno;
    while (write(failed, &error, sizeof error) < 0 && errno == EINTR)
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

/* Read what the child says if it could not become the program; nothing if it did. */
static bool has_started(int failed)
{
    ssize_t n;
    int error;

    do
        n = read(failed, &error, sizeof error);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof error)
        errno = error;
    return n == 0;
}

bool serve_child_start(struct serve_child *c, const char *const *argv,
                       const struct serve_limits *limits)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, failed[2] = {-1, -1};
    pid_t parent = getpid();
    bool started = false;

    *c = (struct serve_child){-1, -1, -1, -1};
    if (pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0 &&
        pipe2(failed, O_CLOEXEC) == 0)
        c->pid = fork();
    if (c->pid == 0)
        become(argv, limits, parent, out, err, failed[1]);
    if (c->pid > 0) {
        close(failed[1]);
        failed[1] = -1;
        started = has_started(failed[0]);
    }
    if (started) {
        c->out = out[0];
        c->err = err[0];
        c->gone = (int)syscall(SYS_pidfd_open, c->pid, 0);
        out[0] = err[0] = -1;
    } else if (c->pid > 0) {
        int error = errno;

        waitpid(c->pid, NULL, 0);
        errno = error;
    }
    close_pipe(out);
    close_pipe(err);
    close_pipe(failed);
    return started;
}

void serve_child_kill(const struct serve_child *c)
{
    kill(-c->pid, SIGKILL);
}

int serve_child_end(struct serve_child *c)
{
    siginfo_t info;
    int status = -1;

    /* while it is not reaped, no other group can have its number */
    while (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    serve_child_kill(c);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(c->out);
    close(c->err);
    if (c->gone >= 0)
        close(c->gone);
    return status;
}

/* Read what there is into *text. False at the end. */
static bool collect(int fd, char **text, size_t *size)
{
    char part[4096];
    ssize_t n = read(fd, part, sizeof part);

    if (n <= 0)
        return n < 0 && (errno == EINTR || errno == EAGAIN);
    if (*text && *size + (size_t)n <= MOST_OUTPUT) {
        memcpy(*text + *size, part, (size_t)n);
        *size += (size_t)n;
        (*text)[*size] = 0;
    }
    return true;
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void serve_child_quit(void)
{
    atomic_store(&quits, true);
}

/* Read what it says until it has ended. Its pipes alone do not tell: it may close them,
 * or others may have them. False if that takes longer than until end, or is not to go
 * on. */
static bool follow(const struct serve_child *c, int64_t end, char *text[2])
{
    struct pollfd p[3] = {
        {c->out, POLLIN, 0}, {c->err, POLLIN, 0}, {c->gone, POLLIN, 0}};
    size_t size[2] = {0, 0};
    bool silent = false;

    while (!silent || (p[2].fd < 0 ? p[0].fd >= 0 || p[1].fd >= 0 : !p[2].revents)) {
        int64_t left = end - now_ms();

        if (left <= 0 || atomic_load(&quits))
            return false;
        poll(p, 3, left < LOOK_MS ? (int)left : LOOK_MS);
        silent = true;
        for (int i = 0; i < 2; i++)
            if (p[i].fd >= 0 && p[i].revents) {
                silent = false;
                if (!collect(p[i].fd, &text[i], &size[i]))
                    p[i].fd = -1;
            }
    }
    return true;
}

int serve_child_run(const char *const *argv, const struct serve_limits *limits,
                    unsigned seconds, char **out, char **err)
{
    char *text[2] = {out ? nst_xcalloc(MOST_OUTPUT + 1, 1) : NULL,
                     err ? nst_xcalloc(MOST_OUTPUT + 1, 1) : NULL};
    int64_t end = now_ms() + (int64_t)seconds * 1000;
    struct serve_child c;
    bool late;
    int status;

    if (out)
        *out = text[0];
    if (err)
        *err = text[1];
    if (!serve_child_start(&c, argv, limits))
        return SERVE_CHILD_NONE;
    late = !follow(&c, end, text);
    if (late)
        serve_child_kill(&c);
    status = serve_child_end(&c);
    return !late ? status : atomic_load(&quits) ? SERVE_CHILD_NONE : -1;
}
