/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "unit.h"

#include <math.h>
#include <string.h>

#include "style/colour_transfer.h"

enum { STYLE = 500, CONTENT = 700 };

/* Planar colours around a mean, well within the range: three waves, mixed by the rows
 * of mix. */
static void fill(float *rgb, size_t n, const double mean[3], const double mix[3][3])
{
    for (size_t i = 0; i < n; i++) {
        double wave[3] = {sin(0.7 * (double)i), sin(1.1 * (double)i + 1),
                          sin(1.9 * (double)i + 2)};

        for (int k = 0; k < 3; k++)
            rgb[k * n + i] = (float)(mean[k] + mix[k][0] * wave[0] +
                                     mix[k][1] * wave[1] + mix[k][2] * wave[2]);
    }
}

static void fill_style(float *rgb)
{
    static const double mean[3] = {0.6, 0.5, 0.3};
    static const double mix[3][3] = {{0.1, 0, 0.02}, {0.05, 0.04, 0}, {-0.03, 0, 0.06}};

    fill(rgb, STYLE, mean, mix);
}

static void fill_content(float *rgb)
{
    static const double mean[3] = {0.4, 0.55, 0.5};
    static const double mix[3][3] = {
        {0.03, 0.06, 0}, {0, 0.08, -0.02}, {0.05, 0.07, 0.03}};

    fill(rgb, CONTENT, mean, mix);
}

static void fill_grey(float *rgb, size_t n)
{
    static const double mean[3] = {0.5, 0.5, 0.5};
    static const double mix[3][3] = {{0.1, 0.05, 0}, {0.1, 0.05, 0}, {0.1, 0.05, 0}};

    fill(rgb, n, mean, mix);
}

static double mean_of(const float *plane, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += plane[i];
    return sum / (double)n;
}

static double covariance(const float *a, const float *b, size_t n)
{
    double sum = 0, mean_a = mean_of(a, n), mean_b = mean_of(b, n);

    for (size_t i = 0; i < n; i++)
        sum += (a[i] - mean_a) * (b[i] - mean_b);
    return sum / (double)n;
}

static void mean_and_covariance_become_the_contents(void **state)
{
    float style[3 * STYLE], content[3 * CONTENT];

    (void)state;
    fill_style(style);
    fill_content(content);
    nst_colour_transfer_match(style, STYLE, content, CONTENT);
    for (int k = 0; k < 3; k++) {
        assert_float_equal(mean_of(style + k * STYLE, STYLE),
                           mean_of(content + k * CONTENT, CONTENT), 1e-6);
        for (int l = 0; l < 3; l++)
            assert_float_equal(
                covariance(style + k * STYLE, style + l * STYLE, STYLE),
                covariance(content + k * CONTENT, content + l * CONTENT, CONTENT),
                1e-7);
    }
}

static void matched_to_itself_a_picture_stays(void **state)
{
    float style[3 * STYLE], same[3 * STYLE];

    (void)state;
    fill_style(style);
    fill_style(same);
    nst_colour_transfer_match(style, STYLE, same, STYLE);
    for (int i = 0; i < 3 * STYLE; i++)
        assert_float_equal(style[i], same[i], 1e-6);
}

/* Rotate the channels: red to green, green to blue, blue to red. */
static void turn(float *to, const float *from, size_t n)
{
    for (size_t k = 0; k < 3; k++)
        memcpy(to + (k + 1) % 3 * n, from + k * n, n * sizeof *to);
}

static void no_channel_comes_first(void **state)
{
    float style[3 * STYLE], content[3 * CONTENT];
    float turned_style[3 * STYLE], turned_content[3 * CONTENT], expected[3 * STYLE];

    (void)state;
    fill_style(style);
    fill_content(content);
    turn(turned_style, style, STYLE);
    turn(turned_content, content, CONTENT);
    nst_colour_transfer_match(style, STYLE, content, CONTENT);
    nst_colour_transfer_match(turned_style, STYLE, turned_content, CONTENT);
    turn(expected, style, STYLE);
    for (int i = 0; i < 3 * STYLE; i++)
        assert_float_equal(turned_style[i], expected[i], 1e-6);
}

