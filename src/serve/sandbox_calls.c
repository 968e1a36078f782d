/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __x86_64__
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#define NATIVE_ARCH 0
#endif

#define MAX_FILTER 512
#define X32_CALLS 0x40000000     /* second numbers of the same calls, on x86-64 only */
#define FIRST_NEW_CALL 424       /* from here on all processors have the same numbers */
#define FCNTL_SET_PIPE_SIZE 1031 /* F_SETPIPE_SZ and others of _GNU_SOURCE */
#define NAMESPACES                                                                     \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |     \
     CLONE_NEWPID | CLONE_NEWNET)

#define ERROR(error) (SECCOMP_RET_ERRNO | (error))

struct filter {
    struct sock_filter code[MAX_FILTER];
    unsigned short length;
};

static const uint32_t denied[] = {
    /* other processes: signals, their memory, priorities, limits and descriptors */
    SYS_kill,
    SYS_tkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_setpriority,
    SYS_ioprio_set,
    SYS_migrate_pages,
    SYS_move_pages,
#ifndef __SANITIZE_ADDRESS__ /* LeakSanitizer uses it */
    SYS_ptrace,
#endif
    /* escape from the process group, which is killed at the end */
    SYS_setpgid,
    SYS_setsid,
    /* memory and messages that stay, or that no limit counts */
    SYS_shmget,
    SYS_shmat,
    SYS_shmctl,
    SYS_shmdt,
    SYS_semget,
    SYS_semop,
    SYS_semctl,
    SYS_semtimedop,
    SYS_msgget,
    SYS_msgsnd,
    SYS_msgrcv,
    SYS_msgctl,
    SYS_mq_open,
    SYS_mq_unlink,
    SYS_mq_timedsend,
    SYS_mq_timedreceive,
    SYS_mq_notify,
    SYS_mq_getsetattr,
    /* what Landlock does not restrict: owners, modes, times, attributes, links, length
       (before version 3), the names of others' files */
    SYS_fchmod,
    SYS_fchmodat,
    SYS_fchown,
    SYS_fchownat,
    SYS_utimensat,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_fsetxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_fremovexattr,
    SYS_truncate,
    SYS_linkat,
    SYS_symlinkat,
    SYS_mknodat,
    SYS_mkdirat,
    SYS_inotify_init1,
    SYS_fanotify_init,
    SYS_fanotify_mark,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_quotactl,
    /* sockets; socket() itself is below */
    SYS_connect,
    SYS_socketpair,
    /* users and privileges */
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setfsuid,
    SYS_setfsgid,
    SYS_setgroups,
    SYS_capset,
    /* mounts and namespaces */
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_setns,
    SYS_unshare,
    /* the machine */
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
    SYS_syslog,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_clock_adjtime,
    SYS_adjtimex,
    SYS_vhangup,
    /* large parts of the kernel that programs seldom need */
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_io_setup,
    SYS_io_submit,
    SYS_splice,
    SYS_tee,
    SYS_vmsplice,
    SYS_remap_file_pages,
#ifdef __x86_64__ /* old names of the same */
    SYS_fork,
    SYS_vfork,
    SYS_chmod,
    SYS_chown,
    SYS_lchown,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
    SYS_link,
    SYS_symlink,
    SYS_mknod,
    SYS_mkdir,
    SYS_inotify_init,
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
    SYS_uselib,
    SYS_ustat,
    SYS_sysfs,
#endif
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
};

/* Of the calls from FIRST_NEW_CALL on. clone3() is not among them: a filter cannot read
 * its flags. */
static const uint32_t allowed_new[] = {
    SYS_close_range,
    SYS_faccessat2,
    SYS_epoll_pwait2,
    SYS_futex_waitv,
    453 /* map_shadow_stack */,
    454 /* futex_wake */,
    455 /* futex_wait */,
    456 /* futex_requeue */,
    462 /* mseal */,
};

/* Commands of fcntl() that signal others, lock files of others, or take memory of the
 * kernel. */
static const uint32_t fcntl_denied[] = {
    F_SETOWN,
    10 /* F_SETSIG */,
    15 /* F_SETOWN_EX */,
    1024 /* F_SETLEASE */,
    1026 /* F_NOTIFY */,
    FCNTL_SET_PIPE_SIZE,
};

