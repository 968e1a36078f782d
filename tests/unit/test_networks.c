/* SPDX-License-Identifier: MIT */
/* Networks that are VGG19s, and those that are not, by the names of their tensors and
 * by the pictures that they expect. */
#include "config.h"

#include "unit.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "model/input.h"
#include "model/vgg_names.h"

#define LITE "models/vgg19-lite.safetensors"
#define FULL "../shared/weights/vgg19-conv5_1.safetensors"

/* Names of weights and biases: a pattern and the numbers that it is filled with. */
static struct nst_vgg_names names;
static struct nst_err err;

static enum nst_status find(const char *pattern, const char *numbers, const char *other)
{
    char text[128][64], list[256];
    const char *name[128];
    size_t n = 0;

    snprintf(list, sizeof list, "%s", numbers);
    for (char *at = strtok(list, " "); at; at = strtok(NULL, " "))
        for (int bias = 0; bias < 2; bias++) {
            snprintf(text[n], sizeof text[n], pattern, at, bias ? "bias" : "weight");
            name[n] = text[n];
            n++;
        }
    if (other)
        name[n++] = other;
    nst_vgg_names_clear(&names);
    return nst_vgg_names_find(&names, "x", name, n, &err);
}

#define VGG19 "0 2 5 7 10 12 14 16 19 21 23 25 28 30 32 34"
#define VGG16 "0 2 5 7 10 12 14 17 19 21 24 26 28"
#define VGG13 "0 2 5 7 10 12 15 17 20 22"
#define VGG11 "0 3 6 8 11 13 16 18"
#define BLOCKS_123 "1_1 1_2 2_1 2_2 3_1 3_2 3_3"

static void a_vgg19_is_recognised_by_any_of_its_names(void **state)
{
    (void)state;
    assert_int_equal(find("features.%s.%s", VGG19, NULL), NST_OK);
    assert_int_equal(names.convs, 16);
    assert_null(names.left_out);
    assert_int_equal(find("module.vgg.features.%s.%s", "0 2 5", NULL), NST_OK);
    assert_int_equal(names.convs, 3);
    assert_int_equal(find("%s.%s", VGG19, NULL), NST_OK);
    assert_int_equal(names.convs, 16);
    assert_int_equal(find("vgg.%s.%s", "0 2 5 7 10 12 14 16", NULL), NST_OK);
    assert_int_equal(names.convs, 8);
    assert_int_equal(find("conv%s.%s", BLOCKS_123 " 3_4 4_1", NULL), NST_OK);
    assert_int_equal(names.convs, 9);
    assert_int_equal(find("features.%s.%s", "0", "classifier.6.weight"), NST_OK);
    assert_string_equal(names.left_out, "1 tensor: classifier.6.weight");
}

