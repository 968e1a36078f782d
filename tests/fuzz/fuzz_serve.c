/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "fuzz_serve.h"

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "nst.h"
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
    if (record)  /* a valid request can be run */
        arguments = serve_request_arguments(record, &error);
    if (record && !arguments)
        abort();
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
