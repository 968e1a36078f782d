/* SPDX-License-Identifier: MIT */
/*
 * escapes.h - what a program that has been taken over may try: system calls, and uses
 * of files. Each attempt counts as refused only with an errno of the sandbox: one that
 * the kernel looked at, and that failed otherwise, was not.
 */
#ifndef NST_TESTS_ESCAPES_H
#define NST_TESTS_ESCAPES_H

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int escape_attempts;

/* Write what was not refused. */
static void escape_report(FILE *out, const char *what, const char *path, long result)
{
    int error = errno;

    escape_attempts++;
    if (result >= 0)
        fprintf(out, "%s%s%s; ", what, *path ? " " : "", path);
    else if (error != EPERM && error != EACCES && error != ENOSYS && error != EXDEV &&
             error != EROFS)
        fprintf(out, "%s%s%s: %s; ", what, *path ? " " : "", path, strerror(error));
}

struct escape_call {
    const char *name;
    long number, a, b, c;
};

static void escape_calls(FILE *out, const struct escape_call *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        escape_report(
            out, list[i].name, "",
            syscall(list[i].number, list[i].a, list[i].b, list[i].c, 0, 0, 0));
}

/* A new process ends at once. */
static void escape_fork(FILE *out, const char *name, long number, long a)
{
    long pid = syscall(number, a, number == 435 ? 64 : 0, 0, 0, 0);

    if (pid == 0)
        _exit(0);
    escape_report(out, name, "", pid);
    if (pid > 0)
        waitpid((pid_t)pid, NULL, 0);
}

#define ESCAPE(call, ...)                                                              \
    {                                                                                  \
#call, SYS_##call, __VA_ARGS__                                                 \
    }

/* Calls that reach other processes: mostly the service. */
static void escape_to_processes(FILE *out)
{
    const long parent = getppid();
    int fd[2] = {-1, -1};
    struct rlimit none = {0, 0};
    long pipe_end = pipe(fd) == 0 ? fd[0] : -1;
    const struct escape_call list[] = {
        {"F_SETOWN", SYS_fcntl, pipe_end, F_SETOWN, parent},
        {"F_SETOWN_EX", SYS_fcntl, pipe_end, 15, (long)&(int[2]){1, (int)parent}},
        {"F_SETSIG", SYS_fcntl, pipe_end, 10, SIGKILL},
        {"F_SETLEASE", SYS_fcntl, pipe_end, 1024, F_RDLCK},
        {"F_NOTIFY", SYS_fcntl, pipe_end, 1026, 1},
        {"FIOSETOWN", SYS_ioctl, pipe_end, 0x8901, (long)&parent},
        {"SIOCSPGRP", SYS_ioctl, pipe_end, 0x8902, (long)&parent},
        {"FIOASYNC", SYS_ioctl, pipe_end, FIOASYNC, (long)&(int){1}},
        {"TIOCSTI", SYS_ioctl, pipe_end, TIOCSTI, (long)"x"},
        ESCAPE(kill, parent, 0),
        ESCAPE(tkill, parent, 0),
        ESCAPE(tgkill, parent, parent, 0),
        ESCAPE(rt_sigqueueinfo, parent, 0),
        ESCAPE(pidfd_open, parent, 0),
        ESCAPE(pidfd_send_signal, 0, 0),
        ESCAPE(pidfd_getfd, 0, 0),
#ifndef __SANITIZE_ADDRESS__
        ESCAPE(ptrace, 16, parent),
#endif
        ESCAPE(process_vm_readv, parent, 0),
        ESCAPE(process_vm_writev, parent, 0),
        ESCAPE(process_madvise, 0, 0),
        ESCAPE(kcmp, parent, parent),
        ESCAPE(prlimit64, parent, RLIMIT_CPU, (long)&none),
        ESCAPE(setpriority, PRIO_PROCESS, parent, 19),
        ESCAPE(ioprio_set, 1, parent, 3 << 13),
        ESCAPE(sched_setaffinity, parent, 8, (long)&(long){1}),
        ESCAPE(sched_setscheduler, parent, 5, (long)&(int){0}),
        ESCAPE(sched_setparam, parent, (long)&(int){0}),
        ESCAPE(sched_setattr, parent, 0),
        ESCAPE(migrate_pages, parent, 0),
        ESCAPE(move_pages, parent, 0),
    };

    escape_calls(out, list, sizeof list / sizeof *list);
    close(fd[0]);
    close(fd[1]);
}

