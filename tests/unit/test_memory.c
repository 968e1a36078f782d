/* SPDX-License-Identifier: MIT */
/*
 * A whole run with one failing allocation of picture size: first the first fails, then
 * the second, and so on. Each failure must return NST_ERR_MEM, and AddressSanitizer
 * checks that nothing leaks.
 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <string.h>

#include "run/plan.h"

int __real_posix_memalign(void **out, size_t alignment, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);

static long until_failure = -1; /* -1: never */

int __wrap_posix_memalign(void **out, size_t alignment, size_t size)
{
    if (until_failure == 0)
        return ENOMEM;
    if (until_failure > 0)
        until_failure--;
    return __real_posix_memalign(out, alignment, size);
}

static enum nst_status run(const struct nst_params *p, struct nst_err *err)
{
    static float pixels[3 * 24 * 24];
    static float x[3 * 24 * 24];
    struct nst_image image = {pixels, 24, 24};
    struct nst_size size = {24, 24};
    const struct nst_run_events events = {NULL};
    struct nst_reporter reporter = {.events = &events};
    struct nst_job_result result = {0};
    struct nst_session *s;
    struct nst_plan plan;
    struct nst_job *job = NULL;
    enum nst_status st;

    for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++)
        x[i] = pixels[i] = (float)(i * 7919 % 256) / 255;
    st = nst_session_new(&s, p, err);
    if (st != NST_OK)
        return st;
    st = nst_plan_make(&plan, s, p, (struct nst_baseline){0}, size, size, err);
    if (st == NST_OK)
        st = nst_job_new(
            &job, s, p, &plan, image,
            &(struct nst_style){&(struct nst_style_image){image, .weight = 1}, 1}, err);
    if (st == NST_OK)
        st = nst_job_run(job, x, (struct nst_job_limits){p->iterations, INT64_MAX},
                         &reporter, &result, err);
    nst_job_free(job);
    nst_session_free(s);
    return st;
}

static void fail_each(const char *option, const char *value)
{
    struct nst_params p;
    struct nst_err err;
    long n;

    nst_params_init(&p);
    assert_int_equal(nst_params_set(&p, "model", MODEL, &err), NST_OK);
    assert_int_equal(nst_params_set(&p, "iterations", "2", &err), NST_OK);
    assert_int_equal(nst_params_set(&p, "curvature-pairs", "2", &err), NST_OK);
    assert_int_equal(nst_params_set(&p, option, value, &err), NST_OK);
    for (n = 0;; n++) {
        enum nst_status st;

        memset(&err, 0, sizeof err);
        until_failure = n;
        st = run(&p, &err);
        if (st == NST_OK)
            break;
        assert_int_equal(st, NST_ERR_MEM);
        assert_non_null(strstr(err.text, "out of memory"));
        assert_int_equal(until_failure, 0);
    }
    until_failure = -1;
    assert_true(n > 20);
    nst_params_clear(&p);
}

static void default_optimiser(void **state)
{
    (void)state;
    fail_each("optimiser", "lbfgs");
}

static void adam(void **state)
{
    (void)state;
    fail_each("optimiser", "adam");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("every allocation of a run may fail", default_optimiser),
        SAYS("every allocation of a run by Adam may fail", adam),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
