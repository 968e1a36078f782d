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

static void save_as(const struct nst_picture *like, const float *rgb, const char *path,
                    const char *comment)
{
    struct nst_output *out;

    if (nst_output_open(&out, path, NULL, &err) != NST_OK ||
        nst_output_write(out, like, rgb, comment, &err) != NST_OK)
        fail_msg("%s", err.text);
    nst_output_free(out);
}

static void save(const struct nst_picture *like, const char *path, const char *comment)
{
    save_as(like, like->rgb, path, comment);
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

static const char *put_text(const char *text, const char *name)
{
    return put_bytes(text, strlen(text), name);
}

/* Whether pixel at of pic is r, g, b, of 255, within half a level. */
static void pixel_equal(const struct nst_picture *pic, int at, float r, float g,
                        float b)
{
    const float want[3] = {r, g, b};

    for (int c = 0; c < 3; c++) {
        float got = pic->rgb[c * pic->width * pic->height + at] * 255;

        if (!(fabsf(got - want[c]) <= 0.5f))
            fail_msg("band %d is %g, not %g", c, (double)got, (double)want[c]);
    }
}

static void samples_of_a_pnm_are_fractions_of_its_maximum(void **state)
{
    static const struct {
        const char *header;
        int bytes, value;
        float level; /* of 255 */
    } cases[] = {{"P5 16 16 1\n", 1, 1, 255},
                 {"P5 16 16 15\n", 1, 5, 85},
                 {"P6\n16 16\n100\n", 1, 50, 127.5f},
                 {"P5 16 16 256\n", 2, 64, 63.75f},
                 {"P6 16 16 1023\n", 2, 1023, 255},
                 {"P5 16 16 4095\n", 2, 819, 51},
                 {"P7\nWIDTH 16\nHEIGHT 16\nDEPTH 1\nMAXVAL 9\nENDHDR\n", 1, 3, 85},
                 {"P2 16 16 1000\n", 0, 200, 51},
                 {"P3 16 16 7\n", 0, 7, 255},
                 {"P5 16 16 100\n", 1, 200, 255}, /* above the maximum */
                 {"P5 16 16 255\n", 1, 37, 37}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static char text[16 * 16 * 3 * 8 + 100];
        char *to = stpcpy(text, cases[i].header);
        struct nst_picture *pic;

        for (int k = 0; k < 16 * 16 * 3; k++) {
            if (!cases[i].bytes)
                to += sprintf(to, "%d ", cases[i].value);
            if (cases[i].bytes == 2)
                *to++ = (char)(cases[i].value >> 8);
            if (cases[i].bytes)
                *to++ = (char)cases[i].value;
        }
        pic = load(put_bytes(text, (size_t)(to - text), "max.pnm"), &native);
        pixel_equal(pic, 17, cases[i].level, cases[i].level, cases[i].level);
        nst_picture_free(pic);
    }
}

static void the_digits_of_a_plain_pbm_need_no_blanks(void **state)
{
    char text[64 + 16 * 17] = "P1 # c\n16 16\n";
    struct nst_picture *pic;

    (void)state;
    for (int y = 0; y < 16; y++)
        strcat(text, y == 1 ? "0101010101010101\n" : "0 000000000000000\n");
    pic = load(put_text(text, "plain.pbm"), &native);
    pixel_equal(pic, 0, 255, 255, 255);
    pixel_equal(pic, 16, 255, 255, 255);
    pixel_equal(pic, 17, 0, 0, 0);
    nst_picture_free(pic);
    refused(put_text("P1 16 16 0101", "cut.pbm"), &native, NST_ERR_FORMAT,
            "is cut short");
}

/* One directory of a TIFF of one colour, 16 pixels high. */
struct page {
    int type, photometric, samples, bits, format, extras, extra[2];
    double sample[6];
    int width;
    bool sub; /* the directory before points to it as a SubIFD */
};

static size_t put_entry(unsigned char *to, int tag, int type, int count, unsigned value)
{
    memcpy(to, &(uint16_t){(uint16_t)tag}, 2);
    memcpy(to + 2, &(uint16_t){(uint16_t)type}, 2);
    memcpy(to + 4, &(uint32_t){(uint32_t)count}, 4);
    memcpy(to + 8, &(uint32_t){value}, 4);
    return 12;
}

static size_t put_sample(unsigned char *to, const struct page *p, double v)
{
    if (p->format == 3 && p->bits == 32)
        memcpy(to, &(float){(float)v}, 4);
    else if (p->format == 3 && p->bits == 64)
        memcpy(to, &v, 8);
    else if (p->bits == 16)
        memcpy(to, &(uint16_t){(uint16_t)v}, 2);
    else
        *to = (unsigned char)v;
    return (size_t)p->bits / 8;
}

/* Write a TIFF for a little-endian machine. */
static const char *put_tiff(const struct page *page, int pages)
{
    static unsigned char file[1 << 16];
    size_t next = 4, at = 8; /* where the place of the next directory goes */

    memcpy(file, "II*\0", 4);
    for (const struct page *p = page; p < page + pages; p++) {
        int width = p->width ? p->width : 16, entries = 0;
        size_t pixels = at, from;

        for (int i = 0; i < width * 16 * p->samples; i++)
            at += put_sample(file + at, p, p->sample[i % p->samples]);
        from = at;
        for (int i = 0; i < p->samples; i++, at += 2)
            memcpy(file + at, &(uint16_t){(uint16_t)p->bits}, 2);
        at += at % 2;
        memcpy(file + next, &(uint32_t){(uint32_t)at}, 4);
        at += 2;
        {
            size_t count = at - 2;
            bool parent = p + 1 < page + pages && p[1].sub;

            at += put_entry(file + at, 254, 4, 1, (unsigned)p->type), entries++;
            at += put_entry(file + at, 256, 4, 1, (unsigned)width), entries++;
            at += put_entry(file + at, 257, 4, 1, 16), entries++;
            at += put_entry(file + at, 258, 3, p->samples,
                            p->samples > 2 ? (unsigned)from
                                           : (unsigned)(p->bits | p->bits << 16)),
                entries++;
            at += put_entry(file + at, 262, 3, 1, (unsigned)p->photometric), entries++;
            at += put_entry(file + at, 273, 4, 1, (unsigned)pixels), entries++;
            at += put_entry(file + at, 277, 3, 1, (unsigned)p->samples), entries++;
            at += put_entry(file + at, 278, 4, 1, 16), entries++;
            at += put_entry(file + at, 279, 4, 1, (unsigned)(from - pixels)), entries++;
            if (parent) {
                next = at + 8;
                at += put_entry(file + at, 330, 4, 1, 0), entries++;
            }
            if (p->extras)
                at += put_entry(file + at, 338, 3, p->extras,
                                (unsigned)(p->extra[0] | p->extra[1] << 16)),
                    entries++;
            at += put_entry(file + at, 339, 3, 1, p->format ? (unsigned)p->format : 1),
                entries++;
            memcpy(file + count, &(uint16_t){(uint16_t)entries}, 2);
            if (!parent)
                next = at;
            memset(file + at, 0, 4);
            at += 4;
        }
        assert_true(at < sizeof file - 16384);
    }
    return put_bytes(file, at, "made.tif");
}

static struct nst_picture *load_tiff(struct page page)
{
    return load(put_tiff(&page, 1), &native);
}

/* Whether a TIFF of that page has these colours and that alpha (-1: none), of 255. */
static void tiff_is(struct page page, float r, float g, float b, float alpha)
{
    struct nst_picture *pic = load_tiff(page);

    pixel_equal(pic, 5, r, g, b);
    save(pic, in_folder("a.png"), NULL);
    nst_picture_free(pic);
    {
        VipsImage *image = reopen(in_folder("a.png"));
        double *v;
        int n;

        assert_int_equal(vips_getpoint(image, &v, &n, 5, 0, NULL), 0);
        assert_int_equal(n, alpha < 0 ? 3 : 4);
        if (alpha >= 0)
            assert_float_equal(v[3] / (image->BandFmt == VIPS_FORMAT_USHORT ? 257 : 1),
                               alpha, 0.5f);
        g_free(v);
        g_object_unref(image);
    }
}

static void extra_samples_say_which_band_of_a_tiff_is_alpha(void **state)
{
    (void)state;
    /* unassociated alpha before and after a spot colour, and alone */
    tiff_is((struct page){0, 2, 5, 8, 1, 2, {2, 0}, {9, 90, 30, 128, 0}}, 9, 90, 30,
            128);
    tiff_is((struct page){0, 2, 5, 8, 1, 2, {0, 2}, {9, 90, 30, 0, 128}}, 9, 90, 30,
            128);
    tiff_is((struct page){0, 2, 4, 16, 1, 1, {2}, {2570, 25700, 0, 32896}}, 10, 100, 0,
            128);
    /* associated alpha */
    tiff_is((struct page){0, 2, 5, 8, 1, 2, {1, 0}, {10, 60, 30, 51, 0}}, 50, 255, 150,
            51);
    tiff_is((struct page){0, 2, 4, 32, 3, 1, {1}, {.1, .05, .02, .2}}, 127.5f, 63.75f,
            25.5f, 51);
    tiff_is((struct page){0, 1, 2, 32, 3, 1, {1}, {.1, .2}}, 127.5f, 127.5f, 127.5f,
            51);
    /* an unspecified band is not alpha; without the tag, or with an unknown value it is
     */
    tiff_is((struct page){0, 2, 4, 8, 1, 1, {0}, {9, 90, 30, 0}}, 9, 90, 30, -1);
    tiff_is((struct page){0, 1, 2, 8, 1, 1, {0}, {90, 0}}, 90, 90, 90, -1);
    tiff_is((struct page){0, 1, 3, 8, 1, 2, {2, 0}, {90, 40, 0}}, 90, 90, 90, 40);
    tiff_is((struct page){0, 2, 4, 8, 1, 0, {0}, {9, 90, 30, 40}}, 9, 90, 30, 40);
    tiff_is((struct page){0, 2, 4, 8, 1, 1, {999}, {9, 90, 30, 40}}, 9, 90, 30, 40);
}

static void bands_after_the_inks_of_a_tiff_are_no_alpha_unless_it_says_so(void **state)
{
    struct nst_picture *plain =
        load_tiff((struct page){0, 5, 4, 8, 1, 0, {0}, {9, 90, 30, 40}});
    const float r = plain->rgb[0] * 255, g = plain->rgb[256] * 255,
                b = plain->rgb[512] * 255;

    (void)state;
    nst_picture_free(plain);
    tiff_is((struct page){0, 5, 5, 8, 1, 1, {0}, {9, 90, 30, 40, 0}}, r, g, b, -1);
    tiff_is((struct page){0, 5, 5, 8, 1, 1, {2}, {9, 90, 30, 40, 128}}, r, g, b, 128);
    tiff_is((struct page){0, 5, 6, 8, 1, 2, {2, 0}, {9, 90, 30, 40, 128, 0}}, r, g, b,
            128);
}

static void floats_keep_their_scale_whatever_the_largest_is(void **state)
{
    const float odd[] = {1.02f, 40, INFINITY, NAN, -INFINITY, -0.5f};
    const float clipped[] = {255, 255, 255, 0, 0, 0};

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        float v[16 * 16 * 3];
        char pfm[sizeof v + 32];
        VipsImage *image;
        struct nst_picture *pic;
        const struct nst_picture_size half = {.longest = 24};

        for (int k = 0; k < 16 * 16; k++) /* the first pixel is odd */
            for (int c = 0; c < 3; c++)
                v[3 * k + c] = k ? (float)(51 * (c + 1)) / 255 : odd[i];
        image =
            vips_image_new_from_memory_copy(v, sizeof v, 16, 16, 3, VIPS_FORMAT_FLOAT);
        image->Type = VIPS_INTERPRETATION_sRGB;
        pic = load(put(image, "odd.tif"), &native);
        pixel_equal(pic, 0, clipped[i], clipped[i], clipped[i]);
        pixel_equal(pic, 1, 51, 102, 153);
        nst_picture_free(pic);
        /* it does not spread when resized either */
        pic = load(in_folder("odd.tif"), &half);
        pixel_equal(pic, 12 * 24 + 12, 51, 102, 153);
        nst_picture_free(pic);
        image =
            vips_image_new_from_memory_copy(v, sizeof v, 48, 16, 1, VIPS_FORMAT_FLOAT);
        image->Type = VIPS_INTERPRETATION_B_W;
        pic = load(put(image, "grey.tif"), &native);
        pixel_equal(pic, 0, clipped[i], clipped[i], clipped[i]);
        pixel_equal(pic, 4, 102, 102, 102);
        nst_picture_free(pic);
        /* PFM stores the rows from the bottom to the top */
        strcpy(pfm, "PF\n16 16\n-1.0\n");
        memcpy(pfm + strlen(pfm), v, sizeof v);
        pic = load(put_bytes(pfm, 15 + sizeof v, "odd.pfm"), &native);
        pixel_equal(pic, 240, clipped[i], clipped[i], clipped[i]);
        pixel_equal(pic, 0, 51, 102, 153);
        nst_picture_free(pic);
    }
}

