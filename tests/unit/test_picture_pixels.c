/* SPDX-License-Identifier: MIT */
/* test_picture_pixels.c - samples, colour spaces and sizes. */
#include "config.h"

#include "picture.h"

#include <math.h>

#include "image/source_info.h"

static void samples_equal(const char *a, const char *b)
{
    size_t na, nb;
    void *pa = samples_of(a, &na), *pb = samples_of(b, &nb);

    assert_int_equal(na, nb);
    assert_memory_equal(pa, pb, na);
    g_free(pa);
    g_free(pb);
}

static void an_8_bit_sample_v_is_exactly_v_over_255(void **state)
{
    struct nst_picture *p =
        load(put(make(3, 8, VIPS_INTERPRETATION_sRGB), "a.png"), &native);

    (void)state;
    assert_int_equal(p->width, W);
    assert_int_equal(p->height, H);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < W * H; i++)
            assert_true(p->rgb[c * W * H + i] ==
                        (float)sample(i % W, i / W, c) / 255.0f);
    nst_picture_free(p);
}

static void sixteen_bits_and_alpha_survive_a_round_trip_bit_for_bit(void **state)
{
    static const char *const names[] = {"b.png", "b.tif"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const char *from = put(make(4, 16, VIPS_INTERPRETATION_RGB16), names[i]);
        const char *to = in_folder(i ? "b2.tif" : "b2.png");
        struct nst_picture *p = load(from, &native);
        VipsImage *b;

        save(p, to, "{}");
        b = reopen(to);
        assert_int_equal(b->BandFmt, VIPS_FORMAT_USHORT);
        g_object_unref(b);
        samples_equal(from, to);
        nst_picture_free(p);
    }
}

static void a_16_bit_source_becomes_8_bits_rounded_where_the_format_has_no_more(
    void **state)
{
    struct nst_picture *p =
        load(put(make(3, 16, VIPS_INTERPRETATION_RGB16), "c.png"), &native);
    VipsImage *b;
    uint8_t *got;
    size_t n;

    (void)state;
    save(p, in_folder("c.gif"), NULL);
    save(p, in_folder("c.jpg"), NULL);
    b = reopen(in_folder("c.jpg"));
    assert_int_equal(b->BandFmt, VIPS_FORMAT_UCHAR);
    got = vips_image_write_to_memory(b, &n);
    for (int i = 0; i < W * H; i++)
        assert_in_range(got[i * 3] + 256 - (int)lrintf(p->rgb[i] * 255), 200, 312);
    g_free(got);
    g_object_unref(b);
    nst_picture_free(p);
}

static void floats_are_rounded_to_the_nearest_sample_and_clamped(void **state)
{
    static const float in[] = {-1, 0.49f / 255, 0.51f / 255, 254.6f / 255, 7, NAN};
    static const int want[] = {0, 0, 1, 255, 255, 0};
    struct nst_picture *p =
        load(put(make(3, 8, VIPS_INTERPRETATION_sRGB), "d.png"), &native);
    uint8_t *got;
    size_t n;

    (void)state;
    memcpy(p->rgb, in, sizeof in);
    save(p, in_folder("d2.png"), NULL);
    got = samples_of(in_folder("d2.png"), &n);
    for (int i = 0; i < 6; i++)
        assert_int_equal(got[i * 3], want[i]);
    g_free(got);
    nst_picture_free(p);
}

static void grey_becomes_three_equal_planes(void **state)
{
    struct nst_picture *p =
        load(put(make(1, 8, VIPS_INTERPRETATION_B_W), "e.png"), &native);

    (void)state;
    assert_true(p->rgb[5] == (float)sample(5, 0, 0) / 255.0f);
    assert_memory_equal(p->rgb, p->rgb + W * H, W * H * sizeof *p->rgb);
    assert_memory_equal(p->rgb, p->rgb + 2 * W * H, W * H * sizeof *p->rgb);
    nst_picture_free(p);
}

