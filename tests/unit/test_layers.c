/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "unit.h"

#include <string.h>

#include "model/layers.h"

static struct nst_layer one(const char *name)
{
    struct nst_layers t;
    struct nst_err err;

    assert_int_equal(nst_layers_parse(&t, name, &err), NST_OK);
    assert_int_equal(t.count, 1);
    return t.layer[0];
}

static void both_schemes_name_the_same_layers(void **state)
{
    static const char *const vgg[NST_VGG_CONVS] = {
        "1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "3_4",
        "4_1", "4_2", "4_3", "4_4", "5_1", "5_2", "5_3", "5_4"};
    char name[32];

    (void)state;
    for (int i = 0; i < NST_VGG_CONVS; i++) {
        snprintf(name, sizeof name, "conv_%d", i + 1);
        assert_int_equal(one(name).conv, i);
        assert_false(one(name).after_relu);
        snprintf(name, sizeof name, "conv%s", vgg[i]);
        assert_int_equal(one(name).conv, i);
        assert_false(one(name).after_relu);
        snprintf(name, sizeof name, "relu%s", vgg[i]);
        assert_int_equal(one(name).conv, i);
        assert_true(one(name).after_relu);
    }
}

static void what_is_no_layer_is_refused(void **state)
{
    static const char *const bad[] = {"",          "conv",          "conv_0",
                                      "conv_17",   "conv_1x",       "relu_4",
                                      "relu1_3",   "relu6_1",       "conv0_1",
                                      "conv_-1",   "conv_ 1",       "conv_1,",
                                      ",conv_1",   "conv_1:",       "conv_1:nan",
                                      "conv_1:-1", "conv_1:inf",    "conv_1,conv1_1",
                                      "Conv_1",    "conv_1:1:2",    "conv_4294967297",
                                      "relu4_2 ",  "conv_1 conv_2", "pool_1"};
    struct nst_layers t;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct nst_err err = {0};

        t.count = -7;
        assert_int_equal(nst_layers_parse(&t, bad[i], &err), NST_ERR_ARG);
        assert_int_equal(t.count, -7);
        assert_true(strlen(err.text) > 0);
    }
}

static void weights_are_read_and_written(void **state)
{
    struct nst_layers t;
    struct nst_err err;
    char text[200];

    (void)state;
    assert_int_equal(nst_layers_parse(&t, "conv_1:0.5,relu4_2,conv2_1:0", &err),
                     NST_OK);
    assert_true(t.layer[0].weight == 0.5 && t.layer[1].weight == 1 &&
                t.layer[2].weight == 0);
    nst_layers_format(&t, text, sizeof text);
    assert_string_equal(text, "conv1_1:0.5,relu4_2,conv2_1:0");
    nst_layers_format(&t, text, 5);
    assert_string_equal(text, "conv");
}

static void pools_follow_the_blocks(void **state)
{
    (void)state;
    for (int i = 0; i < NST_VGG_CONVS; i++)
        assert_int_equal(nst_conv_pool_follows(i),
                         i == 1 || i == 3 || i == 7 || i == 11 || i == 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("both naming schemes name the same layers",
             both_schemes_name_the_same_layers),
        SAYS("what is no layer, or a bad list, is refused",
             what_is_no_layer_is_refused),
        SAYS("weights are read and written", weights_are_read_and_written),
        SAYS("a pool follows each block", pools_follow_the_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