static void floats_of_radiance_are_linear_light(void **state)
{
    float v[16 * 16 * 3];
    VipsImage *image;
    struct nst_picture *pic;

    (void)state;
    for (int i = 0; i < 16 * 16 * 3; i++)
        v[i] = i % 3 ? 0.25f : 1;
    image = vips_image_new_from_memory_copy(v, sizeof v, 16, 16, 3, VIPS_FORMAT_FLOAT);
    image->Type = VIPS_INTERPRETATION_scRGB;
    pic = load(put(image, "linear.hdr"), &native);
    pixel_equal(pic, 3, 255, 136, 136); /* RGBE rounds down */
    nst_picture_free(pic);
}

static void the_picture_of_full_resolution_is_taken_from_a_tiff(void **state)
{
    const struct page
        small = {.type = 1, .photometric = 2, .samples = 3, .bits = 8, .width = 16},
        full = {.photometric = 2,
                .samples = 3,
                .bits = 8,
                .width = 20,
                .sample = {7, 80, 9}},
        mask = {.type = 4, .photometric = 4, .samples = 1, .bits = 8, .width = 30},
        raw = {.photometric = 32803, .samples = 1, .bits = 16, .width = 40},
        preview = {.type = 1,
                   .photometric = 2,
                   .samples = 3,
                   .bits = 8,
                   .width = 20,
                   .sample = {7, 80, 9}};
    struct page sub = full, raw_sub = raw;
    const struct {
        struct page page[4];
        int pages;
        const char *note;
    } cases[] = {
        {{full}, 1, NULL},
        {{small, full}, 2, NULL},
        {{full, small, mask}, 3, NULL},
        {{mask, full}, 2, NULL},
        {{full, small, full, full}, 4, "only the first of 3 pages is used"},
        {{small, (sub.sub = true, sub)}, 2, NULL},
        {{small, (raw_sub.sub = true, raw_sub), preview}, 2, "preview of 16x16"},
        {{small, preview, raw}, 3, "only the preview of 20x16 pixels can be read"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct nst_picture *pic =
            load(put_tiff(cases[i].page, cases[i].pages), &native);
        const char *note = nst_picture_note(pic);

        if (i != 6) {
            assert_int_equal(pic->width, 20);
            pixel_equal(pic, 0, 7, 80, 9);
        }
        if (!cases[i].note)
            assert_null(note);
        else if (!note || !strstr(note, cases[i].note))
            fail_msg("'%s' does not say '%s'", note ? note : "", cases[i].note);
        nst_picture_free(pic);
    }
}

static void samples_that_libvips_does_not_read_are_named(void **state)
{
    (void)state;
    refused(put_tiff(&(struct page){0, 1, 1, 64, 3, 0, {0}, {.5}}, 1), &native,
            NST_ERR_FORMAT, "TIFF with floats of 64 bits is not supported");
    refused(put_tiff(&(struct page){0, 1, 1, 16, 3, 0, {0}, {0}}, 1), &native,
            NST_ERR_FORMAT, "TIFF with floats of 16 bits is not supported");
}

static void a_directory_of_a_tiff_that_leads_back_to_itself_ends(void **state)
{
    const struct page page = {.photometric = 2, .samples = 3, .bits = 8};
    const char *path = put_tiff(&page, 1);
    FILE *f = fopen(path, "r+b");
    uint32_t first;

    (void)state;
    assert_non_null(f);
    fseek(f, 4, SEEK_SET);
    assert_int_equal(fread(&first, 4, 1, f), 1);
    fseek(f, -4, SEEK_END);
    fwrite(&first, 4, 1, f);
    fclose(f);
    nst_picture_free(load(path, &native));
}

static void a_film_is_told_from_a_damaged_picture(void **state)
{
    (void)state;
    refused(put_text("YUV4MPEG2 W16 H16 F25:1\nFRAME\n", "f.y4m"), &native,
            NST_ERR_FORMAT, "is a YUV4MPEG2 stream: add --y4m");
    refused(put_bytes("\0\0\0\x18"
                      "ftypisom\0\0\0\0isomiso2",
                      24, "f.mp4"),
            &native, NST_ERR_FORMAT, "is a film: let ffmpeg convert it");
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

static VipsImage *with_p3(VipsImage *image)
{
    VipsBlob *p3;
    const void *data;
    size_t size;

    assert_int_equal(vips_profile_load("p3", &p3, NULL), 0);
    data = vips_blob_get(p3, &size);
    vips_image_set_blob_copy(image, VIPS_META_ICC_NAME, data, size);
    vips_area_unref(VIPS_AREA(p3));
    return image;
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

/* Largest difference between the samples of two files of 16 bits. */
static int largest_difference(const char *a, const char *b)
{
    VipsImage *left = reopen(a), *right = reopen(b);
    size_t size;
    uint16_t *x = vips_image_write_to_memory(left, &size),
             *y = vips_image_write_to_memory(right, &size);
    int most = 0;

    for (size_t i = 0; i < size / 2; i++)
        most = abs(x[i] - y[i]) > most ? abs(x[i] - y[i]) : most;
    g_free(x);
    g_free(y);
    g_object_unref(left);
    g_object_unref(right);
    return most;
}

static void what_stays_unchanged_keeps_colours_beyond_srgb(void **state)
{
    char *path =
        nst_xstrdup(put(with_p3(make(3, 16, VIPS_INTERPRETATION_RGB16)), "wide.png"));
    const struct nst_picture_size smaller = {.longest = 30};
    struct nst_picture *p = load(path, &native), *half;
    float rgb[3 * W * H];

    (void)state;
    save(p, in_folder("wide2.png"), NULL);
    assert_int_equal(largest_difference(path, in_folder("wide2.png")), 0);
    /* what changes a little changes a little; what changes much is within sRGB */
    for (int i = 0; i < 3 * W * H; i++)
        rgb[i] = p->rgb[i] + (p->rgb[i] < 0.5f ? 0.001f : -0.001f);
    save_as(p, rgb, in_folder("wide2.png"), NULL);
    assert_in_range(largest_difference(path, in_folder("wide2.png")), 50, 3000);
    for (int i = 0; i < 3 * W * H; i++)
        rgb[i] = 0;
    save_as(p, rgb, in_folder("wide2.png"), NULL);
    {
        VipsImage *image = reopen(in_folder("wide2.png"));

        for (int i = 0; i < 3; i++) {
            double max;
            VipsImage *band;

            vips_extract_band(image, &band, i, NULL);
            vips_max(band, &max, NULL);
            assert_in_range((int)max, 0, 20000);
            g_object_unref(band);
        }
        g_object_unref(image);
    }
    nst_picture_free(p);
    /* at another size, too: saved and read again, it is the same */
    half = load(path, &smaller);
    save(half, in_folder("wide3.png"), NULL);
    p = load(in_folder("wide3.png"), &native);
    save(p, in_folder("wide4.png"), NULL);
    assert_int_equal(largest_difference(in_folder("wide3.png"), in_folder("wide4.png")),
                     0);
    nst_picture_free(half);
    free(path);
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
    refused(path, &(struct nst_picture_size){20, false, 0}, NST_ERR_ARG,
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
    refused(path, &native, NST_ERR_ARG, "10x10 pixels is too small");
}

static void what_is_no_picture_is_refused_in_one_clear_line(void **state)
{
    (void)state;
    refused(in_folder("none.png"), &native, NST_ERR_IO, "No such file or directory");
    refused(folder, &native, NST_ERR_IO, "is a directory");
    refused("", &native, NST_ERR_IO, "the image's name is empty");
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
    refused(put_bytes(png, sizeof png - 1, "w.png"), &size, NST_ERR_ARG,
            "w.png: 40000x40000 pixels is too large: at most 200000000");
}

static void sides_below_16_pixels_are_refused(void **state)
{
    VipsImage *dot;

    (void)state;
    assert_int_equal(vips_black(&dot, 1, 1, NULL), 0);
    refused(put(dot, "x.png"), &native, NST_ERR_ARG,
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
    cannot_open(folder, NST_ERR_IO, "is a directory");
    cannot_open(in_folder("no/a.png"), NST_ERR_IO, "No such file or directory");
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
        SAYS("samples of a PNM are fractions of its maximum",
             samples_of_a_pnm_are_fractions_of_its_maximum),
        SAYS("the digits of a plain PBM need no blanks",
             the_digits_of_a_plain_pbm_need_no_blanks),
        SAYS("ExtraSamples say which band of a TIFF is alpha",
             extra_samples_say_which_band_of_a_tiff_is_alpha),
        SAYS("bands after the inks of a TIFF are no alpha unless it says so",
             bands_after_the_inks_of_a_tiff_are_no_alpha_unless_it_says_so),
        SAYS("floats keep their scale whatever the largest is",
             floats_keep_their_scale_whatever_the_largest_is),
        SAYS("floats of Radiance are linear light",
             floats_of_radiance_are_linear_light),
        SAYS("the picture of full resolution is taken from a TIFF",
             the_picture_of_full_resolution_is_taken_from_a_tiff),
        SAYS("samples that libvips does not read are named",
             samples_that_libvips_does_not_read_are_named),
        SAYS("a directory of a TIFF that leads back to itself ends",
             a_directory_of_a_tiff_that_leads_back_to_itself_ends),
        SAYS("a film is told from a damaged picture",
             a_film_is_told_from_a_damaged_picture),
        SAYS("CMYK is taken and its result says sRGB",
             cmyk_is_taken_and_its_result_says_srgb),
        SAYS("a profile is converted to sRGB and back and embedded again",
             a_profile_is_converted_to_srgb_and_back_and_embedded_again),
        SAYS("a Display P3 colour is the known sRGB one and comes back",
             a_display_p3_colour_is_the_known_srgb_one_and_comes_back),
        SAYS("what stays unchanged keeps colours beyond sRGB",
             what_stays_unchanged_keeps_colours_beyond_srgb),
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
