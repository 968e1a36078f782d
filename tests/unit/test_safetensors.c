/* SPDX-License-Identifier: MIT */
/* Valid and invalid small files with a first convolution of 2 channels. */
#include "config.h"

#include "temp_path.h"
#include "unit.h"

#include <string.h>
#include <unistd.h>

#include "model/safetensors.h"
#include "model/weights.h"

/* length 0: the true length of the header */
static void write_file(const char *header, uint64_t length, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    unsigned char b[8];

    assert_non_null(f);
    if (!length)
        length = strlen(header);
    for (int i = 0; i < 8; i++)
        b[i] = (unsigned char)(length >> 8 * i);
    fwrite(b, 1, 8, f);
    fwrite(header, 1, strlen(header), f);
    fwrite(data, 1, n, f);
    fclose(f);
}

static void expect(enum nst_status status, const char *message)
{
    struct nst_weights *w;
    struct nst_err err = {0};

    assert_int_equal(nst_weights_load(&w, path, 1, &err), status);
    assert_null(w);
    if (!strstr(err.text, message))
        fail_msg("'%s' does not say '%s'", err.text, message);
    assert_int_equal(strncmp(err.text, path, strlen(path)), 0);
}

static const char sound[] =
    "{\"features.0.weight\":{\"dtype\":\"F32\",\"shape\":[2,3,3,3],"
    "\"data_offsets\":[0,216]},\"features.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],"
    "\"data_offsets\":[216,224]}}";

static void a_sound_file_is_read(void **state)
{
    float data[56];
    struct nst_weights *w;
    struct nst_err err;

    (void)state;
    for (int i = 0; i < 56; i++)
        data[i] = (float)i;
    write_file(sound, 0, data, sizeof data);
    assert_int_equal(nst_weights_load(&w, path, 1, &err), NST_OK);
    assert_int_equal(w->conv[0].cin, 3);
    assert_int_equal(w->conv[0].cout, 2);
    assert_true(w->conv[0].weight[53] == 53 && w->conv[0].bias[1] == 55);
    nst_weights_free(w);
}

static void half_types_are_converted(void **state)
{
    /* 1, -2, the largest, the smallest normal, the smallest subnormal, and zeros */
    static const uint16_t half[56] = {0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x8000};
    static const float half_value[] = {
        1, -2, 65504, 6.103515625e-05f, 5.9604644775390625e-08f, 0};
    static const uint16_t brain[56] = {0x3f80, 0xc000, 0x3e80};
    static const float brain_value[] = {1, -2, 0.25f};
    static const char header[] =
        "{\"features.0.weight\":{\"dtype\":\"%s\",\"shape\":[2,3,3,3],"
        "\"data_offsets\":[0,108]},\"features.0.bias\":{\"dtype\":\"%s\",\"shape\":[2],"
        "\"data_offsets\":[108,112]}}";
    struct nst_weights *w;
    struct nst_err err;
    char text[400];

    (void)state;
    snprintf(text, sizeof text, header, "F16", "F16");
    write_file(text, 0, half, sizeof half);
    assert_int_equal(nst_weights_load(&w, path, 1, &err), NST_OK);
    for (int i = 0; i < 6; i++)
        assert_true(w->conv[0].weight[i] == half_value[i]);
    nst_weights_free(w);
    snprintf(text, sizeof text, header, "BF16", "BF16");
    write_file(text, 0, brain, sizeof brain);
    assert_int_equal(nst_weights_load(&w, path, 1, &err), NST_OK);
    for (int i = 0; i < 3; i++)
        assert_true(w->conv[0].weight[i] == brain_value[i]);
    nst_weights_free(w);
}

/* Write one F16 and read it back as a float. */
static float read_half(uint16_t half)
{
    struct nst_safetensors_writer *w = nst_safetensors_writer_new();
    struct nst_safetensors *f;
    struct nst_array a = {NST_F16, 1, {1}, 1, &half};
    struct nst_err err;
    float *v, value;

    nst_safetensors_write_array(w, "x", &a);
    assert_int_equal(nst_safetensors_write(w, path, &err), NST_OK);
    nst_safetensors_writer_free(w);
    assert_int_equal(nst_safetensors_open(&f, path, &err), NST_OK);
    assert_int_equal(nst_safetensors_find(f, "x", &a, &err), NST_OK);
    assert_int_equal(nst_safetensors_read_floats(f, "x", &a, &v, &err), NST_OK);
    value = *v;
    free(v);
    nst_safetensors_close(f);
    return value;
}

/* Every finite F16 survives a round trip. Other values become the nearest F16, ties to
 * even. */
static void floats_become_the_nearest_halves(void **state)
{
    static const uint16_t some[] = {0,      1,      2,      0x03ff, 0x0400, 0x0401,
                                    0x3bff, 0x3c00, 0x3c01, 0x7bfe, 0x7bff, 0x8000,
                                    0x8001, 0x83ff, 0xbc00, 0xfbff};

    (void)state;
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        assert_int_equal(nst_float_to_half(read_half(some[i])), some[i]);
    assert_int_equal(nst_float_to_half(1 + 0x1p-11f), 0x3c00);
    assert_int_equal(nst_float_to_half(1 + 0x1.8p-10f), 0x3c02);
    assert_int_equal(nst_float_to_half(1 + 0x1.1p-11f), 0x3c01);
    assert_int_equal(nst_float_to_half(0x1p-25f), 0);
    assert_int_equal(nst_float_to_half(0x1.8p-24f), 2);
    assert_int_equal(nst_float_to_half(65519.9f), 0x7bff);
    assert_int_equal(nst_float_to_half(65520), 0x7c00);
    assert_int_equal(nst_float_to_half(-1e9f), 0xfc00);
}