/* Calls that make processes, or escape from the group that is killed at the end. */
static void escape_by_processes(FILE *out)
{
    const struct escape_call list[] = {
        ESCAPE(setsid, 0),
        ESCAPE(setpgid, 0, 0),
#ifndef __SANITIZE_ADDRESS__
        {"PR_SET_PDEATHSIG", SYS_prctl, PR_SET_PDEATHSIG, 0, 0},
        {"PR_SET_DUMPABLE", SYS_prctl, PR_SET_DUMPABLE, 0, 0},
        {"PR_SET_PTRACER", SYS_prctl, PR_SET_PTRACER, -1, 0},
#endif
        {"PR_SET_CHILD_SUBREAPER", SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0},
        {"PR_SET_KEEPCAPS", SYS_prctl, PR_SET_KEEPCAPS, 1, 0},
        {"PR_SET_MM", SYS_prctl, PR_SET_MM, 1, 0},
        ESCAPE(personality, 0x0040000),
    };

    escape_calls(out, list, sizeof list / sizeof *list);
    escape_fork(out, "clone", SYS_clone, SIGCHLD);
    escape_fork(out, "clone NEWUSER", SYS_clone,
                CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | SIGCHLD);
    escape_fork(out, "clone3", 435, (long)&(struct clone_args){.exit_signal = SIGCHLD});
#ifdef SYS_fork
    escape_fork(out, "fork", SYS_fork, 0);
#endif
}

/* Calls that stay after the process, or that no limit counts. */
static void escape_to_memory(FILE *out)
{
    const struct escape_call list[] = {
        ESCAPE(shmget, IPC_PRIVATE, 4096, IPC_CREAT | 0600),
        ESCAPE(shmat, -1, 0),
        ESCAPE(shmctl, -1, 0),
        ESCAPE(semget, IPC_PRIVATE, 1, IPC_CREAT | 0600),
        ESCAPE(semop, -1, 0),
        ESCAPE(semctl, -1, 0),
        ESCAPE(msgget, IPC_PRIVATE, IPC_CREAT | 0600),
        ESCAPE(msgsnd, -1, 0),
        ESCAPE(msgrcv, -1, 0),
        ESCAPE(msgctl, -1, 0),
        ESCAPE(mq_open, (long)"nst-escape", O_CREAT | O_RDWR, 0600),
        ESCAPE(mq_unlink, (long)"nst-escape"),
        ESCAPE(memfd_create, (long)"x", 0),
        {"memfd_secret", 447, 0, 0, 0},
    };

    escape_calls(out, list, sizeof list / sizeof *list);
}

