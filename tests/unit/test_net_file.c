/* SPDX-License-Identifier: MIT */
/* Valid and invalid files of feed-forward networks of width 2 with one block. */
#include "config.h"

#include "temp_path.h"
#include "unit.h"

#include <math.h>
#include <string.h>

#include "model/safetensors.h"
#include "net/net_file.h"

static const struct nst_net_shape tiny = {2, 1};

/* The changes of a file from a sound one; all NULL: none. */
struct change {
    const char *format, *width, *blocks; /* in place of the sound ones */
    const char *without;                 /* an array that is missing */
    const char *reshaped;                /* an array of another shape */
    const char *nan;                     /* an array with a NaN */
    const char *extra;                   /* one more array */
};

static bool is(const char *name, const char *other)
{
    return other && strcmp(name, other) == 0;
}

static void write_file(const struct change *c)
{
    struct nst_safetensors_writer *w = nst_safetensors_writer_new();
    float values[2000];
    float *nan = NULL;
    struct nst_net_parameter p;
    struct nst_err err;

    nst_safetensors_write_metadata(w, "format", c->format ? c->format : "nst net 1");
    nst_safetensors_write_metadata(w, "width", c->width ? c->width : "2");
    nst_safetensors_write_metadata(w, "blocks", c->blocks ? c->blocks : "1");
    nst_safetensors_write_metadata(w, "title", "Squares\nand circles");
    for (size_t i = 0; i < 2000; i++)
        values[i] = (float)i / 1024;
    for (int i = 0; nst_net_parameter(tiny, i, &p); i++) {
        struct nst_array a = {NST_F32, p.rank, {0}, p.count, values};

        for (int k = 0; k < p.rank; k++)
            a.shape[k] = (uint64_t)p.shape[k];
        if (is(p.name, c->reshaped)) {
            a.shape[0]++;
            a.count = a.count / (uint64_t)p.shape[0] * a.shape[0];
        }
        if (is(p.name, c->nan)) {
            a.bytes = nan = calloc(p.count, sizeof *nan);
            nan[0] = NAN;
        }
        if (!is(p.name, c->without))
            nst_safetensors_write_array(w, p.name, &a);
    }
    if (c->extra)
        nst_safetensors_write_array(w, c->extra,
                                    &(struct nst_array){NST_F32, 1, {1}, 1, values});
    assert_int_equal(nst_safetensors_write(w, path, &err), NST_OK);
    nst_safetensors_writer_free(w);
    free(nan);
}

static void load(struct nst_net_file *f)
{
    struct nst_err err;

    if (nst_net_file_load(f, path, &err) != NST_OK)
        fail_msg("%s", err.text);
}

static void expect_refused(const struct change *c, const char *message)
{
    struct nst_net_file f;
    struct nst_err err;

    write_file(c);
    assert_int_equal(nst_net_file_load(&f, path, &err), NST_ERR_FORMAT);
    nst_net_file_clear(&f);
    if (!strstr(err.text, message))
        fail_msg("'%s' does not say '%s'", err.text, message);
    assert_int_equal(strncmp(err.text, path, strlen(path)), 0);
    assert_null(strchr(err.text, '\n'));
}

static void a_file_is_read(void **state)
{
    struct nst_net_file f;
    struct nst_net_parameter p;

    (void)state;
    write_file(&(struct change){NULL});
    load(&f);
    assert_int_equal(f.weights.shape.width, 2);
    assert_int_equal(f.weights.shape.blocks, 1);
    assert_string_equal(f.text[NST_NET_TITLE], "Squares and circles");
    assert_null(f.text[NST_NET_ARTIST]);
    for (int i = 0; nst_net_parameter(tiny, i, &p); i++)
        for (size_t k = 0; k < p.count; k++)
            assert_true(f.weights.values[p.at + k] == (float)k / 1024);
    nst_net_file_clear(&f);
}

