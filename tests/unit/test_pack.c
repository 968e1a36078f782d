/* SPDX-License-Identifier: MIT */
/* Valid and invalid style packs with layers of two channels. */
#include "config.h"

#include "temp_path.h"
#include "unit.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "model/safetensors.h"
#include "style/pack.h"

#define FINGERPRINT "00000000000000ab"

/* Contents of a file: arrays of the keys (ended by NULL), three elements for "products"
 * and two for "means", all equal to value. */
struct file {
    const char *format;
    float value;
    const char *key[8];
    const void *preview;
    size_t preview_size;
};

static void write_file(const struct file *f)
{
    struct nst_safetensors_writer *w = nst_safetensors_writer_new();
    const uint16_t half = nst_float_to_half(f->value), halves[3] = {half, half, half};
    struct nst_err err;

    nst_safetensors_write_metadata(w, "format", f->format);
    nst_safetensors_write_metadata(w, "model", "tiny");
    nst_safetensors_write_metadata(w, "from", "a\ntest");
    nst_safetensors_write_metadata(w, "title", "Squares");
    nst_safetensors_write_metadata(w, "pooling/" FINGERPRINT, "avg");
    for (int i = 0; f->key[i]; i++) {
        uint64_t n = strstr(f->key[i], "means") ? 2 : 3;

        nst_safetensors_write_array(w, f->key[i],
                                    &(struct nst_array){NST_F16, 1, {n}, n, halves});
    }
    if (f->preview)
        nst_safetensors_write_array(
            w, "preview",
            &(struct nst_array){
                NST_U8, 1, {f->preview_size}, f->preview_size, f->preview});
    assert_int_equal(nst_safetensors_write(w, path, &err), NST_OK);
    nst_safetensors_writer_free(w);
}

static struct nst_pack *load(const struct file *f)
{
    struct nst_pack *p;
    struct nst_err err;

    write_file(f);
    if (nst_pack_load(&p, path, &err) != NST_OK)
        fail_msg("%s", err.text);
    return p;
}

static void expect_refused(const struct file *f, const char *message)
{
    struct nst_pack *p;
    struct nst_err err;

    write_file(f);
    assert_int_equal(nst_pack_load(&p, path, &err), NST_ERR_FORMAT);
    assert_null(p);
    if (!strstr(err.text, message))
        fail_msg("'%s' does not say '%s'", err.text, message);
    assert_int_equal(strncmp(err.text, path, strlen(path)), 0);
}

#define LAYER(size, name) size "/" name "/" FINGERPRINT
#define BOTH(size, name) LAYER(size, name) "/means", LAYER(size, name) "/products"

static void each_layer_has_sizes_of_its_own(void **state)
{
    struct nst_pack *p = load(&(struct file){
        "nst style 2",
        1,
        {BOTH("200", "relu2_1"), BOTH("50", "relu2_1"), BOTH("100", "conv1_1")}});
    struct nst_pack_layer l;

    (void)state;
    assert_true(nst_pack_layer(p, 0, &l));
    assert_int_equal(l.sizes, 2);
    assert_int_equal(l.size[0], 50);
    assert_int_equal(l.size[1], 200);
    assert_int_equal(l.channels, 2);
    assert_string_equal(l.pooling, "avg");
    assert_true(nst_pack_layer(p, 1, &l));
    assert_int_equal(l.sizes, 1);
    assert_string_equal(l.pooling, "any");
    assert_false(nst_pack_layer(p, 2, &l));
    assert_string_equal(nst_pack_text(p, NST_PACK_TITLE), "Squares");
    assert_string_equal(nst_pack_text(p, NST_PACK_FROM), "a test");
    assert_null(nst_pack_text(p, NST_PACK_ARTIST));
    nst_pack_free(p);
}

static void packs_of_the_first_format_are_read(void **state)
{
    struct file f = {"nst style 1", 1, {BOTH("50", "conv1_1"), BOTH("50", "relu1_1")}};
    struct nst_pack *p = load(&f);

    (void)state;
    nst_pack_free(p);
    f = (struct file){
        "nst style 1",
        1,
        {BOTH("50", "conv1_1"), BOTH("50", "relu1_1"), BOTH("60", "relu1_1")}};
    expect_refused(&f, "a layer lacks a size");
    f.format = "nst style 3";
    expect_refused(&f, "does not say \"nst style 2\"");
}

/* The first element of the array of key in the file at path. */
static float value_at(const char *key)
{
    struct nst_safetensors *f;
    struct nst_array a;
    struct nst_err err;
    float *values, value;

    assert_int_equal(nst_safetensors_open(&f, path, &err), NST_OK);
    assert_int_equal(nst_safetensors_find(f, key, &a, &err), NST_OK);
    assert_int_equal(nst_safetensors_read_floats(f, key, &a, &values, &err), NST_OK);
    value = values[0];
    free(values);
    nst_safetensors_close(f);
    return value;
}