static void cmyk_is_taken_and_its_result_says_srgb(void **state)
{
    VipsImage *rgb = make(3, 8, VIPS_INTERPRETATION_sRGB), *cmyk, *back;
    struct nst_picture *p;
    const void *profile;
    size_t n;

    (void)state;
    assert_int_equal(vips_icc_transform(rgb, &cmyk, "cmyk", NULL), 0);
    g_object_unref(rgb);
    p = load(put(cmyk, "f.tif"), &native);
    save(p, in_folder("f.png"), NULL);
    back = reopen(in_folder("f.png"));
    assert_int_equal(back->Bands, 3);
    assert_int_equal(vips_image_get_blob(back, VIPS_META_ICC_NAME, &profile, &n), 0);
    assert_memory_equal((const char *)profile + 16, "RGB ", 4);
    g_object_unref(back);
    nst_picture_free(p);
}

static void a_profile_is_converted_to_srgb_and_back_and_embedded_again(void **state)
{
    VipsImage *rgb = make(3, 16, VIPS_INTERPRETATION_RGB16), *p3, *a, *b;
    struct nst_picture *p, *again;
    const void *was, *is;
    size_t n, m;

    (void)state;
    assert_int_equal(vips_icc_transform(rgb, &p3, "p3", "depth", 16, NULL), 0);
    g_object_unref(rgb);
    p = load(put(p3, "g.png"), &native);
    save(p, in_folder("g2.png"), NULL);
    a = reopen(in_folder("g.png"));
    b = reopen(in_folder("g2.png"));
    assert_int_equal(vips_image_get_blob(a, VIPS_META_ICC_NAME, &was, &n), 0);
    assert_int_equal(vips_image_get_blob(b, VIPS_META_ICC_NAME, &is, &m), 0);
    assert_int_equal(n, m);
    assert_memory_equal(was, is, n);
    again = load(in_folder("g2.png"), &native);
    for (int i = 0; i < 3 * W * H; i++)
        assert_true(fabsf(again->rgb[i] - p->rgb[i]) < 0.5f / 255);
    g_object_unref(a);
    g_object_unref(b);
    nst_picture_free(again);
    nst_picture_free(p);
}

static void a_display_p3_colour_is_the_known_srgb_one_and_comes_back(void **state)
{
    VipsImage *image, *back;
    struct nst_picture *p;
    double red[3] = {128, 64, 64}, *px;
    int n;

    (void)state;
    assert_int_equal(vips_black(&back, W, H, "bands", 3, NULL), 0);
    image = vips_image_new_from_image(back, red, 3);
    g_object_unref(back);
    image->Type = VIPS_INTERPRETATION_sRGB;
    p = load(put(with_p3(image), "P.png"), &native);
    /* By the published primaries of both spaces. */
    assert_true(fabsf(p->rgb[0] * 255 - 137.68f) < 0.5f);
    assert_true(fabsf(p->rgb[W * H] * 255 - 59.42f) < 0.5f);
    assert_true(fabsf(p->rgb[2 * W * H] * 255 - 61.91f) < 0.5f);
    save(p, in_folder("P2.png"), NULL);
    back = reopen(in_folder("P2.png"));
    assert_int_equal(vips_getpoint(back, &px, &n, 3, 3, NULL), 0);
    assert_true(px[0] == 128 && px[1] == 64 && px[2] == 64);
    g_free(px);
    /* A format without profiles gets plain sRGB. */
    save(p, in_folder("P.ppm"), NULL);
    g_object_unref(back);
    back = reopen(in_folder("P.ppm"));
    assert_int_equal(vips_getpoint(back, &px, &n, 3, 3, NULL), 0);
    assert_int_equal((int)px[0], lrintf(p->rgb[0] * 255));
    g_free(px);
    g_object_unref(back);
    nst_picture_free(p);
}

