/* SPDX-License-Identifier: MIT */
/* test_picture_formats.c - what formats say about samples, bands and pages. */
#include "config.h"

#include <math.h>

#include "base/alloc.h"
#include "picture.h"

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

/* 16 rows of samples in memory */
static VipsImage *floats(const float *v, int width, int bands, VipsInterpretation type)
{
    size_t size = sizeof *v * 16 * (size_t)(width * bands);
    VipsImage *image =
        vips_image_new_from_memory_copy(v, size, width, 16, bands, VIPS_FORMAT_FLOAT);

    assert_non_null(image);
    image->Type = type;
    return image;
}

static void floats_keep_their_scale_whatever_the_largest_is(void **state)
{
    const float odd[] = {1.02f, 40, INFINITY, NAN, -INFINITY, -0.5f};
    const float clipped[] = {255, 255, 255, 0, 0, 0};

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        float v[16 * 16 * 3];
        char pfm[sizeof v + 32];
        struct nst_picture *pic;
        const struct nst_picture_size half = {.longest = 24};

        for (int k = 0; k < 16 * 16; k++) /* the first pixel is odd */
            for (int c = 0; c < 3; c++)
                v[3 * k + c] = k ? (float)(51 * (c + 1)) / 255 : odd[i];
        pic = load(put(floats(v, 16, 3, VIPS_INTERPRETATION_sRGB), "odd.tif"), &native);
        pixel_equal(pic, 0, clipped[i], clipped[i], clipped[i]);
        pixel_equal(pic, 1, 51, 102, 153);
        nst_picture_free(pic);
        /* it does not spread when resized either */
        pic = load(in_folder("odd.tif"), &half);
        pixel_equal(pic, 12 * 24 + 12, 51, 102, 153);
        nst_picture_free(pic);
        pic = load(put(floats(v, 48, 1, VIPS_INTERPRETATION_B_W), "grey.tif"), &native);
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
    struct nst_picture *pic;

    (void)state;
    for (int i = 0; i < 16 * 16 * 3; i++)
        v[i] = i % 3 ? 0.25f : 1;
    pic = load(put(floats(v, 16, 3, VIPS_INTERPRETATION_scRGB), "linear.hdr"), &native);
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

/* Largest difference between the samples of two files of 16 bits. */
static int largest_difference(const char *a, const char *b)
{
    size_t size;
    uint16_t *x = samples_of(a, &size), *y = samples_of(b, &size);
    int most = 0;

    for (size_t i = 0; i < size / 2; i++)
        most = abs(x[i] - y[i]) > most ? abs(x[i] - y[i]) : most;
    g_free(x);
    g_free(y);
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
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
        SAYS("what stays unchanged keeps colours beyond sRGB",
             what_stays_unchanged_keeps_colours_beyond_srgb),
    };

    return RUN_PICTURE_TESTS("pictures: formats", tests);
}
