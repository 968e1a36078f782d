/* SPDX-License-Identifier: MIT */
/* The history with as many concurrent writers as on a cluster. */
#include "config.h"

#include "unit.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "record/history.h"

#define WRITERS 200
#define LENGTH 6000 /* of a line: more than a page of the file */

static char path[] = "/tmp/nst-history-XXXXXX";

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 || close(fd) != 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

/* In a child process: wait until no process writes to start, then for n * apart
 * microseconds, and append line n. */
static void append_one(int start, int n, int apart)
{
    char line[LENGTH + 32], byte;
    int length = snprintf(line, sizeof line, "{\"n\":%d,\"text\":\"", n);
    struct nst_err err;

    memset(line + length, 'a' + n % 26, LENGTH);
    strcpy(line + length + LENGTH, "\"}");
    while (read(start, &byte, 1) > 0)
        ;
    usleep((useconds_t)(n * apart));
    _exit(nst_history_append(path, line, &err) == NST_OK ? 0 : 1);
}

static void start_all(int apart)
{
    int start[2];

    assert_int_equal(pipe(start), 0);
    for (int n = 0; n < WRITERS; n++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            close(start[1]);
            append_one(start[0], n, apart);
        }
    }
    close(start[0]);
    close(start[1]); /* starts the writers */
}

static void wait_for_all(void)
{
    for (int n = 0; n < WRITERS; n++) {
        int status;

        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
}

/* Each number appears once, on a whole line, and there are no other lines. */
static void check_lines(void)
{
    struct nst_history h;
    struct nst_err err;
    bool there[WRITERS] = {false};

    assert_int_equal(nst_history_read(&h, path, &err), NST_OK);
    assert_int_equal(h.count, WRITERS);
    for (size_t i = 0; i < h.count; i++) {
        json_int_t n = json_integer_value(json_object_get(h.line[i].run, "n"));

        assert_non_null(h.line[i].run);
        assert_true(n >= 0 && n < WRITERS && !there[n]);
        there[n] = true;
        assert_int_equal(json_string_length(json_object_get(h.line[i].run, "text")),
                         LENGTH);
    }
    nst_history_clear(&h);
}

static void many_append(void **state)
{
    (void)state;
    assert_int_equal(truncate(path, 0), 0);
    start_all(0);
    wait_for_all();
    check_lines();
}

static bool is_old(void *ctx, const struct nst_history *h, size_t i)
{
    (void)ctx;
    return json_object_get(h->line[i].run, "old") != NULL;
}

static void many_append_while_others_go(void **state)
{
    struct nst_err err;

    (void)state;
    assert_int_equal(truncate(path, 0), 0);
    start_all(500);
    for (int i = 0; i < 50; i++) {
        size_t dropped;

        assert_int_equal(nst_history_append(path, "{\"old\":true}", &err), NST_OK);
        assert_int_equal(nst_history_remove(path, is_old, NULL, &dropped, &err),
                         NST_OK);
        assert_int_equal(dropped, 1);
    }
    wait_for_all();
    check_lines();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("200 processes that append at once leave 200 whole lines", many_append),
        SAYS("none of them is lost when others are forgotten meanwhile",
             many_append_while_others_go)};

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
