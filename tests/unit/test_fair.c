/* SPDX-License-Identifier: MIT */
/* The order in which the tasks of several owners start. */
#include "config.h"

#include "serve/queue/fair.h"

#include <string.h>

#include "unit.h"

#define TASKS 26

/* The tasks a to z of a queue. */
struct tasks {
    struct serve_fair_queue *queue;
    struct serve_fair_task task[TASKS];
};

static int set_up(void **state)
{
    struct tasks *s = calloc(1, sizeof *s);

    s->queue = serve_fair_new();
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct tasks *s = *state;

    serve_fair_free(s->queue);
    free(s);
    return 0;
}

/* Add the tasks of a text, as a party's. */
static void add(struct tasks *s, const char *party, const char *tasks, int max_running)
{
    for (; *tasks; tasks++)
        serve_fair_add(s->queue, &s->task[*tasks - 'a'], party, max_running);
}

/* The next task; '-' if none may start. */
static char start(struct tasks *s)
{
    const struct serve_fair_task *t = serve_fair_start(s->queue);

    return t ? (char)('a' + (t - s->task)) : '-';
}

static void end(struct tasks *s, char task)
{
    serve_fair_remove(s->queue, &s->task[(unsigned)(task - 'a') % TASKS]);
}

/* The tasks in the order in which they start, one at a time: a new string. */
static char *run_all(struct tasks *s)
{
    GString *order = g_string_new(NULL);

    for (char c = start(s); c != '-'; c = start(s)) {
        g_string_append_c(order, c);
        end(s, c);
    }
    return g_string_free(order, FALSE);
}

static void assert_order(struct tasks *s, const char *expected)
{
    char *order = run_all(s);

    assert_string_equal(order, expected);
    g_free(order);
}

static void test_one_party(void **state)
{
    struct tasks *s = *state;

    add(s, "a", "cab", 0);
    assert_order(s, "cab");
}

static void test_turns(void **state)
{
    struct tasks *s = *state;

    add(s, "one", "abcd", 0);
    add(s, "two", "xy", 0);
    add(s, "three", "m", 0);
    assert_order(s, "axmbycd");
}

static void test_late_party(void **state)
{
    struct tasks *s = *state;

    add(s, "one", "abcde", 0);
    assert_int_equal(start(s), 'a');
    add(s, "two", "x", 0);
    assert_int_equal(serve_fair_position(s->queue, &s->task['x' - 'a']), 1);
    end(s, 'a');
    assert_order(s, "xbcde");
}

/* Ever new parties do not keep one that waits from its turn. */
static void test_no_starvation(void **state)
{
    struct tasks *s = *state;
    char name[] = "0";

    add(s, "one", "ab", 0);
    assert_int_equal(start(s), 'a');
    end(s, 'a');
    for (char c = 'k'; c < 'z'; c++, name[0]++) {
        char next;

        add(s, name, (char[]){c, 0}, 0);
        next = start(s);
        end(s, next);
        if (next == 'b')
            return;
    }
    fail_msg("b never starts");
}

static void test_fewest_running(void **state)
{
    struct tasks *s = *state;

    add(s, "one", "abcd", 0);
    assert_int_equal(start(s), 'a');
    assert_int_equal(start(s), 'b');
    add(s, "two", "xyz", 0);
    assert_int_equal(start(s), 'x');
    assert_int_equal(start(s), 'y'); /* one has 2, two had 1 */
    end(s, 'a');
    assert_int_equal(start(s), 'c');
}

static void test_limit(void **state)
{
    struct tasks *s = *state;
    unsigned waiting, running;

    add(s, "one", "abc", 1);
    assert_int_equal(start(s), 'a');
    assert_int_equal(start(s), '-');
    serve_fair_count(s->queue, "one", &waiting, &running);
    assert_int_equal(waiting, 2);
    assert_int_equal(running, 1);
    add(s, "two", "x", 0);
    assert_int_equal(start(s), 'x');
    end(s, 'a');
    assert_int_equal(start(s), 'b');
}

static void test_retry(void **state)
{
    struct tasks *s = *state;

    add(s, "one", "ab", 0);
    add(s, "two", "x", 0);
    assert_int_equal(start(s), 'a');
    serve_fair_retry(s->queue, &s->task[0]);
    assert_int_equal(serve_fair_waiting(s->queue), 3);
    assert_order(s, "xab");
}

static void test_remove(void **state)
{
    struct tasks *s = *state;
    unsigned waiting, running;

    add(s, "one", "abc", 0);
    add(s, "two", "x", 0);
    end(s, 'b');
    end(s, 'x');
    end(s, 'x'); /* has no effect */
    assert_int_equal(serve_fair_waiting(s->queue), 2);
    serve_fair_count(s->queue, "two", &waiting, &running);
    assert_int_equal(waiting + running, 0);
    add(s, "two", "x", 0);
    assert_order(s, "axc");
}

/* The places told are those at which the tasks then start. */
static void test_positions(void **state)
{
    struct tasks *s = *state;
    char expected[TASKS + 1] = "";
    char *order;

    add(s, "one", "abcde", 0);
    add(s, "two", "klm", 0);
    assert_int_equal(start(s), 'a');
    add(s, "three", "xyz", 0);
    for (int i = 0; i < TASKS; i++) {
        unsigned at = serve_fair_position(s->queue, &s->task[i]);

        if (at)
            expected[at - 1] = (char)('a' + i);
    }
    end(s, 'a');
    order = run_all(s);
    assert_string_equal(order, expected);
    assert_int_equal(strlen(order), 10);
    g_free(order);
}

int main(void)
{
#define TEST(sentence, function)                                                       \
    {                                                                                  \
        sentence, function, set_up, tear_down, NULL                                    \
    }
    const struct CMUnitTest tests[] = {
        TEST("the tasks of one party start in the order of their arrival",
             test_one_party),
        TEST("parties take turns", test_turns),
        TEST("a party that comes late is before one that has a task running",
             test_late_party),
        TEST("ever new parties do not keep an earlier one waiting", test_no_starvation),
        TEST("a party with fewer running tasks is first", test_fewest_running),
        TEST("a party has at most so many running tasks as its limit", test_limit),
        TEST("a task that is tried again is before the others of its party",
             test_retry),
        TEST("a removed task never starts, and its party is forgotten", test_remove),
        TEST("tasks start at the places that are told", test_positions),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