static void an_srgb_profile_and_a_broken_one_leave_samples_exact(void **state)
{
    char junk[300];
    VipsBlob *srgb;

    (void)state;
    memset(junk, 'x', sizeof junk);
    assert_int_equal(vips_profile_load("srgb", &srgb, NULL), 0);
    for (int broken = 0; broken < 2; broken++) {
        VipsImage *image = make(3, 8, VIPS_INTERPRETATION_sRGB);
        const void *data = junk;
        size_t n = sizeof junk;
        struct nst_picture *p;

        if (!broken)
            data = vips_blob_get(srgb, &n);
        vips_image_set_blob_copy(image, VIPS_META_ICC_NAME, data, n);
        p = load(put(image, "h.tif"), &native);
        for (int i = 0; i < W * H; i++)
            assert_true(p->rgb[i] == (float)sample(i % W, i / W, 0) / 255.0f);
        nst_picture_free(p);
    }
    vips_area_unref(VIPS_AREA(srgb));
}

static void the_longest_side_becomes_n_and_the_other_keeps_the_aspect(void **state)
{
    static const int sizes[] = {20, 33, 80, 101};
    const char *path = put(make(3, 8, VIPS_INTERPRETATION_sRGB), "i.png");

    (void)state;
    for (size_t i = 1; i < 4; i++) {
        struct nst_picture_size size = {sizes[i], false, 0};
        struct nst_picture *p = load(path, &size);

        assert_int_equal(p->width, sizes[i]);
        assert_int_equal(p->height, (int)rint(sizes[i] * (double)H / W));
        nst_picture_free(p);
    }
    refused(path, &(struct nst_picture_size){20, false, 0}, NST_ERR_FORMAT,
            "resized to 20x12 pixels is too small: each side needs at least 16");
}

static void its_own_size_is_no_resampling_at_all(void **state)
{
    const struct nst_picture_size same = {W, false, 0};
    const char *path = put(make(4, 8, VIPS_INTERPRETATION_sRGB), "j.png");
    struct nst_picture *a = load(path, &native), *b = load(path, &same);

    (void)state;
    assert_memory_equal(a->rgb, b->rgb, 3 * W * H * sizeof *a->rgb);
    nst_picture_free(a);
    nst_picture_free(b);
}

static void square_forces_n_x_n(void **state)
{
    const struct nst_picture_size size = {32, true, 0};
    struct nst_picture *p =
        load(put(make(3, 8, VIPS_INTERPRETATION_sRGB), "k.png"), &size);

    (void)state;
    assert_int_equal(p->width, 32);
    assert_int_equal(p->height, 32);
    nst_picture_free(p);
}

static void colours_hidden_under_transparency_do_not_bleed_when_resized(void **state)
{
    static uint8_t px[W * H * 4];
    const struct nst_picture_size size = {W * 3 / 4, false, 0};
    VipsImage *image;
    struct nst_picture *p;
    uint8_t *got;
    size_t n;

    (void)state;
    for (int i = 0; i < W * H; i++) { /* opaque red left, transparent green right */
        px[4 * i] = i % W < W / 2 ? 255 : 0;
        px[4 * i + 1] = i % W < W / 2 ? 0 : 255;
        px[4 * i + 2] = 0;
        px[4 * i + 3] = i % W < W / 2 ? 255 : 0;
    }
    image = vips_image_new_from_memory(px, sizeof px, W, H, 4, VIPS_FORMAT_UCHAR);
    image->Type = VIPS_INTERPRETATION_sRGB;
    p = load(put(image, "l.png"), &size);
    save(p, in_folder("l2.png"), NULL);
    got = samples_of(in_folder("l2.png"), &n);
    for (size_t i = 0; i < n; i += 4)
        if (got[i + 3] > 20)
            assert_true(got[i] > 240 && got[i + 1] < 15);
    g_free(got);
    nst_picture_free(p);
}

static void transparent_parts_are_white_in_a_format_without_alpha(void **state)
{
    VipsImage *rgb = make(3, 8, VIPS_INTERPRETATION_sRGB), *clear;
    struct nst_picture *p, *back;

    (void)state;
    assert_int_equal(vips_bandjoin_const1(rgb, &clear, 0, NULL), 0);
    g_object_unref(rgb);
    p = load(put(clear, "s.png"), &native);
    save(p, in_folder("s.ppm"), NULL);
    back = load(in_folder("s.ppm"), &native);
    for (int i = 0; i < 3 * W * H; i++)
        assert_true(back->rgb[i] == 1);
    nst_picture_free(back);
    nst_picture_free(p);
}