static const uint32_t ioctl_allowed[] = {TCGETS,  TIOCGWINSZ, FIONREAD,
                                         FIONBIO, FIOCLEX,    FIONCLEX};

/* Drivers of GPUs have thousands of their own. */
static const uint32_t ioctl_denied[] = {0x8901 /* FIOSETOWN */,
                                        0x8902 /* SIOCSPGRP */,
                                        FIOASYNC,
                                        TIOCSTI,
                                        TIOCLINUX,
                                        TIOCSPGRP,
                                        TIOCSCTTY};

static const uint32_t prctl_denied[] = {
#ifndef __SANITIZE_ADDRESS__ /* LeakSanitizer uses them */
    PR_SET_PDEATHSIG,       PR_SET_DUMPABLE, PR_SET_PTRACER,
#endif
    PR_SET_CHILD_SUBREAPER, PR_SET_MM,       PR_SET_KEEPCAPS,
    PR_SET_SECUREBITS,      PR_CAPBSET_DROP, PR_CAP_AMBIENT,
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void statement(struct filter *f, uint16_t code, uint32_t k)
{
    if (f->length < MAX_FILTER)
        f->code[f->length++] = (struct sock_filter){code, 0, 0, k};
}

static void answer(struct filter *f, uint32_t value)
{
    statement(f, BPF_RET | BPF_K, value);
}

/* Skip so many instructions if the comparison holds, and if it does not. */
static void branch(struct filter *f, uint16_t comparison, uint32_t k, uint8_t yes,
                   uint8_t no)
{
    if (f->length < MAX_FILTER)
        f->code[f->length++] =
            (struct sock_filter){BPF_JMP | comparison | BPF_K, yes, no, k};
}

static void unless_skip(struct filter *f, uint16_t comparison, uint32_t k,
                        uint8_t instructions)
{
    branch(f, comparison, k, 0, instructions);
}

static void if_equal(struct filter *f, uint32_t k, uint32_t value)
{
    unless_skip(f, BPF_JEQ, k, 1);
    answer(f, value);
}

static void if_any(struct filter *f, const uint32_t *list, size_t n, uint32_t value)
{
    for (size_t i = 0; i < n; i++)
        if_equal(f, list[i], value);
}

/* The kernel uses the low 32 bits of all arguments that are looked at here. */
static void load_argument(struct filter *f, int i)
{
    statement(f, BPF_LD | BPF_W | BPF_ABS,
              (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (size_t)i));
}

/* The instructions up to end_call() are for this call alone. They begin with one of its
 * arguments, and each way through them ends with an answer. */
static unsigned short begin_call(struct filter *f, uint32_t call, int argument)
{
    unsigned short at = f->length;

    unless_skip(f, BPF_JEQ, call, 0);
    load_argument(f, argument);
    return at;
}

static void end_call(struct filter *f, unsigned short at, uint32_t otherwise)
{
    answer(f, otherwise);
    f->code[at].jf = (uint8_t)(f->length - at - 1);
}

/* A call whose argument must be none of the list. */
static void deny_argument(struct filter *f, uint32_t call, int argument,
                          const uint32_t *list, size_t n)
{
    unsigned short at = begin_call(f, call, argument);

    if_any(f, list, n, ERROR(EPERM));
    end_call(f, at, SECCOMP_RET_ALLOW);
}

/* A call whose argument must be one of the list. */
static void allow_argument(struct filter *f, uint32_t call, int argument,
                           const uint32_t *list, size_t n)
{
    unsigned short at = begin_call(f, call, argument);

    if_any(f, list, n, SECCOMP_RET_ALLOW);
    end_call(f, at, ERROR(EPERM));
}

/* Threads alone: no processes, no namespaces. */
static void filter_clone(struct filter *f)
{
    unsigned short at = begin_call(f, SYS_clone, 0);

    unless_skip(f, BPF_JSET, NAMESPACES, 1);
    answer(f, ERROR(EPERM));
    unless_skip(f, BPF_JSET, CLONE_THREAD, 1);
    answer(f, SECCOMP_RET_ALLOW);
#ifdef __SANITIZE_ADDRESS__ /* LeakSanitizer's tracer shares the memory */
    unless_skip(f, BPF_JSET, CLONE_UNTRACED, 1);
    answer(f, SECCOMP_RET_ALLOW);
#endif
    end_call(f, at, ERROR(EPERM));
}

/* CUDA's driver needs a Unix socket to listen on (for shared memory between processes);
 * it never connects. */
static void filter_socket(struct filter *f, bool gpu)
{
    unsigned short at = begin_call(f, SYS_socket, 0);

    if (gpu) {
        unless_skip(f, BPF_JEQ, AF_UNIX, 4);
        load_argument(f, 1);
        statement(f, BPF_ALU | BPF_AND | BPF_K,
                  ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK));
        if_equal(f, SOCK_SEQPACKET, SECCOMP_RET_ALLOW);
    }
    end_call(f, at, ERROR(EPERM));
}