static void a_blend_has_the_sizes_of_the_first_pack(void **state)
{
    struct nst_pack *first =
        load(&(struct file){"nst style 2", 0, {BOTH("100", "relu2_1")}});
    struct nst_pack *low =
        load(&(struct file){"nst style 2", 1, {BOTH("50", "relu2_1")}});
    struct nst_pack *both = load(&(struct file){
        "nst style 2", 3, {BOTH("50", "relu2_1"), BOTH("200", "relu2_1")}});
    struct nst_err err;

    (void)state;
    assert_int_equal(nst_pack_match(first, both, &err), NST_OK);
    assert_int_equal(nst_pack_add_pack(first, low, 0.5, &err), NST_OK);
    assert_int_equal(nst_pack_add_pack(first, both, 0.5, &err), NST_OK);
    assert_int_equal(nst_pack_save(first, path, &err), NST_OK);
    assert_float_equal(value_at(LAYER("100", "relu2_1") "/products"), 2, 1e-3);
    nst_pack_free(first);
    nst_pack_free(low);
    nst_pack_free(both);
}

static void what_is_written_is_read_again(void **state)
{
    static const unsigned char jpeg[] = {0xff, 0xd8, 0xff, 0xe0, 0, 0xff, 0xd9};
    struct nst_pack *p =
        load(&(struct file){"nst style 1", 1, {BOTH("50", "relu2_1")}, NULL, 0});
    const void *preview;
    struct nst_err err;
    size_t size;

    (void)state;
    assert_null(nst_pack_preview(p, &size));
    nst_pack_set_text(p, NST_PACK_YEAR, "c. 1830\n");
    nst_pack_set_text(p, NST_PACK_TITLE, NULL);
    assert_int_equal(nst_pack_set_preview(p, jpeg, sizeof jpeg, &err), NST_OK);
    assert_int_equal(nst_pack_save(p, path, &err), NST_OK);
    nst_pack_free(p);
    assert_int_equal(nst_pack_load(&p, path, &err), NST_OK);
    assert_string_equal(nst_pack_text(p, NST_PACK_YEAR), "c. 1830 ");
    assert_null(nst_pack_text(p, NST_PACK_TITLE));
    preview = nst_pack_preview(p, &size);
    assert_int_equal(size, sizeof jpeg);
    assert_memory_equal(preview, jpeg, size);
    nst_pack_free(p);
}

static void broken_packs_say_what_is_wrong(void **state)
{
    static const unsigned char large[NST_PACK_PREVIEW_MAX + 1] = {0xff, 0xd8, 0xff};
    struct file f = {"nst style 2", 1, {BOTH("50", "relu2_1")}};

    (void)state;
    f.preview = large;
    f.preview_size = 100;
    expect_refused(&f, "the preview is not a JPEG");
    f.preview_size = sizeof large;
    expect_refused(&f, "may have 65536");
    f = (struct file){"nst style 2", 1, {LAYER("50", "relu2_1") "/means"}};
    expect_refused(&f, "is not in the file");
    f.key[0] = LAYER("050", "relu2_1") "/means";
    expect_refused(&f, "is not in the file");
    f.key[0] = LAYER("50", "relu9_1") "/means";
    expect_refused(&f, "it holds no layer");
    f = (struct file){"nst style 2", INFINITY, {BOTH("50", "relu2_1")}};
    expect_refused(&f, "50/relu2_1/" FINGERPRINT "/means");
}

static void a_layer_has_few_sizes(void **state)
{
    struct nst_safetensors_writer *w = nst_safetensors_writer_new();
    struct nst_pack *p;
    struct nst_err err;
    char key[64];
    static const uint16_t halves[2];

    (void)state;
    nst_safetensors_write_metadata(w, "format", "nst style 2");
    nst_safetensors_write_metadata(w, "model", "tiny");
    nst_safetensors_write_metadata(w, "from", "a test");
    for (int i = 0; i <= NST_PACK_SIZES; i++) {
        snprintf(key, sizeof key, "%d/relu2_1/" FINGERPRINT "/means", 10 + i);
        nst_safetensors_write_array(w, key,
                                    &(struct nst_array){NST_F16, 1, {2}, 2, halves});
    }
    assert_int_equal(nst_safetensors_write(w, path, &err), NST_OK);
    nst_safetensors_writer_free(w);
    assert_int_equal(nst_pack_load(&p, path, &err), NST_ERR_FORMAT);
    assert_non_null(strstr(err.text, "too many sizes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("each layer has sizes of its own", each_layer_has_sizes_of_its_own),
        SAYS("packs of the first format are read", packs_of_the_first_format_are_read),
        SAYS("a blend has the sizes of the first pack",
             a_blend_has_the_sizes_of_the_first_pack),
        SAYS("what is written is read again", what_is_written_is_read_again),
        SAYS("broken packs say what is wrong", broken_packs_say_what_is_wrong),
        SAYS("a layer has few sizes", a_layer_has_few_sizes),
    };

    return cmocka_run_group_tests(tests, make_path, drop_path);
}
