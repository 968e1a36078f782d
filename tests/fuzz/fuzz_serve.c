/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "fuzz_serve.h"

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nst.h"
#include "serve/http/multipart.h"
#include "serve/pictures.h"
#include "serve/request.h"
#include "serve/store.h"
#include "serve/strip/strip.h"
#include "serve/styles.h"

static const struct serve_settings settings = {
    .styles = "../styles", .max_size = 2048, .min_steps = 100, .max_pixels = 1000};

/* Open a store with an upload called a, and the bundled styles. */
static void open_store(void)
{
    static bool opened;
    struct nst_err err;
    FILE *f;

    if (opened)
        return;
    opened = true;
    if (serve_store_open("fuzz-data", false, NULL, &err) != NST_OK ||
        !(f = fopen("fuzz-data/uploads/a", "w")))
        abort();
    fclose(f);
    serve_styles_open(&settings);
}

void fuzz_request(const char *path)
{
    json_t *body = json_load_file(path, JSON_REJECT_DUPLICATES, NULL), *record = NULL;
    char *error = NULL, **arguments = NULL;

    open_store();
    if (json_is_object(body))
        record = serve_request_parse(body, &settings, NULL, &error);
    if (json_is_object(body) && !record && !error)
        abort(); /* refused without a message */
    if (record)  /* a valid request can be run, and posted again */
        arguments = serve_request_arguments(record, &error);
    if (record && !arguments)
        abort();
    if (record) {
        json_t *again = serve_request_json(record),
               *same = serve_request_parse(again, &settings, NULL, &error);

        if (!json_equal(record, same))
            abort();
        json_decref(again);
        json_decref(same);
    }
    g_strfreev(arguments);
    free(error);
    json_decref(record);
    json_decref(body);
}

void fuzz_kind(const char *path)
{
    char *error = NULL;

    if (!serve_picture_extension(path, &error) && !error)
        abort();
    free(error);
}

void fuzz_strip(const char *path)
{
    static const char copy[] = "fuzz-copy";
    char *error = NULL;

    unlink(copy);
    if (serve_strip(path, copy, &error) != SERVE_STRIP_OK && !error)
        abort();
    free(error);
}

/* serve_part_fn. Separates the parts. */
static void collect(void *ctx, const char *name, bool begins, const char *bytes,
                    size_t size)
{
    if (begins)
        g_string_append_printf(ctx, "[%s]", name);
    else
        g_string_append_len(ctx, bytes, (gssize)size);
}

/* Parse a form in pieces of so many bytes: its parts and its error, a new string. */
static GString *parse_form(const char *type, const char *body, size_t size,
                           size_t piece)
{
    GString *parts = g_string_new(NULL);
    struct serve_multipart *m = serve_multipart_new(type, collect, parts);
    const char *error;

    for (size_t at = 0; m && at < size; at += piece)
        serve_multipart_add(m, body + at, MIN(piece, size - at));
    error = m ? serve_multipart_error(m) : "no form";
    g_string_append(parts, error ? error : "complete");
    serve_multipart_free(m);
    return parts;
}

/* The parts must not depend on how the body is cut into pieces. */
void fuzz_multipart(const char *path)
{
    char *text, *body, *type;
    gsize size;

    if (!g_file_get_contents(path, &text, &size, NULL))
        return;
    body = memchr(text, '\n', size);
    if (body) {
        GString *whole, *bytes;

        *body++ = 0;
        size -= (gsize)(body - text);
        type = g_strdup_printf("multipart/form-data; boundary=%s", text);
        whole = parse_form(type, body, size, size + 1);
        bytes = parse_form(type, body, size, 1);
        if (!g_string_equal(whole, bytes))
            abort();
        g_string_free(whole, TRUE);
        g_string_free(bytes, TRUE);
        g_free(type);
    }
    g_free(text);
}
