/* SPDX-License-Identifier: MIT */
/* What a program that nst-serve starts can do, and what it cannot. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "escapes.h"
#include "nst.h"
#include "serve/sandbox.h"
#include "unit.h"

static char folder[] = "/tmp/nst-child-XXXXXX", outside[] = "/tmp/nst-other-XXXXXX";
static char *input, *secret; /* files in outside */

static const struct serve_sandbox_limits no_limits;

/* Run a program in a folder that it may write to: its status. *out: what it said, a new
 * string. */
static int run(const char *const *argv, struct serve_sandbox_limits limits, char **out)
{
    char *err, *output;
    int status;

    limits.folder = folder;
    limits.inputs = (const char *const[]){input, NULL};
    if (!limits.seconds)
        limits.seconds = 10;
    status = serve_sandbox_run(argv, &limits, 120, &output, &err);
    for (char *c = err; *c; c++) /* TAP has it on one line */
        *c = (char)(*c == '\n' ? ' ' : *c);
    print_message("# %s: status %d, '%s'\n", argv[2] ? argv[2] : argv[1], status, err);
    free(err);
    if (out)
        *out = output;
    else
        free(output);
    return status;
}

/* Run a line of the shell, which can start no program. */
static int run_shell(const char *line, struct serve_sandbox_limits limits, char **out)
{
    return run((const char *const[]){"/bin/bash", "-c", line, NULL}, limits, out);
}

/* Run this program as a child: what it said, a new string. */
static char *run_self(const char *attempt, struct serve_sandbox_limits limits)
{
    char *output;

    run((const char *const[]){"/proc/self/exe", attempt, folder, outside, NULL}, limits,
        &output);
    return output;
}

static void is_refused(const char *attempt)
{
    char *output = run_self(attempt, no_limits);

    assert_string_equal(output, "tried"); /* and what was not refused, before it */
    free(output);
}

static void reaches_no_other_process(void **state)
{
    (void)state;
    is_refused("to processes");
}

static void starts_no_process(void **state)
{
    (void)state;
    is_refused("by processes");
    is_refused("execute");
}

static void leaves_no_memory(void **state)
{
    (void)state;
    is_refused("to memory");
}

static void uses_little_of_the_kernel(void **state)
{
    (void)state;
    is_refused("to kernel");
}

static bool has_landlock(void)
{
    const char *gap = serve_sandbox_gap();

    if (gap)
        print_message("# SKIP %s\n", gap);
    return !gap;
}

static void uses_its_files_alone(void **state)
{
    struct stat st;

    (void)state;
    if (!has_landlock())
        return;
    is_refused("to files");
    assert_int_equal(stat(secret, &st), 0);
    assert_int_equal(st.st_size, 8);
    assert_int_equal(st.st_mode & 0777, 0600);
    is_refused("in folder");
}

static void has_what_it_needs(void **state)
{
    char *output = run_self("work", no_limits);

    (void)state;
    assert_string_equal(output, "worked");
    free(output);
}

#define LISTENED 1
#define STREAMED 2
#define CONNECTED 4

/* What this program does as a child: its status is what it could do. The socket has no
 * path. */
static int try_sockets(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int other = socket(AF_UNIX, SOCK_SEQPACKET, 0), done = 0;

    snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "nst-child-%d",
             (int)getpid());
    if (fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0 &&
        listen(fd, 1) == 0)
        done |= LISTENED;
    if (connect(other, (struct sockaddr *)&name, sizeof name) == 0)
        done |= CONNECTED;
    if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_DGRAM, 0) >= 0 ||
        socket(AF_INET, SOCK_SEQPACKET, 0) >= 0 || socket(AF_INET, SOCK_STREAM, 0) >= 0)
        done |= STREAMED;
    return done;
}