/* The arrays cover all parameters, each once. */
static void each_parameter_has_a_name(void **state)
{
    const struct nst_net_shape shapes[] = {{1, 1}, {16, 5}, {128, 16}};

    (void)state;
    for (size_t s = 0; s < 3; s++) {
        struct nst_net_weights w;
        struct nst_net_parameter p;
        struct nst_err err;
        size_t sum = 0;

        assert_int_equal(nst_net_weights_new(&w, shapes[s], &err), NST_OK);
        for (int i = 0; nst_net_parameter(shapes[s], i, &p); i++) {
            assert_int_equal(p.at, sum);
            sum += p.count;
        }
        assert_int_equal(sum, w.count);
        nst_net_weights_clear(&w);
    }
    struct nst_net_parameter p;

    assert_true(nst_net_parameter(tiny, 0, &p));
    assert_string_equal(p.name, "first.weight");
    assert_true(nst_net_parameter(tiny, 9, &p));
    assert_string_equal(p.name, "block1.conv1.weight");
    assert_true(nst_net_parameter(tiny, 22, &p));
    assert_string_equal(p.name, "last.bias");
    assert_false(nst_net_parameter(tiny, 23, &p));
}

static void a_file_is_written(void **state)
{
    static const unsigned char jpeg[] = {0xff, 0xd8, 0xff, 1, 2, 0xff, 0xd9};
    struct nst_net_file f, g;
    struct nst_err err;

    (void)state;
    for (int half = 0; half <= 1; half++) {
        write_file(&(struct change){NULL});
        load(&f);
        nst_net_file_set_text(&f, NST_NET_TRAINING, "2 steps");
        assert_int_equal(nst_net_file_set_preview(&f, "no", 2, &err), NST_ERR_ARG);
        assert_int_equal(nst_net_file_set_preview(&f, jpeg, sizeof jpeg, &err), NST_OK);
        assert_int_equal(nst_net_file_save(&f, path, half, &err), NST_OK);
        load(&g);
        assert_string_equal(g.text[NST_NET_TRAINING], "2 steps");
        assert_int_equal(g.preview_size, sizeof jpeg);
        assert_memory_equal(g.preview, jpeg, sizeof jpeg);
        /* the values are multiples of 1/1024 below 2, which F16 holds */
        assert_memory_equal(g.weights.values, f.weights.values,
                            f.weights.count * sizeof(float));
        nst_net_file_clear(&g);
        assert_int_equal(nst_net_file_load_texts(&g, path, &err), NST_OK);
        assert_int_equal(g.weights.shape.width, 2);
        assert_null(g.weights.values);
        nst_net_file_clear(&g);
        f.weights.values[3] = 1e6f;
        assert_int_equal(nst_net_file_save(&f, path, half, &err),
                         half ? NST_ERR_ARG : NST_OK);
        f.weights.values[3] = NAN;
        assert_int_equal(nst_net_file_save(&f, path, half, &err), NST_ERR_ARG);
        nst_net_file_clear(&f);
    }
}

static void wrong_files_are_refused(void **state)
{
    (void)state;
    expect_refused(&(struct change){.format = "nst style 2"}, "\"nst net 1\"");
    expect_refused(&(struct change){.format = "nst net 2"}, "newer nst");
    expect_refused(&(struct change){.width = "129"}, "a width of 1 to 128");
    expect_refused(&(struct change){.width = "0"}, "a width of 1 to 128");
    expect_refused(&(struct change){.width = "2x"}, "a width of 1 to 128");
    expect_refused(&(struct change){.width = "99999999999999999999"},
                   "a width of 1 to 128");
    expect_refused(&(struct change){.blocks = "17"}, "blocks of 1 to 16");
    expect_refused(&(struct change){.width = "4"}, "first.weight: the shape");
    expect_refused(&(struct change){.blocks = "2"}, "block2.conv1.weight");
    expect_refused(&(struct change){.without = "up1.shift"}, "up1.shift: is not in");
    expect_refused(&(struct change){.reshaped = "last.bias"}, "last.bias: the shape");
    expect_refused(&(struct change){.nan = "down1.scale"}, "down1.scale");
    expect_refused(&(struct change){.nan = "down1.scale"}, "not finite");
    expect_refused(&(struct change){.extra = "block2.conv1.weight"},
                   "block2.conv1.weight: is no part of a network with 1 block");
    expect_refused(&(struct change){.extra = "preview"}, "preview");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("a file is read", a_file_is_read),
        SAYS("the arrays are all parameters, each once", each_parameter_has_a_name),
        SAYS("a file is written as 32-bit and 16-bit floats", a_file_is_written),
        SAYS("wrong files are refused in one line", wrong_files_are_refused),
    };

    return cmocka_run_group_tests(tests, make_path, drop_path);
}
