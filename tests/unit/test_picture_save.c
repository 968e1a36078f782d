/* SPDX-License-Identifier: MIT */
/* test_picture_save.c - metadata, and files that appear complete or not at all. */
#include "config.h"

#include "picture.h"

#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "image/modules.h"

static int files_in_folder(void)
{
    DIR *d = opendir(folder);
    int n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n;
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
    nst_modules_load();
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
    assert_int_equal(nst_output_write(out, p, p->rgb, NULL, &err), NST_ERR_SPACE);
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
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

    return RUN_PICTURE_TESTS("pictures: save", tests);
}
