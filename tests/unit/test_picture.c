/* SPDX-License-Identifier: MIT */
/* test_picture.c - pictures in and out, on small ones made here by libvips. */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vips/vips.h>

#include "base/alloc.h"
#include "image/load.h"
#include "image/metadata.h"
#include "image/pixels.h"
#include "image/save.h"
#include "unit.h"

#define W 40
#define H 24

static char *folder;
static struct nst_err err;
static const struct nst_picture_size native;

/* A path in the test's own folder; the last four asked for stay valid. */
static const char *in_folder(const char *name)
{
    static char paths[4][4096];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* Sample c of pixel (x, y) of every picture made here, 0 to 255. */
static int sample(int x, int y, int c)
{
    return (x * 5 + y * 3 + c * 67 + (c == 3 ? x * y : 0)) % 256;
}

/* bands x bits (8 or 16) of sample(), in memory. */
static VipsImage *make(int bands, int bits, VipsInterpretation type)
{
    static uint8_t narrow[W * H * 5];
    static uint16_t wide[W * H * 5];
    VipsImage *image;

    for (int i = 0; i < W * H; i++)
        for (int c = 0; c < bands; c++) {
            int v = sample(i % W, i / W, c);

            narrow[i * bands + c] = (uint8_t)v;
            wide[i * bands + c] = (uint16_t)(v * 257 ^ (i & 127));
        }
    if (bits == 8)
        image = vips_image_new_from_memory_copy(narrow, (size_t)(W * H * bands), W, H,
                                                bands, VIPS_FORMAT_UCHAR);
    else
        image = vips_image_new_from_memory_copy(wide, (size_t)(W * H * bands) * 2, W, H,
                                                bands, VIPS_FORMAT_USHORT);
    assert_non_null(image);
    image->Type = type;
    return image;
}

/* Write image, which is released, in the folder; the path. */
static const char *put(VipsImage *image, const char *name)
{
    const char *path = in_folder(name);

    assert_int_equal(vips_image_write_to_file(image, path, NULL), 0);
    g_object_unref(image);
    return path;
}

static const char *put_bytes(const void *data, size_t size, const char *name)
{
    const char *path = in_folder(name);
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    return path;
}

static struct nst_picture *load(const char *path, const struct nst_picture_size *size)
{
    struct nst_picture *pic;

    if (nst_picture_load(&pic, path, size, &err) != NST_OK)
        fail_msg("%s", err.text);
    return pic;
}

static void refused(const char *path, const struct nst_picture_size *size,
                    enum nst_status status, const char *saying)
{
    struct nst_picture *pic;

    assert_int_equal(nst_picture_load(&pic, path, size, &err), status);
    assert_null(pic);
    assert_null(strchr(err.text, '\n'));
    if (!strstr(err.text, saying))
        fail_msg("'%s' does not say '%s'", err.text, saying);
}

static void save(const struct nst_picture *like, const char *path, const char *comment)
{
    struct nst_output *out;

    if (nst_output_open(&out, path, NULL, &err) != NST_OK ||
        nst_output_write(out, like, like->rgb, comment, &err) != NST_OK)
        fail_msg("%s", err.text);
    nst_output_free(out);
}

static VipsImage *reopen(const char *path)
{
    VipsImage *image = vips_image_new_from_file(path, NULL);

    assert_non_null(image);
    return image;
}

static int files_in_folder(void)
{
    DIR *d = opendir(folder);
    int n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void samples_equal(VipsImage *a, VipsImage *b)
{
    size_t na, nb;
    void *pa = vips_image_write_to_memory(a, &na);
    void *pb = vips_image_write_to_memory(b, &nb);

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
        VipsImage *a, *b;

        save(p, to, "{}");
        a = reopen(from);
        b = reopen(to);
        assert_int_equal(b->BandFmt, VIPS_FORMAT_USHORT);
        samples_equal(a, b);
        g_object_unref(a);
        g_object_unref(b);
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
    VipsImage *b;
    uint8_t *got;
    size_t n;

    (void)state;
    memcpy(p->rgb, in, sizeof in);
    save(p, in_folder("d2.png"), NULL);
    b = reopen(in_folder("d2.png"));
    got = vips_image_write_to_memory(b, &n);
    for (int i = 0; i < 6; i++)
        assert_int_equal(got[i * 3], want[i]);
    g_free(got);
    g_object_unref(b);
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
    {
        VipsBlob *p3;
        const void *data;
        size_t size;

        assert_int_equal(vips_profile_load("p3", &p3, NULL), 0);
        data = vips_blob_get(p3, &size);
        vips_image_set_blob_copy(image, VIPS_META_ICC_NAME, data, size);
        vips_area_unref(VIPS_AREA(p3));
    }
    p = load(put(image, "P.png"), &native);
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
    VipsImage *image, *back;
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
    back = reopen(in_folder("l2.png"));
    got = vips_image_write_to_memory(back, &n);
    for (size_t i = 0; i < n; i += 4)
        if (got[i + 3] > 20)
            assert_true(got[i] > 240 && got[i + 1] < 15);
    g_free(got);
    g_object_unref(back);
    nst_picture_free(p);
}

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

static void exif_xmp_and_resolution_are_carried_to_the_output(void **state)
{
    static const char *const names[] = {"n2.jpg", "n2.png", "n2.webp"};
    static const char xmp[] = "<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>";
    VipsImage *image = make(3, 8, VIPS_INTERPRETATION_sRGB);
    struct nst_picture *p;

    (void)state;
    vips_image_set_string(image, "exif-ifd0-Artist", "Ada");
    vips_image_set_blob_copy(image, VIPS_META_XMP_NAME, xmp, sizeof xmp - 1);
    image->Xres = image->Yres = 300 / 25.4;
    p = load(put(image, "n.jpg"), &native);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *artist, *path = in_folder(names[i]);
        const void *blob;
        VipsImage *back;
        size_t n;

        save(p, path, "{}");
        back = reopen(path);
        assert_int_equal(vips_image_get_string(back, "exif-ifd0-Artist", &artist), 0);
        assert_memory_equal(artist, "Ada", 3);
        assert_int_equal(vips_image_get_blob(back, VIPS_META_XMP_NAME, &blob, &n), 0);
        assert_memory_equal(blob, xmp, sizeof xmp - 1);
        if (i < 2) /* libvips does not read a WebP's resolution, though it writes one */
            assert_true(fabs(back->Xres - 300 / 25.4) < 0.05);
        g_object_unref(back);
    }
    nst_picture_free(p);
}

static void the_metadata_of_a_heif_outlives_its_loader(void **state)
{
    VipsImage *image = make(3, 8, VIPS_INTERPRETATION_sRGB), *back;
    const char *text;
    struct nst_picture *p;
    void *data;
    size_t n;

    (void)state;
    vips_image_set_int(image, VIPS_META_ORIENTATION, 6);
    vips_image_set_string(image, "exif-ifd0-Artist", "Ada");
    if (vips_heifsave_buffer(image, &data, &n, "compression",
                             VIPS_FOREIGN_HEIF_COMPRESSION_AV1, NULL)) {
        g_object_unref(image);
        vips_error_clear();
        skip();
    }
    g_object_unref(image);
    p = load(put_bytes(data, n, "H.avif"), &native);
    g_free(data);
    /* A HEIF is turned by its own boxes, never by EXIF. */
    assert_int_equal(p->width, W);
    save(p, in_folder("H2.avif"), "{}");
    back = reopen(in_folder("H2.avif"));
    assert_int_equal(vips_image_get_string(back, "exif-ifd0-Artist", &text), 0);
    assert_memory_equal(text, "Ada", 3);
    assert_int_equal(vips_image_get_string(back, "exif-ifd2-UserComment", &text), 0);
    assert_memory_equal(text, "{}", 2);
    g_object_unref(back);
    nst_picture_free(p);
}

static void the_comment_is_in_the_metadata_as_ascii_json(void **state)
{
    static const struct {
        const char *name, *field;
    } places[] = {{"o2.png", NULL},
                  {"o2.jpg", "exif-ifd2-UserComment"},
                  {"o2.webp", "exif-ifd2-UserComment"},
                  {"o2.tif", "image-description"}};
    static const char want[] = "{\"content\": \"\\u00e9 \\ud83d\\udc22 (1).png\"}";
    struct nst_picture *p =
        load(put(make(3, 8, VIPS_INTERPRETATION_sRGB), "o.png"), &native);

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const char *path = in_folder(places[i].name), *text = NULL;
        VipsImage *back;

        save(p, path, "{\"content\": \"\xc3\xa9 \xf0\x9f\x90\xa2 (1).png\"}");
        back = reopen(path);
        for (int k = 0; !text && k < 8; k++) { /* libvips counts the chunks of a PNG */
            char field[64];

            snprintf(field, sizeof field, "png-comment-%d-nst", k);
            if (places[i].field)
                snprintf(field, sizeof field, "%s", places[i].field);
            if (vips_image_get_typeof(back, field))
                vips_image_get_string(back, field, &text);
        }
        assert_non_null(text);
        assert_memory_equal(text, want, sizeof want - 1);
        g_object_unref(back);
    }
    nst_picture_free(p);
}

