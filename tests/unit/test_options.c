/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "unit.h"

#include <string.h>

#include "options/table.h"

static void defaults_are_a_painting(void **state)
{
    struct nst_params p;

    (void)state;
    nst_params_init(&p);
    assert_int_equal(p.size, 512);
    assert_int_equal(p.iterations, 300);
    assert_true(p.style_weight == 7000 && p.content_weight == 3);
    assert_int_equal(p.content_layers.count, 1);
    assert_int_equal(p.content_layers.layer[0].conv, 9); /* relu4_2 */
    assert_true(p.content_layers.layer[0].after_relu);
    assert_true(p.scales.automatic);
    assert_int_equal(p.style_layers.count, 5);
    assert_int_equal(p.max_evaluations, 0);
    nst_params_clear(&p);
}

static void refuse(const char *name, const char *value, const char *message)
{
    struct nst_params p;
    struct nst_err err = {0};

    nst_params_init(&p);
    assert_int_equal(nst_params_set(&p, name, value, &err), NST_ERR_ARG);
    assert_string_equal(err.text, message);
    nst_params_clear(&p);
}

static void a_refusal_names_value_and_range(void **state)
{
    (void)state;
    refuse("size", "7",
           "size: '7' is not a whole number between 16 and 65536, or native");
    refuse("size", "12.5",
           "size: '12.5' is not a whole number between 16 and 65536, or native");
    refuse("size", "",
           "size: '' is not a whole number between 16 and 65536, or native");
    refuse("iterations", "99999999999999999999",
           "iterations: '99999999999999999999' is not a whole number between 1 and "
           "1000000");
    refuse("style-weight", "nan",
           "style-weight: 'nan' is not a number between 0 and 1000000000000");
    refuse("style-weight", "inf",
           "style-weight: 'inf' is not a number between 0 and 1000000000000");
    refuse("style-weight", "-1",
           "style-weight: '-1' is not a number between 0 and 1000000000000");
    refuse("pooling", "ma", "pooling: 'ma' is not one of max|avg");
    refuse("square", "maybe", "square: 'maybe' is neither true nor false");
    refuse("no-such", "1", "'no-such' is not an option");
}

static void a_refused_value_changes_nothing(void **state)
{
    struct nst_params p;
    struct nst_err err;

    (void)state;
    nst_params_init(&p);
    assert_int_equal(nst_params_set(&p, "style-layers", "conv_1,conv_99", &err),
                     NST_ERR_ARG);
    assert_int_equal(p.style_layers.count, 5);
    assert_int_equal(nst_params_set(&p, "size", "1e3", &err), NST_ERR_ARG);
    assert_int_equal(p.size, 512);
    nst_params_clear(&p);
}

static void every_value_reads_back_as_it_was_set(void **state)
{
    const struct nst_option *o;
    struct nst_params a, b;
    struct nst_err err;

    (void)state;
    nst_params_init(&a);
    nst_params_init(&b);
    assert_int_equal(nst_params_set(&a, "style-weight", "0.1", &err), NST_OK);
    assert_int_equal(nst_params_set(&a, "size", "native", &err), NST_OK);
    assert_int_equal(nst_params_set(&a, "pooling", "avg", &err), NST_OK);
    assert_int_equal(nst_params_set(&a, "style-layers", "relu1_1:0.25,conv_16", &err),
                     NST_OK);
    for (size_t i = 0; (o = nst_option(i)); i++) {
        char *text = nst_params_get(&a, o), *again;

        if (!text)
            continue;
        assert_int_equal(nst_params_set(&b, o->name, text, &err), NST_OK);
        again = nst_params_get(&b, o);
        assert_string_equal(text, again);
        free(text);
        free(again);
    }
    nst_params_clear(&a);
    nst_params_clear(&b);
}

/* Sizes are in bytes; suffixes are powers of 1024. */
static void sizes_take_units(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {{"16777216", 16777216},
                {"800M", 838860800},
                {"1.5G", 1610612736},
                {"20480K", 20971520},
                {"auto", 0}};
    static const char *const bad[] = {"",     "G",   "3g", "3GB", "-3G",
                                      "1e99", "nan", "1K", "inf"};
    struct nst_params p;
    struct nst_err err;

    (void)state;
    nst_params_init(&p);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(nst_params_set(&p, "max-memory", good[i].text, &err), NST_OK);
        assert_int_equal(p.max_memory, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(nst_params_set(&p, "max-memory", bad[i], &err), NST_ERR_ARG);
    nst_params_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("the defaults are a painting", defaults_are_a_painting),
        SAYS("a refusal names the value and the range",
             a_refusal_names_value_and_range),
        SAYS("a refused value changes nothing", a_refused_value_changes_nothing),
        SAYS("every value reads back as it was set",
             every_value_reads_back_as_it_was_set),
        SAYS("sizes take units", sizes_take_units),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
