/* SPDX-License-Identifier: MIT */
/*
 * test_multipart.c - forms as clients write them, in pieces of any size.
 */
#include "config.h"

#include "unit.h"

#include <glib.h>
#include <string.h>

#include "serve/http/multipart.h"

#define FIELD "Content-Disposition: form-data; name=\"a\"\r\n"

/* serve_part_fn. Writes parts as NAME=CONTENTS; */
static void collect(void *ctx, const char *name, bool begins, const char *bytes,
                    size_t size)
{
    if (begins)
        g_string_append_printf(ctx, ";%s=", name);
    else
        g_string_append_len(ctx, bytes, (gssize)size);
}

/* Parse a form in pieces: its parts, and its error if there is one; "no" if the type is
 * that of no form. */
static char *parse(const char *type, const char *body, size_t size, size_t piece)
{
    GString *parts = g_string_new(NULL);
    struct serve_multipart *m = serve_multipart_new(type, collect, parts);
    const char *error;

    for (size_t at = 0; m && at < size; at += piece)
        serve_multipart_add(m, body + at, MIN(piece, size - at));
    error = m ? serve_multipart_error(m) : "no";
    g_string_append(parts, error ? error : "");
    serve_multipart_free(m);
    return g_string_free(parts, FALSE);
}

static void check(const char *type, const char *body, const char *wanted)
{
    size_t size = strlen(body);

    for (size_t piece = 1; piece <= size; piece++) {
        char *parts = parse(type, body, size, piece);

        assert_string_equal(parts, wanted);
        g_free(parts);
    }
}

static void takes_every_form_of_the_type(void **state)
{
    static const char body[] = "--x\r\n" FIELD "\r\n1\r\n--x--\r\n";

    (void)state;
    check("multipart/form-data; boundary=x", body, ";a=1");
    check("Multipart/Form-Data;BOUNDARY=x", body, ";a=1");
    check("multipart/form-data; boundary=x; charset=utf-8", body, ";a=1");
    check("multipart/form-data; charset=\"a;boundary=y\"; boundary=\"x\"", body,
          ";a=1");
    check("multipart/form-data ; boundary=x \t", body, ";a=1");
    check("multipart/form-data; boundary=\"\\x\"", body, ";a=1");
    check("multipart/form-data; boundary=\"a: b\"",
          "--a: b\r\n" FIELD "\r\n1\r\n--a: b--", ";a=1");
    check("multipart/form-data; boundary=y", body,
          "has no line that begins with two hyphens and the boundary");
}

static void refuses_other_types(void **state)
{
    char *seventy = g_strnfill(70, 'b'), *more = g_strnfill(71, 'b');
    char *longest = g_strconcat("multipart/form-data; boundary=", seventy, NULL);
    char *too_long = g_strconcat("multipart/form-data; boundary=", more, NULL);

    (void)state;
    check(NULL, "x", "no");
    check("multipart/mixed; boundary=x", "x", "no");
    check("multipart/form-datax; boundary=x", "x", "no");
    check("multipart/form-data", "x", "no");
    check("multipart/form-data; boundary=", "x", "no");
    check("multipart/form-data; boundary=\"x \"", "x", "no");
    check("multipart/form-data; boundary=\"\x01\"", "x", "no");
    check(longest, "x", "has no line that begins with two hyphens and the boundary");
    check(too_long, "x", "no");
    g_free(seventy);
    g_free(more);
    g_free(longest);
    g_free(too_long);
}

static void skips_what_is_around_the_parts(void **state)
{
    static const char type[] = "multipart/form-data; boundary=x";

    (void)state;
    check(type, "hello\r\n-- x\r\n--x\r\n" FIELD "\r\n1\r\n--x--more\r\n--x\r\n",
          ";a=1");
    check(type, "hello--x\r\n--x \t \r\n" FIELD "\r\n1\r\n--x--", ";a=1");
    check(type, "--x--", "");
}

static void keeps_false_boundaries(void **state)
{
    static const char type[] = "multipart/form-data; boundary=x";

    (void)state;
    check(type, "--x\r\n" FIELD "\r\n\r\r\n--\r\n--xy\r\n--x \r\r\n-\r\n--x--",
          ";a=\r\r\n--\r\n--xy\r\n--x \r\r\n-");
    check(type, "--x\r\n" FIELD "\r\n--x-\r\n--x--", ";a=--x-");
    check(type, "--x\r\n" FIELD "\r\n--xy--\r\n--x--", ";a=--xy--");
}

static void separates_parts(void **state)
{
    static const char type[] = "multipart/form-data; boundary=x";

    (void)state;
    check(type, "--x\r\n" FIELD "\r\n\r\n--x\r\n" FIELD "\r\n--x--", ";a=;a=");
    check(type,
          "--x\r\nX: y\r\n\r\n1\r\n--x\r\n\r\n2\r\n--x\r\n" FIELD "\r\n3\r\n--x--",
          ";a=3");
    check(
        type,
        "--x\r\nX: y\r\ncontent-disposition:\r\n form-data ;\r\n\tfilename=\"; name=b;"
        "\"; NAME=c\r\nY: z\r\n\r\n1\r\n--x--",
        ";c=1");
    check(
        type,
        "--x\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1\r\n--x\r\n"
        "Content-Disposition: form-data; filename=\"a\\\"; name=b\"\r\n\r\n2\r\n--x--",
        "");
}

static void says_what_is_wrong(void **state)
{
    static const char type[] = "multipart/form-data; boundary=x";
    static const char nul[] = "--x\r\nX: \0\r\n\r\n";
    static const char cut[] = "is cut short: its last boundary is missing";
    char *blanks = g_strnfill(300, ' '), *header = g_strnfill(17000, 'a');
    char *padded = g_strconcat("--x", blanks, NULL), *large, *parts;

    (void)state;
    check(type, "--x\r\n" FIELD, cut);
    check(type, "--x\r\nX: y\r\n\r\n1\r\n--x", cut);
    check(type, padded, "has too many blanks after a boundary");
    parts = parse(type, nul, sizeof nul - 1, 3);
    assert_string_equal(parts, "has a NUL byte in the header of a part");
    g_free(parts);
    large = g_strconcat("--x\r\nX: ", header, "\r\n\r\n1\r\n--x--", NULL);
    parts = parse(type, large, strlen(large), 4096);
    assert_string_equal(parts, "has a part with a header of more than 16 KiB");
    g_free(parts);
    g_free(large);
    g_free(padded);
    g_free(blanks);
    g_free(header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAYS("a form is found with every way to write its boundary",
             takes_every_form_of_the_type),
        SAYS("other types, and boundaries that are none, are refused",
             refuses_other_types),
        SAYS("what is before the first and after the last boundary is skipped",
             skips_what_is_around_the_parts),
        SAYS("contents that resemble a boundary are kept", keeps_false_boundaries),
        SAYS("parts have the name of their field", separates_parts),
        SAYS("an incomplete form is described", says_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
