/* SPDX-License-Identifier: MIT */
/* test_picture_load.c - pictures that are read, and files that are refused. */
#include "config.h"

#include "picture.h"

#include <fcntl.h>

static void orientation_is_applied_and_its_tag_is_gone(void **state)
{
    VipsImage *image = make(3, 8, VIPS_INTERPRETATION_sRGB), *back;
    struct nst_picture *p;

    (void)state;
    vips_image_set_int(image, VIPS_META_ORIENTATION, 6);
    vips_image_set_string(image, "exif-ifd0-Artist", "Ada");
    p = load(put(image, "m.jpg"), &native);
    assert_int_equal(p->width, H);
    assert_int_equal(p->height, W);
    save(p, in_folder("m2.jpg"), NULL);
    back = reopen(in_folder("m2.jpg"));
    assert_int_equal(vips_image_get_orientation(back), 1);
    assert_int_equal(back->Xsize, H);
    g_object_unref(back);
    nst_picture_free(p);
}

static void a_drawing_is_drawn_at_the_size_asked(void **state)
{
    static const char svg[] =
        "<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'>"
        "<rect width='5' height='10' fill='#f00'/></svg>";
    const char *path = put_bytes(svg, sizeof svg - 1, "t.svg");
    const struct nst_picture_size size = {200, false, 0};
    struct nst_picture *p;

    (void)state;
    if (!vips_type_find("VipsOperation", "svgload"))
        skip();
    p = load(path, &size);
    assert_int_equal(p->width, 200);
    /* Enlarged pixels would blur the edge at x = 100. */
    assert_true(p->rgb[50 * 200 + 99] == 1);
    nst_picture_free(p);
    refused(path, &native, NST_ERR_FORMAT, "10x10 pixels is too small");
}

static void what_is_no_picture_is_refused_in_one_clear_line(void **state)
{
    (void)state;
    refused(in_folder("none.png"), &native, NST_ERR_ARG, "No such file or directory");
    refused(folder, &native, NST_ERR_ARG, "is a directory");
    refused("", &native, NST_ERR_ARG, "the image's name is empty");
    refused(put_bytes("", 0, "u0.png"), &native, NST_ERR_FORMAT, "is empty");
    refused(put_bytes("hello, world\n", 13, "u1.png"), &native, NST_ERR_FORMAT,
            "u1.png: is not an image that can be read");
    refused(put_bytes("2 2\n1 2\n3 4\n", 12, "u2.png"), &native, NST_ERR_FORMAT,
            "is not an image that can be read");
}

static void a_truncated_file_is_refused(void **state)
{
    static const char *const names[] = {"v.jpg", "v.png", "v.tif", "v.webp"};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const char *path = put(make(3, 8, VIPS_INTERPRETATION_sRGB), names[i]);
        size_t n;
        char *all = slurp(path, &n);

        /* A TIFF keeps its header at the end, so half of one is no TIFF at all. */
        refused(put_bytes(all, n * 2 / 3, names[i]), &native, NST_ERR_FORMAT,
                i == 2 ? "is not an image that can be read"
                       : "is damaged or cut short");
        g_free(all);
    }
}

static void a_huge_png_header_is_refused_by_size_before_decoding(void **state)
{
    /* 40000 x 40000 x 8 bit RGB, and nothing after the header. */
    static const unsigned char png[] =
        "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x9c\x40\0\0\x9c\x40\x08\x02\0\0\0";
    const struct nst_picture_size size = {512, false, 200000000};

    (void)state;
    refused(put_bytes(png, sizeof png - 1, "w.png"), &size, NST_ERR_FORMAT,
            "w.png: 40000x40000 pixels is too large: at most 200000000");
}

static void sides_below_16_pixels_are_refused(void **state)
{
    VipsImage *dot;

    (void)state;
    assert_int_equal(vips_black(&dot, 1, 1, NULL), 0);
    refused(put(dot, "x.png"), &native, NST_ERR_FORMAT,
            "x.png: 1x1 pixels is too small: each side needs at least 16");
}

static void a_pipe_can_be_read_in_any_format(void **state)
{
    static const char *const names[] = {"y.png", "y.tif", "y.jpg"};
    int old = dup(STDIN_FILENO);

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t n;
        char *all = slurp(put(make(3, 8, VIPS_INTERPRETATION_sRGB), names[i]), &n);
        int ends[2];
        struct nst_picture *p;

        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], all, n), (ssize_t)n);
        close(ends[1]);
        dup2(ends[0], STDIN_FILENO);
        close(ends[0]);
        p = load("-", &native);
        assert_int_equal(p->width, W);
        nst_picture_free(p);
        refused("-", &native, NST_ERR_FORMAT, "standard input: is empty");
        g_free(all);
    }
    dup2(old, STDIN_FILENO);
    close(old);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        SAYS("orientation is applied and its tag is gone",
             orientation_is_applied_and_its_tag_is_gone),
        SAYS("a drawing is drawn at the size asked",
             a_drawing_is_drawn_at_the_size_asked),
        SAYS("what is no picture is refused in one clear line",
             what_is_no_picture_is_refused_in_one_clear_line),
        SAYS("a truncated file is refused", a_truncated_file_is_refused),
        SAYS("a huge PNG header is refused by size before decoding",
             a_huge_png_header_is_refused_by_size_before_decoding),
        SAYS("sides below 16 pixels are refused", sides_below_16_pixels_are_refused),
        SAYS("a pipe can be read in any format", a_pipe_can_be_read_in_any_format),
    };

    return RUN_PICTURE_TESTS("pictures: load", tests);
}