/* 16 bits, alpha, Display P3, and turned: a slope, so that both ways to resize it
 * differ by rounding alone. */
static const char *put_slope(void)
{
    static uint16_t slope[320 * 200 * 4];
    VipsImage *image;

    for (int i = 0; i < 320 * 200; i++)
        for (int c = 0; c < 4; c++)
            slope[4 * i + c] = (uint16_t)(20000 + 90 * (i % 320) + 30 * c * (i / 320));
    image = vips_image_new_from_memory_copy(slope, sizeof slope, 320, 200, 4,
                                            VIPS_FORMAT_USHORT);
    image->Type = VIPS_INTERPRETATION_RGB16;
    vips_image_set_int(image, VIPS_META_ORIENTATION, 6);
    return put(with_p3(image), "slope.tif");
}

static void a_picture_to_look_at_has_the_colours_of_one_to_paint(void **state)
{
    const char *path = put_slope();
    struct nst_picture *paint =
        load(path, &(struct nst_picture_size){.longest = 64, .max_pixels = 1000000});
    struct nst_picture *view =
        load(path, &(struct nst_picture_size){
                       .longest = 64, .max_pixels = 1000000, .for_view = true});

    (void)state;
    assert_int_equal(view->width, 40); /* upright */
    assert_int_equal(view->height, 64);
    for (size_t i = 0; i < (size_t)3 * 40 * 64; i++)
        assert_true(fabsf(view->rgb[i] - paint->rgb[i]) < 2.0f / 255);
    for (size_t i = 0; i < (size_t)40 * 64; i++)
        assert_true(fabsf(view->source_info->alpha[i] - paint->source_info->alpha[i]) <
                    2.0f / 255);
    assert_non_null(paint->source_info->beyond);
    assert_null(view->source_info->beyond);
    assert_null(view->small.rgb);
    nst_picture_free(paint);
    nst_picture_free(view);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        SAYS("an 8-bit sample v is exactly v/255",
             an_8_bit_sample_v_is_exactly_v_over_255),
        SAYS("sixteen bits and alpha survive a round trip bit for bit",
             sixteen_bits_and_alpha_survive_a_round_trip_bit_for_bit),
        SAYS("a 16-bit source becomes 8 bits rounded where the format has no more",
             a_16_bit_source_becomes_8_bits_rounded_where_the_format_has_no_more),
        SAYS("floats are rounded to the nearest sample and clamped",
             floats_are_rounded_to_the_nearest_sample_and_clamped),
        SAYS("grey becomes three equal planes", grey_becomes_three_equal_planes),
        SAYS("CMYK is taken and its result says sRGB",
             cmyk_is_taken_and_its_result_says_srgb),
        SAYS("a profile is converted to sRGB and back and embedded again",
             a_profile_is_converted_to_srgb_and_back_and_embedded_again),
        SAYS("a Display P3 colour is the known sRGB one and comes back",
             a_display_p3_colour_is_the_known_srgb_one_and_comes_back),
        SAYS("an sRGB profile and a broken one leave samples exact",
             an_srgb_profile_and_a_broken_one_leave_samples_exact),
        SAYS("the longest side becomes N and the other keeps the aspect",
             the_longest_side_becomes_n_and_the_other_keeps_the_aspect),
        SAYS("a picture at the size asked is not resampled at all",
             its_own_size_is_no_resampling_at_all),
        SAYS("square forces N x N", square_forces_n_x_n),
        SAYS("colours hidden under transparency do not bleed when resized",
             colours_hidden_under_transparency_do_not_bleed_when_resized),
        SAYS("transparent parts are white in a format without alpha",
             transparent_parts_are_white_in_a_format_without_alpha),
        SAYS("a picture to look at has the colours of one to paint",
             a_picture_to_look_at_has_the_colours_of_one_to_paint),
    };

    return RUN_PICTURE_TESTS("pictures: pixels", tests);
}
