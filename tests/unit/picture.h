/* SPDX-License-Identifier: MIT */
/*
 * picture.h - what the tests of pictures share: small pictures, made by libvips in a
 * folder of the test.
 */
#ifndef NST_TESTS_PICTURE_H
#define NST_TESTS_PICTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vips/vips.h>

#include "image/load.h"
#include "image/save.h"
#include "unit.h"

#define W 40
#define H 24

static char *folder;
static struct nst_err err;
static const struct nst_picture_size native;

/* A path in the test's own folder; the last four asked for stay valid. */
static inline const char *in_folder(const char *name)
{
    static char paths[4][4096];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* Sample c of pixel (x, y) of every picture made here, 0 to 255. */
static inline int sample(int x, int y, int c)
{
    return (x * 5 + y * 3 + c * 67 + (c == 3 ? x * y : 0)) % 256;
}

/* bands x bits (8 or 16) of sample(), in memory. */
static inline VipsImage *make(int bands, int bits, VipsInterpretation type)
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

/* image with the profile of Display P3 */
static inline VipsImage *with_p3(VipsImage *image)
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

/* Write image, which is released, in the folder; the path. */
static inline const char *put(VipsImage *image, const char *name)
{
    const char *path = in_folder(name);

    assert_int_equal(vips_image_write_to_file(image, path, NULL), 0);
    g_object_unref(image);
    return path;
}

static inline const char *put_bytes(const void *data, size_t size, const char *name)
{
    const char *path = in_folder(name);
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    return path;
}

static inline struct nst_picture *load(const char *path,
                                       const struct nst_picture_size *size)
{
    struct nst_picture *pic;

    if (nst_picture_load(&pic, path, size, &err) != NST_OK)
        fail_msg("%s", err.text);
    return pic;
}

static inline void refused(const char *path, const struct nst_picture_size *size,
                           enum nst_status status, const char *saying)
{
    struct nst_picture *pic;

    assert_int_equal(nst_picture_load(&pic, path, size, &err), status);
    assert_null(pic);
    assert_null(strchr(err.text, '\n'));
    if (!strstr(err.text, saying))
        fail_msg("'%s' does not say '%s'", err.text, saying);
}

static inline void save_as(const struct nst_picture *like, const float *rgb,
                           const char *path, const char *comment)
{
    struct nst_output *out;

    if (nst_output_open(&out, path, NULL, &err) != NST_OK ||
        nst_output_write(out, like, rgb, comment, &err) != NST_OK)
        fail_msg("%s", err.text);
    nst_output_free(out);
}

static inline void save(const struct nst_picture *like, const char *path,
                        const char *comment)
{
    save_as(like, like->rgb, path, comment);
}

static inline VipsImage *reopen(const char *path)
{
    VipsImage *image = vips_image_new_from_file(path, NULL);

    assert_non_null(image);
    return image;
}

/* The samples of a file; g_free(). */
static inline void *samples_of(const char *path, size_t *n)
{
    VipsImage *image = reopen(path);
    void *samples = vips_image_write_to_memory(image, n);

    assert_non_null(samples);
    g_object_unref(image);
    return samples;
}

static inline char *slurp(const char *path, size_t *n)
{
    gchar *text;

    assert_true(g_file_get_contents(path, &text, n, NULL));
    return text;
}

static inline int set_up(void **state)
{
    (void)state;
    folder = g_build_filename(g_get_tmp_dir(), "nst-picture-XXXXXX", NULL);
    return nst_picture_init("test_picture", &err) == NST_OK && mkdtemp(folder) ? 0 : -1;
}

static inline int tear_down(void **state)
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

/* The main function of a test: run the tests in a folder that is removed afterwards. */
#define RUN_PICTURE_TESTS(name, tests)                                                 \
    (cmocka_set_message_output(CM_OUTPUT_TAP),                                         \
     cmocka_run_group_tests_name(name, tests, set_up, tear_down))

#endif