static void a_second_run_replaces_the_comment_and_keeps_other_text(void **state)
{
    VipsImage *image = make(3, 8, VIPS_INTERPRETATION_sRGB), *back;
    struct nst_picture *p;
    int ours = 0, theirs = 0;
    gchar **fields;

    (void)state;
    vips_image_set_string(image, "png-comment-0-Author", "Ada");
    p = load(put(image, "p.png"), &native);
    save(p, in_folder("p2.png"), "{\"run\": 1}");
    nst_picture_free(p);
    p = load(in_folder("p2.png"), &native);
    save(p, in_folder("p3.png"), "{\"run\": 2}");
    nst_picture_free(p);
    back = reopen(in_folder("p3.png"));
    fields = vips_image_get_fields(back);
    for (int i = 0; fields[i]; i++) {
        const char *text;

        if (!strstr(fields[i], "png-comment-"))
            continue;
        assert_int_equal(vips_image_get_string(back, fields[i], &text), 0);
        ours += strcmp(text, "{\"run\": 2}") == 0;
        theirs += strcmp(text, "Ada") == 0;
        assert_string_not_equal(text, "{\"run\": 1}");
    }
    assert_int_equal(ours, 1);
    assert_int_equal(theirs, 1);
    g_strfreev(fields);
    g_object_unref(back);
}

