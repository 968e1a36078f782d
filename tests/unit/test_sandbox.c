/* SPDX-License-Identifier: MIT */
/* What a program that nst-serve starts can do, and what it cannot. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "nst.h"
#include "serve/sandbox.h"
#include "unit.h"

static char folder[] = "/tmp/nst-child-XXXXXX";

/* Run a line of the shell, in a folder that it may write to: its status. *out: what it
 * said, a new string. */
static int run_shell(const char *line, struct serve_sandbox_limits limits, char **out)
{
    const char *const argv[] = {"bash", "-c", line, NULL};
    char *err, *output;
    int status;

    limits.folder = folder;
    if (!limits.seconds)
        limits.seconds = 10;
    status = serve_sandbox_run(argv, &limits, 120, &output, &err);
    for (char *c = err; *c; c++) /* TAP has it on one line */
        *c = (char)(*c == '\n' ? ' ' : *c);
    print_message("# %s: status %d, '%s'\n", line, status, err);
    free(err);
    if (out)
        *out = output;
    else
        free(output);
    return status;
}

static const struct serve_sandbox_limits no_limits;

static void writes_in_its_folder_alone(void **state)
{
    char *inside = nst_xasprintf("echo x >%s/file && rm %s/file", folder, folder);
    char *outside = nst_xasprintf("echo x >%s.outside", folder);
    char *cut = nst_xasprintf("cd / && truncate -s 0 %s.victim", folder);
    char *victim = nst_xasprintf("%s.victim", folder);
    FILE *f = fopen(victim, "w");
    struct stat st;

    (void)state;
    fputs("precious", f);
    fclose(f);
    assert_int_equal(run_shell(inside, no_limits, NULL), 0);
    if (run_shell(outside, no_limits, NULL) == 0) {
        outside[0] = 0;
        print_message("# SKIP the kernel has no Landlock\n");
        return;
    }
    assert_int_not_equal(run_shell(cut, no_limits, NULL), 0);
    assert_int_equal(stat(victim, &st), 0);
    assert_int_equal(st.st_size, 8);
    unlink(victim);
    free(inside);
    free(outside);
    free(cut);
    free(victim);
}

static void makes_plain_files_alone(void **state)
{
    char *probe = nst_xasprintf("echo x >%s.outside", folder);
    char *line =
        nst_xasprintf("cd %s && for c in 'ln -s /etc/passwd link' 'mkdir folder' "
                      "'mkfifo pipe'; do $c 2>/dev/null && echo $c; done; ls",
                      folder);
    char *output;

    (void)state;
    if (run_shell(probe, no_limits, NULL) == 0) {
        print_message("# SKIP the kernel has no Landlock\n");
        return;
    }
    run_shell(line, no_limits, &output);
    assert_string_equal(output, "");
    free(output);
    free(line);
    free(probe);
}

/* Does it run no more, though perhaps nobody has waited for it yet? */
static bool has_exited(int pid)
{
    char *path = nst_xasprintf("/proc/%d/cmdline", pid);
    bool gone = false;

    for (int i = 0; i < 20 && !gone; i++) {
        FILE *f = fopen(path, "r");

        gone = !f || fgetc(f) == EOF;
        if (f)
            fclose(f);
        if (!gone)
            usleep(100000);
    }
    free(path);
    return gone;
}

static void ends_with_all_that_it_began(void **state)
{
    time_t begin = time(NULL);
    char *output;

    (void)state;
    assert_int_equal(run_shell("sleep 60 & echo $!", no_limits, &output), 0);
    assert_true(time(NULL) - begin < 5); /* it is not waited for */
    assert_true(has_exited(atoi(output)));
    free(output);
    assert_int_not_equal(run_shell("setsid -w true", no_limits, NULL), 0);
}

static void opens_no_sockets(void **state)
{
    char *output;

    (void)state;
    run_shell("exec 3<>/dev/udp/127.0.0.1/9 || echo refused", no_limits, &output);
    assert_string_equal(output, "refused\n");
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

static void signals_nobody(void **state)
{
    char *line = nst_xasprintf("kill -0 %d", (int)getpid());

    (void)state;
    assert_int_not_equal(run_shell(line, no_limits, NULL), 0);
    free(line);
    assert_int_not_equal(run_shell("kill -9 $PPID", no_limits, NULL), 0);
}

static void gains_no_privileges(void **state)
{
    char *output;

    (void)state;
    run_shell("grep -c -e 'NoNewPrivs:.1' -e 'Seccomp:.2' /proc/self/status", no_limits,
              &output);
    assert_string_equal(output, "2\n");
    free(output);
}

#ifndef __SANITIZE_ADDRESS__ /* which has terabytes of addresses */
static void has_its_memory_and_no_more(void **state)
{
    const struct serve_sandbox_limits some = {.memory = (size_t)200 << 20};

    (void)state;
    assert_int_equal(run_shell("x=$(head -c 1000 /dev/zero | tr '\\0' x)", some, NULL),
                     0);
    assert_int_not_equal(
        run_shell("x=$(head -c 300000000 /dev/zero | tr '\\0' x)", some, NULL), 0);
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
    const char *const argv[] = {"sleep", "60", NULL};
    const struct serve_sandbox_limits limits = {.seconds = 10};

    (void)state;
    assert_int_equal(serve_sandbox_run(argv, &limits, 1, NULL, NULL), -1);
}

static void is_ended_in_time_when_it_says_no_more(void **state)
{
    const char *const argv[] = {"bash", "-c", "exec >&- 2>&-; exec sleep 15", NULL};
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
    assert_int_equal(run_shell("yes | head -c 10000000", no_limits, &output), 0);
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
    run_shell("ls /proc/self/fd | wc -l", no_limits, &output);
    assert_string_equal(output, "4\n"); /* three, and the folder that ls reads */
    free(output);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SAYS("a program writes, and cuts short, in its folder alone",
             writes_in_its_folder_alone),
        SAYS("it makes no links, folders or pipes", makes_plain_files_alone),
        SAYS("it opens no sockets", opens_no_sockets),
        SAYS("with a GPU it has the socket, names of threads and addresses that CUDA "
             "needs, and no more",
             has_what_cuda_needs_with_a_gpu_alone),
        SAYS("it signals nobody", signals_nobody),
        SAYS("it gains no privileges", gains_no_privileges),
#ifndef __SANITIZE_ADDRESS__
        SAYS("it has its memory and no more", has_its_memory_and_no_more),
#endif
        SAYS("it has its time of the processor and no more",
             has_its_time_of_the_processor_and_no_more),
        SAYS("it is ended when it takes too long", is_ended_when_it_takes_too_long),
        SAYS("so it is when it closes its output first",
             is_ended_in_time_when_it_says_no_more),
        SAYS("what it began ends with it", ends_with_all_that_it_began),
        SAYS("it may say much without harm", says_much_without_harm),
        SAYS("it is missed if it is not there", is_missed_if_it_is_not_there),
        SAYS("it finds no files open but its own three", leaves_no_files_open),
    };
    int status;

    if (argc == 2 && strcmp(argv[1], "sockets") == 0)
        return try_sockets();
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    status = cmocka_run_group_tests_name("child", tests, NULL, NULL);
    rmdir(folder);
    return status;
}
