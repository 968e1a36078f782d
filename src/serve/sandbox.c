/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/sandbox.h"

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
#include <unistd.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/clock.h"

#define MAX_OUTPUT 65536
#define MAX_FILE_BYTES ((rlim_t)4 << 30)
#define MAX_FILES 128
#define MAX_FILES_GPU 1024 /* CUDA's driver opens dozens for each GPU */
#define MAX_GPUS 32
#define NICE 5 /* requests have priority over tasks */
#define POLL_MS 200

static atomic_bool shutting_down;

char *serve_program_path(const char *name)
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

/* The functions up to exec_program() run between fork() and exec in a process with
 * threads, so they must not allocate memory. */

static void set_limit(int resource, rlim_t value)
{
    setrlimit(resource, &(struct rlimit){value, value});
}

#define TRUNCATE ((uint64_t)1 << 14) /* LANDLOCK_ACCESS_FS_TRUNCATE, of version 3 */

static void allow_path(int ruleset, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr beneath = {
        .allowed_access = access, .parent_fd = open(path, O_PATH | O_CLOEXEC)};

    if (beneath.parent_fd >= 0)
        syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath,
                0);
}

/* CUDA's driver sends commands through device files, and names its threads through
 * /proc/self/task; cuInit() fails without either. */
static void allow_gpus(int ruleset, uint64_t access)
{
    char path[32];

    allow_path(ruleset, "/dev/nvidiactl", access);
    allow_path(ruleset, "/dev/nvidia-uvm", access);
    allow_path(ruleset, "/dev/nvidia-uvm-tools", access);
    allow_path(ruleset, "/proc/self/task", access);
    for (int i = 0; i < MAX_GPUS; i++) {
        snprintf(path, sizeof path, "/dev/nvidia%d", i);
        allow_path(ruleset, path, access);
    }
}

/* Allow writing and truncation only below the folder, to /dev/null and to GPUs. */
static void restrict_writes(const struct serve_sandbox_limits *l)
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
    const uint64_t plain = /* only files: the service may follow links and folders */
        file | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG;
    struct landlock_ruleset_attr attr = {.handled_access_fs = writing};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);

    if (ruleset < 0) /* the kernel has no Landlock */
        return;
    if (l->folder)
        allow_path(ruleset, l->folder, plain);
    allow_path(ruleset, "/dev/null", file);
    if (l->gpu)
        allow_gpus(ruleset, file);
    syscall(SYS_landlock_restrict_self, ruleset, 0);
    close(ruleset);
}

#if defined __x86_64__
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif

#define X32_SYSCALLS 0x40000000 /* second numbers of the same calls, on x86-64 only */

#define NO_FAMILY UINT32_MAX

/* Deny system calls that nst does not need. CUDA's driver needs a Unix socket to listen
 * on (for shared memory between processes); it never connects. */
static void filter_syscalls(bool gpu)
{
#ifdef NATIVE_ARCH
    const uint32_t family = gpu ? AF_UNIX : NO_FAMILY;
#define DENY(call)                                                                     \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),                                   \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_SYSCALLS, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        DENY(SYS_connect),
        DENY(SYS_io_uring_setup),
        DENY(SYS_kill),
        DENY(SYS_setpgid), /* serve_sandbox_kill() needs the process group */
        DENY(SYS_setsid),
        DENY(SYS_tkill),
        DENY(SYS_rt_sigqueueinfo),
        DENY(SYS_rt_tgsigqueueinfo),
        DENY(SYS_pidfd_open),
        DENY(SYS_pidfd_getfd),
        DENY(SYS_pidfd_send_signal),
        DENY(SYS_socketpair),
#ifndef __SANITIZE_ADDRESS__ /* LeakSanitizer uses it */
        DENY(SYS_ptrace),
#endif
        DENY(SYS_process_vm_readv),
        DENY(SYS_process_vm_writev),
        DENY(SYS_mount),
        DENY(SYS_umount2),
        DENY(SYS_pivot_root),
        DENY(SYS_chroot),
        DENY(SYS_setns),
        DENY(SYS_unshare),
        DENY(SYS_bpf),
        DENY(SYS_perf_event_open),
        DENY(SYS_keyctl),
        DENY(SYS_add_key),
        DENY(SYS_init_module),
        DENY(SYS_finit_module),
        DENY(SYS_kexec_load),
        DENY(SYS_userfaultfd),
        DENY(SYS_reboot),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 7),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, family, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_SEQPACKET, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        /* abort() uses it to signal its own process */
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
    if (setpriority(PRIO_PROCESS, 0, NICE) != 0)
        errno = 0; /* not fatal */
    dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    /* also descriptors that the service itself inherited */
    syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_FSIZE, MAX_FILE_BYTES);
    set_limit(RLIMIT_NOFILE, l->gpu ? MAX_FILES_GPU : MAX_FILES);
    /* SIGXCPU, and SIGKILL 5 s later */
    setrlimit(RLIMIT_CPU, &(struct rlimit){l->seconds, l->seconds + 5});
#ifndef __SANITIZE_ADDRESS__  /* it reserves terabytes of address space */
    if (l->memory && !l->gpu) /* CUDA reserves more address space than all memory */
        set_limit(RLIMIT_AS, l->memory);
#endif
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    restrict_writes(l);
    filter_syscalls(l->gpu);
    execvp(argv[0], (char *const *)argv);
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

bool serve_sandbox_start(struct serve_sandbox *c, const char *const *argv,
                         const struct serve_sandbox_limits *limits)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, exec_error[2] = {-1, -1};
    pid_t parent = getpid();
    bool started = false;

    *c = (struct serve_sandbox){-1, -1, -1, -1};
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
 * or a descendant may keep them open. False at the deadline or at shutdown. */
static bool read_until_exit(const struct serve_sandbox *c, double deadline,
                            char *text[2])
{
    struct pollfd p[3] = {
        {c->out, POLLIN, 0}, {c->err, POLLIN, 0}, {c->pidfd, POLLIN, 0}};
    size_t size[2] = {0, 0};
    bool drained = false;

    while (!drained || (p[2].fd < 0 ? p[0].fd >= 0 || p[1].fd >= 0 : !p[2].revents)) {
        double ms = 1000 * (deadline - nst_clock_seconds());

        if (ms <= 0 || atomic_load(&shutting_down))
            return false;
        poll(p, 3, ms < POLL_MS ? (int)ms + 1 : POLL_MS);
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
    timed_out = !read_until_exit(&c, deadline, text);
    if (timed_out)
        serve_sandbox_kill(&c);
    status = serve_sandbox_wait(&c);
    return !timed_out                    ? status
           : atomic_load(&shutting_down) ? SERVE_SANDBOX_FAILED
                                         : -1;
}