/* Mounts, namespaces, users, sockets and large parts of the kernel. */
static void escape_to_kernel(FILE *out)
{
    const struct escape_call list[] = {
        ESCAPE(unshare, CLONE_NEWUSER),
        ESCAPE(setns, 0, 0),
        ESCAPE(mount, (long)"none", (long)"/tmp", (long)"tmpfs"),
        ESCAPE(umount2, (long)"/tmp", 0),
        ESCAPE(open_tree, AT_FDCWD, (long)"/", 1),
        ESCAPE(move_mount, 0, 0),
        ESCAPE(fsopen, (long)"tmpfs", 0),
        ESCAPE(fsconfig, 0, 0),
        ESCAPE(fsmount, 0, 0),
        ESCAPE(fspick, AT_FDCWD, (long)"/", 0),
        ESCAPE(mount_setattr, AT_FDCWD, 0),
        ESCAPE(pivot_root, (long)"/", (long)"/"),
        ESCAPE(chroot, (long)"/"),
        ESCAPE(setuid, 0),
        ESCAPE(setgroups, 0, 0),
        ESCAPE(capset, 0, 0),
        ESCAPE(socket, 1, 1),
        ESCAPE(socket, 2, 1),
        ESCAPE(socketpair, 1, 1),
        ESCAPE(connect, 0, 0),
        ESCAPE(bpf, 0, 0),
        ESCAPE(perf_event_open, 0, 0),
        ESCAPE(userfaultfd, 1),
        ESCAPE(add_key, 0, 0),
        ESCAPE(keyctl, 0, -3),
        ESCAPE(io_uring_setup, 1, 0),
        ESCAPE(io_setup, 1, 0),
        ESCAPE(vmsplice, 0, 0),
        ESCAPE(name_to_handle_at, AT_FDCWD, (long)"/"),
        ESCAPE(open_by_handle_at, AT_FDCWD, 0),
        ESCAPE(fanotify_init, 0, 0),
        ESCAPE(inotify_init1, 0),
        ESCAPE(openat2, AT_FDCWD, (long)"/", 0),
        ESCAPE(syslog, 10, 0),
        {"a call of the future", 600, 0, 0, 0},
    };

    escape_calls(out, list, sizeof list / sizeof *list);
}

/* What may be done with both files and folders. own: a folder of the process. */
static void escape_to_entry(FILE *out, const char *path, const char *own)
{
    const struct timespec begin[2] = {{0, 0}, {0, 0}};
    char to[4096];

    snprintf(to, sizeof to, "%s/escape", own);
    escape_report(out, "read", path, open(path, O_RDONLY));
    escape_report(out, "chmod", path, chmod(path, 0777));
    escape_report(out, "fchmodat2", path, syscall(452, AT_FDCWD, path, 0777, 0));
    escape_report(out, "chown", path, chown(path, getuid(), getgid()));
    escape_report(out, "utimensat", path, utimensat(AT_FDCWD, path, begin, 0));
    escape_report(out, "setxattr", path,
                  syscall(SYS_setxattr, path, "user.escape", "x", 1, 0));
    escape_report(out, "symlink", path, symlink(path, to));
}

/* Uses of a file that is none of the process. */
static void escape_to_file(FILE *out, const char *path, const char *own)
{
    char to[4096];

    snprintf(to, sizeof to, "%s/escape", own);
    escape_to_entry(out, path, own);
    escape_report(out, "write", path, open(path, O_WRONLY | O_APPEND));
    escape_report(out, "cut", path, open(path, O_RDONLY | O_TRUNC));
    escape_report(out, "truncate", path, truncate(path, 0));
    escape_report(out, "link", path, link(path, to));
    escape_report(out, "rename", path, rename(path, to));
    escape_report(out, "unlink", path, unlink(path));
}

/* Uses of a folder that is none of the process. */
static void escape_to_folder(FILE *out, const char *path, const char *own)
{
    char in[4096];

    snprintf(in, sizeof in, "%s/escape", path);
    escape_to_entry(out, path, own);
    escape_report(out, "create in", path, open(in, O_WRONLY | O_CREAT, 0600));
    escape_report(out, "mkfifo in", path, mkfifo(in, 0600));
    escape_report(out, "mkdir in", path, mkdir(in, 0700));
    escape_report(out, "rmdir", path, rmdir(path));
}

/* In its own folder: whatever is no plain file. */
static void escape_in_folder(FILE *out, const char *folder)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/escape-link", folder);
    escape_report(out, "symlink", path, symlink("/etc/passwd", path));
    escape_report(out, "mkfifo", path, mkfifo(path, 0600));
    escape_report(out, "mkdir", path, mkdir(path, 0700));
    escape_report(out, "chmod", path, chmod(folder, 0777));
}

#endif