static void another_network_is_named(void **state)
{
    static const struct {
        const char *pattern, *numbers, *other, *message;
    } bad[] = {
        {"features.%s.%s", VGG16, NULL, "x: is a VGG16;"},
        {"%s.%s", VGG16, NULL, "x: is a VGG16;"},
        {"net.features.%s.%s", "0 2 5 7 10 12 14 17", NULL, "x: is a VGG16;"},
        {"features.%s.%s", VGG13, NULL, "x: is a VGG13;"},
        {"features.%s.%s", VGG11, "classifier.0.weight", "x: is a VGG11;"},
        {"conv%s.%s", BLOCKS_123 " 4_1 4_2", NULL, "x: is a VGG16;"},
        {"conv%s.%s", "1_1 2_1 3_1", NULL, "x: is a VGG11;"},
        {"features.%s.%s", "0 1 3 4 7 8 10 11 14 15 17 18 20 21 23 24", NULL,
         "x: is a VGG19 with batch normalisation;"},
        {"features.%s.%s", "0 1 3 4 7 8 10 11 14 15 17 18 20 21 24 25", NULL,
         "x: is a VGG16 with batch normalisation;"},
        {"features.%s.%s", "0 1 4 5", NULL, "x: is a VGG11 with batch normalisation;"},
        /* AlexNet, SqueezeNet, a VGG19 with a gap, one that is longer, a ResNet */
        {"features.%s.%s", "0 3 6 8 10", NULL,
         "it has features.3.weight, but no features.2.weight;"},
        {"features.%s.%s", "0", "features.3.squeeze.weight",
         "it has features.3.squeeze.weight, but no features.2.weight;"},
        {"features.%s.%s", "0 2 5 10", NULL,
         "it has features.10.weight, but no features.7.weight;"},
        {"features.%s.%s", VGG19 " 36", NULL, "it has features.36.weight;"},
        {"layer2.0.downsample.%s.%s", "0", "conv1.weight", "it has none of features.0"},
        {"classifier.%s.%s", "0 3 6", NULL, "it has none of features.0.weight"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(find(bad[i].pattern, bad[i].numbers, bad[i].other),
                         NST_ERR_FORMAT);
        if (!strstr(err.text, bad[i].message) || !strstr(err.text, "fetch-model"))
            fail_msg("'%s' does not say '%s'", err.text, bad[i].message);
    }
}

/* Turn a network's input into levels of 255 less Caffe's mean, and into BGR if bgr. */
static void to_caffe(struct nst_layer_weights *l, bool bgr)
{
    static const double mean[] = {123.68, 116.779, 103.939};

    for (int k = 0; k < l->cout; k++) {
        float *w = l->weight + 27 * k, copy[27];

        for (int i = 0; i < 27; i++) {
            int c = i / 9;

            w[i] = (float)(w[i] / (255 * (double)nst_input_imagenet.deviation[c]));
            l->bias[k] +=
                (float)(w[i] * (mean[c] - 255.0 * nst_input_imagenet.mean[c]));
        }
        memcpy(copy, w, sizeof copy);
        for (int i = 0; i < 27; i++)
            w[i] = copy[bgr ? (2 - i / 9) * 9 + i % 9 : i];
    }
}

static void check_input(const char *file)
{
    for (int bgr = 0; bgr < 2; bgr++) {
        enum nst_input input = bgr ? NST_INPUT_BGR255 : NST_INPUT_RGB255;
        struct nst_weights *w, *original;
        float *a, *b;

        assert_int_equal(nst_weights_load(&w, file, 1, NULL), NST_OK);
        assert_int_equal(nst_weights_load(&original, file, 1, NULL), NST_OK);
        assert_int_equal(nst_input_guess(w), NST_INPUT_RGB);
        to_caffe(&w->conv[0], bgr);
        assert_int_equal(nst_input_guess(w), input);
        nst_input_convert(w, input);
        assert_int_equal(nst_input_guess(w), NST_INPUT_RGB);
        a = w->conv[0].weight;
        b = original->conv[0].weight;
        for (int i = 0; i < 27 * w->conv[0].cout; i++)
            assert_true(fabsf(a[i] - b[i]) <= 1e-6f);
        for (int k = 0; k < w->conv[0].cout; k++)
            assert_true(fabsf(w->conv[0].bias[k] - original->conv[0].bias[k]) <= 1e-5f);
        nst_weights_free(w);
        nst_weights_free(original);
    }
}

static void a_network_of_caffe_is_recognised_and_rewritten(void **state)
{
    const char *srcdir = getenv("srcdir");
    char *lite = nst_xasprintf("%s/%s", srcdir ? srcdir : ".", LITE);
    char *full = nst_xasprintf("%s/%s", srcdir ? srcdir : ".", FULL);

    (void)state;
    check_input(lite);
    if (access(full, R_OK) == 0)
        check_input(full);
    else
        print_message("# %s is not there: only the small network was tested\n", full);
    free(lite);
    free(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("a VGG19 is recognised by any of its names",
             a_vgg19_is_recognised_by_any_of_its_names),
        SAYS("another network is named", another_network_is_named),
        SAYS("a network of Caffe's is recognised and rewritten",
             a_network_of_caffe_is_recognised_and_rewritten),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    nst_vgg_names_clear(&names);
    return failed;
}