static void a_grey_photograph_makes_a_grey_style(void **state)
{
    float style[3 * STYLE], content[3 * CONTENT];

    (void)state;
    fill_style(style);
    fill_grey(content, CONTENT);
    nst_colour_transfer_match(style, STYLE, content, CONTENT);
    for (int i = 0; i < STYLE; i++) {
        assert_float_equal(style[i], style[STYLE + i], 1e-6);
        assert_float_equal(style[i], style[2 * STYLE + i], 1e-6);
    }
    assert_float_equal(covariance(style, style, STYLE),
                       covariance(content, content, CONTENT), 1e-6);
}

static void a_grey_style_gets_one_ramp_of_colours_and_no_noise(void **state)
{
    float style[3 * STYLE], content[3 * CONTENT], grey[3 * STYLE];

    (void)state;
    fill_grey(style, STYLE);
    fill_grey(grey, STYLE);
    fill_content(content);
    nst_colour_transfer_match(style, STYLE, content, CONTENT);
    for (int k = 0; k < 3; k++) {
        const float *plane = style + k * STYLE;
        double slope = covariance(plane, grey, STYLE) / covariance(grey, grey, STYLE);

        assert_true(slope > 0.1);
        for (int i = 0; i < STYLE; i++)
            assert_float_equal(plane[i],
                               mean_of(content + k * CONTENT, CONTENT) +
                                   slope * (grey[i] - mean_of(grey, STYLE)),
                               1e-5);
    }
}

static void of_one_colour_it_becomes_the_photographs_mean(void **state)
{
    float style[3 * STYLE], content[3 * CONTENT], one[3] = {0.25f, 0.5f, 0.75f};

    (void)state;
    for (int i = 0; i < 3 * STYLE; i++)
        style[i] = one[i / STYLE];
    fill_content(content);
    nst_colour_transfer_match(style, STYLE, content, CONTENT);
    for (int i = 0; i < 3 * STYLE; i++)
        assert_float_equal(style[i], mean_of(content + i / STYLE * CONTENT, CONTENT),
                           1e-5);
    fill_style(style);
    nst_colour_transfer_match(style, STYLE, one, 1);
    for (int i = 0; i < 3 * STYLE; i++)
        assert_float_equal(style[i], one[i / STYLE], 1e-5);
}

static void the_luma_stays_and_the_rest_is_the_contents(void **state)
{
    float rgb[3] = {0.7f, 0.6f, 0.5f}, content[3] = {0.2f, 0.3f, 0.4f};
    double luma = 0.299 * 0.7 + 0.587 * 0.6 + 0.114 * 0.5;

    (void)state;
    nst_colour_transfer_luma(rgb, content, 1);
    assert_float_equal(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2], luma, 1e-6);
    assert_float_equal(rgb[1] - rgb[0], 0.1, 1e-6);
    assert_float_equal(rgb[2] - rgb[0], 0.2, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("mean and covariance of matched colours become the content's",
             mean_and_covariance_become_the_contents),
        SAYS("matched to itself, a picture stays as it is",
             matched_to_itself_a_picture_stays),
        SAYS("no channel comes first: turned colours are matched alike",
             no_channel_comes_first),
        SAYS("a grey photograph makes a grey style",
             a_grey_photograph_makes_a_grey_style),
        SAYS("a grey style gets one ramp of colours, and no noise",
             a_grey_style_gets_one_ramp_of_colours_and_no_noise),
        SAYS("a style of one colour becomes the photograph's mean, and the reverse",
             of_one_colour_it_becomes_the_photographs_mean),
        SAYS("kept colours: the luma of the result, the rest of the photograph",
             the_luma_stays_and_the_rest_is_the_contents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