static void a_comment_too_long_for_jpeg_is_left_out_and_the_picture_written(
    void **state)
{
    struct nst_picture *p =
        load(put(make(3, 8, VIPS_INTERPRETATION_sRGB), "q.png"), &native);
    char *text = nst_xcalloc(70001, 1);
    VipsImage *back;

    (void)state;
    memset(text, 'x', 70000);
    save(p, in_folder("q.jpg"), text);
    back = reopen(in_folder("q.jpg"));
    assert_int_equal(vips_image_get_typeof(back, "exif-ifd2-UserComment"), 0);
    assert_int_not_equal(vips_image_get_typeof(back, VIPS_META_EXIF_NAME), 0);
    g_object_unref(back);
    free(text);
    nst_picture_free(p);
}

static char *slurp(const char *path, size_t *n)
{
    gchar *text;

    assert_true(g_file_get_contents(path, &text, n, NULL));
    return text;
}

static void the_same_picture_gives_the_same_bytes(void **state)
{
    static const char *const suffixes[] = {"png", "jpg", "webp", "tif", "gif", "ppm"};
    struct nst_picture *p =
        load(put(make(4, 8, VIPS_INTERPRETATION_sRGB), "r.png"), &native);

    (void)state;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char name[16];
        char *a, *b;
        size_t n, m;

        snprintf(name, sizeof name, "r2.%s", suffixes[i]);
        save(p, in_folder(name), "{}");
        a = slurp(in_folder(name), &n);
        g_usleep(2000);
        vips_concurrency_set((int)i + 2);
        save(p, in_folder(name), "{}");
        b = slurp(in_folder(name), &m);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n);
        g_free(a);
        g_free(b);
    }
    vips_concurrency_set(0);
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