/* What CUDA's driver is known to need besides its devices. */
static void has_what_cuda_needs_with_a_gpu_alone(void **state)
{
    struct serve_sandbox_limits limits = {.seconds = 10};
    const char *const argv[] = {"/proc/self/exe", "sockets", NULL};
    const char *rename =
        "echo renamed >/proc/self/task/$$/comm && read n </proc/$$/comm && echo $n";
    const char *addresses = "ulimit -v";
    char *output;

    (void)state;
    assert_int_equal(serve_sandbox_run(argv, &limits, 10, NULL, NULL), 0);
    limits.gpu = true;
    limits.memory = (size_t)1 << 30;
    assert_int_equal(serve_sandbox_run(argv, &limits, 10, NULL, NULL), LISTENED << 8);
    assert_int_equal(run_shell(rename, limits, &output), 0);
    assert_string_equal(output, "renamed\n");
    free(output);
    assert_int_equal(run_shell(addresses, limits, &output), 0);
    assert_string_equal(output, "unlimited\n");
    free(output);
}

static void gains_no_privileges(void **state)
{
    char *output;

    (void)state;
    run_shell("while read name value; do case $name$value in NoNewPrivs:1 | Seccomp:2) "
              "echo $name;; CapEff:*) [ $((0x$value & ~2)) = 0 ] && echo none;; esac; "
              "done </proc/self/status",
              no_limits, &output);
    assert_string_equal(output, "none\nNoNewPrivs:\nSeccomp:\n");
    free(output);
}

#ifndef __SANITIZE_ADDRESS__ /* which has terabytes of addresses */
static void has_its_memory_and_no_more(void **state)
{
    const struct serve_sandbox_limits some = {.memory = (size_t)200 << 20};

    (void)state;
    assert_int_equal(run_shell("printf -v x %1000s x", some, NULL), 0);
    assert_int_not_equal(run_shell("printf -v x %300000000s x", some, NULL), 0);
}
#endif

static void has_its_time_of_the_processor_and_no_more(void **state)
{
    const struct serve_sandbox_limits little = {.seconds = 1};
    int status = run_shell("while :; do :; done", little, NULL);

    (void)state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGXCPU);
}

static void is_ended_when_it_takes_too_long(void **state)
{
    const char *const argv[] = {"/bin/sleep", "60", NULL};
    const struct serve_sandbox_limits limits = {.seconds = 10};

    (void)state;
    assert_int_equal(serve_sandbox_run(argv, &limits, 1, NULL, NULL), -1);
}

static void is_ended_in_time_when_it_says_no_more(void **state)
{
    const char *const argv[] = {"/bin/bash", "-c", "exec >&- 2>&-; while :; do :; done",
                                NULL};
    const struct serve_sandbox_limits limits = {.seconds = 10};
    time_t begin = time(NULL);

    (void)state;
    assert_int_equal(serve_sandbox_run(argv, &limits, 1, NULL, NULL), -1);
    assert_true(time(NULL) - begin < 5);
}

static void says_much_without_harm(void **state)
{
    char *output;

    (void)state;
    assert_int_equal(run_shell("printf %10000000s x", no_limits, &output), 0);
    assert_true(strlen(output) <= 65536);
    free(output);
}

static void is_missed_if_it_is_not_there(void **state)
{
    const char *const argv[] = {"/nonexistent/program", NULL};
    const struct serve_sandbox_limits limits = {.seconds = 10};
    struct serve_sandbox c;

    (void)state;
    assert_false(serve_sandbox_start(&c, argv, &limits));
    assert_int_equal(errno, ENOENT);
}

static void leaves_no_files_open(void **state)
{
    char *output;

    (void)state;
    run_shell("cd /proc/self/fd && echo *", no_limits, &output);
    assert_string_equal(output, "0 1 2 3\n"); /* three, and the folder that it reads */
    free(output);
}

static void gets_no_secrets(void **state)
{
    char *output;

    (void)state;
    run_shell("echo $SECRET_OF_THE_SERVICE$NST_SETTING", no_limits, &output);
    assert_string_equal(output, "setting\n");
    free(output);
}

static void *count(void *number)
{
    ++*(int *)number;
    return number;
}