static void broken_files_say_what_and_where(void **state)
{
    static const float zeros[56];
    static const float bad[56] = {[7] = 0.0f / 0.0f};

    (void)state;
    write_file(sound, 0, zeros, sizeof zeros - 1);
    expect(NST_ERR_FORMAT, "features.0.bias: its bytes lie past the end");
    write_file(sound, 0, bad, sizeof bad);
    expect(NST_ERR_FORMAT, "features.0.weight: holds a value that is not finite");
    write_file(sound, 1 << 20, zeros, sizeof zeros);
    expect(NST_ERR_FORMAT, "a header of 1048576 bytes in a file of");
    write_file(sound, UINT64_MAX, zeros, sizeof zeros);
    expect(NST_ERR_FORMAT, "cut short");
    write_file("{]", 0, zeros, sizeof zeros);
    expect(NST_ERR_FORMAT, "not a JSON object");
    write_file("[1]", 0, zeros, sizeof zeros);
    expect(NST_ERR_FORMAT, "not a JSON object");
    write_file("{}", 0, zeros, sizeof zeros);
    expect(NST_ERR_FORMAT, "is not a VGG19: it has none of features.0.weight");
    assert_int_equal(truncate(path, 5), 0);
    expect(NST_ERR_FORMAT, "5 bytes are too few");
    assert_int_equal(truncate(path, 0), 0);
    expect(NST_ERR_IO, "is empty");
}

/* Write a file whose header is the valid one with one part replaced. */
static void write_changed(const char *from, const char *to)
{
    static const float zeros[56];
    const char *at = strstr(sound, from);
    char text[600];

    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - sound), sound, to,
             at + strlen(from));
    write_file(text, 0, zeros, sizeof zeros);
}

static void wrong_headers_say_what_and_where(void **state)
{
    (void)state;
    write_changed("[2,3,3,3]", "[2,3,3,5]");
    expect(NST_ERR_FORMAT, "features.0.weight: its shape and its number of bytes");
    write_changed("[2,3,3,3]", "[3,2,3,3]");
    expect(NST_ERR_FORMAT, "features.0.weight: the shape is not N x 3 x 3 x 3");
    write_changed("[2,3,3,3]", "[2,27]");
    expect(NST_ERR_FORMAT, "features.0.weight: the shape is not N x 3 x 3 x 3");
    write_changed("[2,3,3,3]", "[2,-3,-3,3]");
    expect(NST_ERR_FORMAT, "features.0.weight: the shape is none of up to four sides");
    write_changed("[2,3,3,3]", "[4000000000,4000000000,3,3]");
    expect(NST_ERR_FORMAT, "features.0.weight: the shape is none of up to four sides");
    write_changed("\"F32\",\"shape\":[2,3,", "\"F64\",\"shape\":[1,3,");
    expect(NST_ERR_FORMAT, "features.0.weight: the type is none of F32, F16 and BF16");
    write_changed("\"F32\",\"shape\":[2,", "\"C64\",\"shape\":[2,");
    expect(NST_ERR_FORMAT, "features.0.weight: the type is none that is known");
    write_changed("[0,216]", "[-8,208]");
    expect(NST_ERR_FORMAT, "features.0.weight: its bytes have no place");
    write_changed("[0,216]", "[216,0]");
    expect(NST_ERR_FORMAT, "features.0.weight: its bytes have no place");
    write_changed("[0,216]", "7");
    expect(NST_ERR_FORMAT, "features.0.weight: its bytes have no place");
    write_changed("[0,216]", "[9,1e999]");
    expect(NST_ERR_FORMAT, "not a JSON object");
    write_changed("features.0.bias", "features.0.bios");
    expect(NST_ERR_FORMAT, "features.0.bias: is not in the file");
    write_changed("[2],", "[1],");
    expect(NST_ERR_FORMAT, "features.0.bias: its shape and its number of bytes");
}

static void what_cannot_be_opened_is_named(void **state)
{
    struct nst_weights *w;
    struct nst_err err;

    (void)state;
    assert_int_equal(nst_weights_load(&w, "/no/such/file", 1, &err), NST_ERR_ARG);
    assert_string_equal(err.text, "/no/such/file: No such file or directory");
    assert_int_equal(nst_weights_load(&w, "/tmp", 1, &err), NST_ERR_ARG);
    assert_string_equal(err.text, "/tmp: is not a regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("a sound file is read", a_sound_file_is_read),
        SAYS("F16 and BF16 are converted", half_types_are_converted),
        SAYS("floats become the nearest halves", floats_become_the_nearest_halves),
        SAYS("broken files say what is wrong and where",
             broken_files_say_what_and_where),
        SAYS("wrong headers say what is wrong and where",
             wrong_headers_say_what_and_where),
        SAYS("what cannot be opened is named", what_cannot_be_opened_is_named),
    };

    return cmocka_run_group_tests(tests, make_path, drop_path);
}