static void cannot_open(const char *path, enum nst_status status, const char *saying)
{
    struct nst_output *out;

    assert_int_equal(nst_output_open(&out, path, NULL, &err), status);
    assert_null(out);
    if (!strstr(err.text, saying))
        fail_msg("'%s' does not say '%s'", err.text, saying);
}

static void an_output_that_cannot_be_written_is_refused_when_opened(void **state)
{
    int before = files_in_folder();

    (void)state;
    cannot_open(in_folder("a.xyz"), NST_ERR_ARG,
                "'.xyz' is not an image format that can be written (png, jpg");
    cannot_open(in_folder("a"), NST_ERR_ARG, "needs a suffix");
    cannot_open(folder, NST_ERR_ARG, "is a directory");
    cannot_open(in_folder("no/a.png"), NST_ERR_ARG, "No such file or directory");
    if (geteuid() != 0) {
        assert_int_equal(chmod(folder, 0500), 0);
        cannot_open(in_folder("a.png"), NST_ERR_IO, "Permission denied");
        assert_int_equal(chmod(folder, 0700), 0);
    }
    assert_int_equal(files_in_folder(), before);
}

static void nothing_is_visible_before_the_file_is_written(void **state)
{
    int before = files_in_folder();
    struct nst_output *out;
    struct stat st;

    (void)state;
    assert_int_equal(nst_output_open(&out, in_folder("z.png"), NULL, &err), NST_OK);
    assert_int_not_equal(stat(in_folder("z.png"), &st), 0);
    nst_output_free(out);
    assert_int_equal(files_in_folder(), before);
}