/* What the programs of nst do: what failed, or "worked". */
static const char *work(const char *own, const char *other)
{
    char file[256], moved[256], given[256];
    int number = 0, fd;
    const char *failed = "worked";
    pthread_t thread;

    snprintf(file, sizeof file, "%s/file", own);
    snprintf(moved, sizeof moved, "%s/moved", own);
    snprintf(given, sizeof given, "%s/input", other);
    fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, "abc", 3) != 3 || ftruncate(fd, 1) != 0 || close(fd) != 0)
        failed = "write";
    else if (rename(file, moved) != 0 || unlink(moved) != 0)
        failed = "rename";
    else if (access(given, R_OK) != 0 || open(given, O_RDONLY) < 0)
        failed = "read its input";
    else if (pthread_create(&thread, NULL, count, &number) != 0 ||
             pthread_join(thread, NULL) != 0 || number != 1)
        failed = "thread";
    else if (open("/proc/self/statm", O_RDONLY) < 0 ||
             open("/proc/meminfo", O_RDONLY) < 0 || open("/dev/urandom", O_RDONLY) < 0)
        failed = "read about the machine";
    else if (setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) != 0)
        failed = "limit itself";
    return failed;
}

/* What this program does as a child. */
static int attempt(const char *what, const char *own, const char *other)
{
    char path[256];

    snprintf(path, sizeof path, "%s/secret", other);
    if (strcmp(what, "to processes") == 0)
        escape_to_processes(stdout);
    else if (strcmp(what, "by processes") == 0)
        escape_by_processes(stdout);
    else if (strcmp(what, "to memory") == 0)
        escape_to_memory(stdout);
    else if (strcmp(what, "to kernel") == 0)
        escape_to_kernel(stdout);
    else if (strcmp(what, "to files") == 0) {
        escape_to_file(stdout, path, own);
        escape_to_file(stdout, "/etc/passwd", own);
        escape_to_folder(stdout, other, own);
    } else if (strcmp(what, "in folder") == 0)
        escape_in_folder(stdout, own);
    else if (strcmp(what, "execute") == 0) {
        fflush(stdout);
        execl("/bin/echo", "echo", "executed", (char *)NULL);
    } else
        return fputs(work(own, other), stdout) == EOF;
    fputs("tried", stdout);
    return 0;
}

static char *make_file(const char *name)
{
    char *path = nst_xasprintf("%s/%s", outside, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    assert_int_equal(write(fd, "precious", 8), 8);
    close(fd);
    return path;
}

static void remove_folders(void)
{
    unlink(input);
    unlink(secret);
    free(input);
    free(secret);
    rmdir(outside);
    rmdir(folder);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SAYS("a program writes in its folder, reads its input and has threads",
             has_what_it_needs),
        SAYS("it reads and writes, links, renames and changes no other file, and makes "
             "plain files alone",
             uses_its_files_alone),
        SAYS("it reaches no other process: by signals, limits, priorities, memory",
             reaches_no_other_process),
        SAYS("it starts no process and no other program", starts_no_process),
        SAYS("it leaves no memory and messages in the kernel", leaves_no_memory),
        SAYS("it has no mounts, namespaces, sockets, users and calls of the future",
             uses_little_of_the_kernel),
        SAYS("with a GPU it has the socket, names of threads and addresses that CUDA "
             "needs, and no more",
             has_what_cuda_needs_with_a_gpu_alone),
        SAYS("it gains no privileges", gains_no_privileges),
#ifndef __SANITIZE_ADDRESS__
        SAYS("it has its memory and no more", has_its_memory_and_no_more),
#endif
        SAYS("it has its time of the processor and no more",
             has_its_time_of_the_processor_and_no_more),
        SAYS("it is ended when it takes too long", is_ended_when_it_takes_too_long),
        SAYS("so it is when it closes its output first",
             is_ended_in_time_when_it_says_no_more),
        SAYS("it may say much without harm", says_much_without_harm),
        SAYS("it is missed if it is not there", is_missed_if_it_is_not_there),
        SAYS("it finds no files open but its own three", leaves_no_files_open),
        SAYS("it gets the environment that libraries need, and no more",
             gets_no_secrets),
    };
    int status;

    if (argc == 2 && strcmp(argv[1], "sockets") == 0)
        return try_sockets();
    if (argc == 4)
        return attempt(argv[1], argv[2], argv[3]);
    if (!mkdtemp(folder) || !mkdtemp(outside))
        return EXIT_FAILURE;
    input = make_file("input");
    secret = make_file("secret");
    setenv("SECRET_OF_THE_SERVICE", "secret", 1);
    setenv("NST_SETTING", "setting", 1);
    serve_sandbox_open(NULL);
    status = cmocka_run_group_tests_name("child", tests, NULL, NULL);
    serve_sandbox_close();
    remove_folders();
    return status;
}