/* Opening for reading must not cut the file short, as it may before version 3 of
 * Landlock. */
static void filter_open(struct filter *f, uint32_t call, int argument)
{
    unsigned short at = begin_call(f, call, argument);

    statement(f, BPF_ALU | BPF_AND | BPF_K, O_TRUNC | O_ACCMODE);
    if_equal(f, O_TRUNC | O_RDONLY, ERROR(EPERM));
    end_call(f, at, SECCOMP_RET_ALLOW);
}

static void filter_arguments(struct filter *f, bool gpu)
{
    const uint32_t self = 0, query = UINT32_MAX, process = (uint32_t)getpid();

    filter_clone(f);
    filter_socket(f, gpu);
#ifdef __x86_64__
    filter_open(f, SYS_open, 1);
#endif
    filter_open(f, SYS_openat, 2);
    deny_argument(f, SYS_fcntl, 1, fcntl_denied, COUNT(fcntl_denied));
    if (gpu)
        deny_argument(f, SYS_ioctl, 1, ioctl_denied, COUNT(ioctl_denied));
    else
        allow_argument(f, SYS_ioctl, 1, ioctl_allowed, COUNT(ioctl_allowed));
    deny_argument(f, SYS_prctl, 0, prctl_denied, COUNT(prctl_denied));
    allow_argument(f, SYS_personality, 0, &query, 1);
    allow_argument(f, SYS_tgkill, 0, &process, 1); /* abort() signals itself */
    /* limits and scheduling of this process or thread, not of the service */
    allow_argument(f, SYS_prlimit64, 0, &self, 1);
    allow_argument(f, SYS_sched_setaffinity, 0, &self, 1);
    allow_argument(f, SYS_sched_setscheduler, 0, &self, 1);
    allow_argument(f, SYS_sched_setparam, 0, &self, 1);
    allow_argument(f, SYS_sched_setattr, 0, &self, 1);
}

static void build_filter(struct filter *f, bool gpu)
{
    statement(f, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    branch(f, BPF_JEQ, NATIVE_ARCH, 1, 0);
    answer(f, ERROR(EPERM));
    statement(f, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    unless_skip(f, BPF_JGE, X32_CALLS, 1);
    answer(f, ERROR(EPERM));
    if_any(f, denied, COUNT(denied), ERROR(EPERM));
    if (!gpu)
        if_equal(f, SYS_memfd_create, ERROR(EPERM)); /* RLIMIT_AS does not count it */
    if_any(f, allowed_new, COUNT(allowed_new), SECCOMP_RET_ALLOW);
    unless_skip(f, BPF_JGE, FIRST_NEW_CALL, 1);
    answer(f, ERROR(ENOSYS));
    filter_arguments(f, gpu);
    answer(f, SECCOMP_RET_ALLOW);
}

bool serve_calls_can_be_filtered(void)
{
    return NATIVE_ARCH != 0 && prctl(PR_GET_SECCOMP) >= 0;
}

bool serve_calls_restrict(bool gpu)
{
    struct filter f = {.length = 0};
    struct sock_fprog program = {0, f.code};

    if (!serve_calls_can_be_filtered())
        return true;
    build_filter(&f, gpu);
    if (f.length == MAX_FILTER) {
        errno = E2BIG;
        return false;
    }
    program.len = f.length;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