static void a_link_is_followed_and_the_mode_of_a_replaced_file_kept(void **state)
{
    struct nst_picture *p =
        load(put(make(3, 8, VIPS_INTERPRETATION_sRGB), "A.png"), &native);
    mode_t mask = umask(027);
    struct stat st;
    int files;

    (void)state;
    assert_int_equal(symlink("B.png", in_folder("L.png")), 0);
    save(p, in_folder("L.png"), NULL);
    files = files_in_folder();
    assert_int_equal(lstat(in_folder("L.png"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(in_folder("B.png"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(chmod(in_folder("B.png"), 0604), 0);
    save(p, in_folder("L.png"), NULL);
    assert_int_equal(stat(in_folder("B.png"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0604);
    assert_int_equal(files_in_folder(), files);
    umask(mask);
    nst_picture_free(p);
}

static void a_full_device_is_a_clean_error(void **state)
{
    struct nst_picture *p =
        load(put(make(3, 8, VIPS_INTERPRETATION_sRGB), "C.png"), &native);
    struct nst_output *out;

    (void)state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    assert_int_equal(nst_output_open(&out, "/dev/full", NULL, &err), NST_OK);
    assert_int_equal(nst_output_write(out, p, p->rgb, NULL, &err), NST_ERR_IO);
    assert_non_null(strstr(err.text, "No space left on device"));
    nst_output_free(out);
    nst_picture_free(p);
}

static void a_reader_that_went_away_is_an_error_not_a_signal(void **state)
{
    struct nst_picture *p =
        load(put(make(3, 8, VIPS_INTERPRETATION_sRGB), "D.png"), &native);
    int ends[2], old = dup(STDOUT_FILENO);
    struct nst_output *out;
    enum nst_status status;

    (void)state;
    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(nst_output_open(&out, "-", NULL, &err), NST_OK);
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    status = nst_output_write(out, p, p->rgb, NULL, &err);
    dup2(old, STDOUT_FILENO);
    close(old);
    assert_int_equal(status, NST_ERR_IO);
    assert_non_null(
        strstr(err.text, "standard output: cannot be written: Broken pipe"));
    nst_output_free(out);
    nst_picture_free(p);
}

/* A child that writes one picture over and over, killed at times of no pattern. */
static void a_killed_run_leaves_the_old_file_or_the_new_one_whole(void **state)
{
    const char *path = in_folder("E.png");
    struct nst_picture *p =
        load(put(make(3, 8, VIPS_INTERPRETATION_sRGB), "E0.png"), &native);

    (void)state;
    save(p, path, NULL);
    for (int i = 0; i < 12; i++) {
        struct nst_picture *whole;
        pid_t child = fork();

        if (child == 0)
            for (;;) {
                struct nst_output *out;

                if (nst_output_open(&out, path, NULL, &err) != NST_OK ||
                    nst_output_write(out, p, p->rgb, NULL, &err) != NST_OK)
                    _exit(1);
                nst_output_free(out);
            }
        g_usleep(20000 + 7919 * (gulong)i);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        whole = load(path, &native);
        assert_memory_equal(whole->rgb, p->rgb, 3 * W * H * sizeof *p->rgb);
        nst_picture_free(whole);
    }
    nst_picture_free(p);
}

static int set_up(void **state)
{
    (void)state;
    folder = g_build_filename(g_get_tmp_dir(), "nst-picture-XXXXXX", NULL);
    return nst_picture_init("test_picture", &err) == NST_OK && mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    DIR *d = opendir(folder);
    struct dirent *e;
    int failed;

    (void)state;
    while (d && (e = readdir(d)))
        unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    failed = rmdir(folder);
    g_free(folder);
    nst_picture_shutdown();
    return failed;
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
        SAYS("orientation is applied and its tag is gone",
             orientation_is_applied_and_its_tag_is_gone),
        SAYS("EXIF XMP and resolution are carried to the output",
             exif_xmp_and_resolution_are_carried_to_the_output),
        SAYS("the metadata of a HEIF outlives its loader",
             the_metadata_of_a_heif_outlives_its_loader),
        SAYS("the comment is in the metadata as ASCII JSON",
             the_comment_is_in_the_metadata_as_ascii_json),
        SAYS("a second run replaces the comment and keeps other text",
             a_second_run_replaces_the_comment_and_keeps_other_text),
        SAYS("a comment too long for JPEG is left out and the picture written",
             a_comment_too_long_for_jpeg_is_left_out_and_the_picture_written),
        SAYS("the same picture gives the same bytes",
             the_same_picture_gives_the_same_bytes),
        SAYS("transparent parts are white in a format without alpha",
             transparent_parts_are_white_in_a_format_without_alpha),
        SAYS("a drawing is drawn at the size asked",
             a_drawing_is_drawn_at_the_size_asked),
        SAYS("what is no picture is refused in one clear line",
             what_is_no_picture_is_refused_in_one_clear_line),
        SAYS("a truncated file is refused", a_truncated_file_is_refused),
        SAYS("a huge PNG header is refused by size before decoding",
             a_huge_png_header_is_refused_by_size_before_decoding),
        SAYS("sides below 16 pixels are refused", sides_below_16_pixels_are_refused),
        SAYS("a pipe can be read in any format", a_pipe_can_be_read_in_any_format),
        SAYS("an output that cannot be written is refused when opened",
             an_output_that_cannot_be_written_is_refused_when_opened),
        SAYS("nothing is visible before the file is written",
             nothing_is_visible_before_the_file_is_written),
        SAYS("a link is followed and the mode of a replaced file kept",
             a_link_is_followed_and_the_mode_of_a_replaced_file_kept),
        SAYS("a full device is a clean error", a_full_device_is_a_clean_error),
        SAYS("a reader that went away is an error not a signal",
             a_reader_that_went_away_is_an_error_not_a_signal),
        SAYS("a killed run leaves the old file or the new one whole",
             a_killed_run_leaves_the_old_file_or_the_new_one_whole),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("pictures", tests, set_up, tear_down);
}
