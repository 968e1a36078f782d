/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/static_files.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "model/data_path.h"
#include "serve/http/encoding.h"
#include "serve/log.h"

#define MAX_FILE_BYTES ((size_t)8 << 20)

#define GZIP_LEVEL 9 /* at the start */

struct static_file {
    char *bytes;
    gsize size;
    struct serve_validator validator;
};

static GHashTable *files; /* struct static_file by path in the folder */

static const char fallback_page[] =
    "<!doctype html><html lang=en><meta charset=utf-8><title>nst</title>"
    "<h1>nst</h1><p>Neural style transfer. The interface is described by "
    "<a href=openapi.json>openapi.json</a>.";

static void free_file(gpointer p)
{
    g_free(((struct static_file *)p)->bytes);
    g_free(p);
}

/* Add a file; bytes is taken over. */
static void add_file(const char *name, char *bytes, size_t size)
{
    struct static_file p = {
        .bytes = bytes,
        .size = size,
        .validator = serve_validator_of_bytes(bytes, size),
    };

    g_hash_table_insert(files, g_strdup(name), g_memdup2(&p, sizeof p));
}

/* Load the files of the folder and of its subfolders, one level deep. */
static void load_folder(const char *folder, const char *prefix)
{
    GDir *d = g_dir_open(folder, 0, NULL);
    const char *name;

    while (d && (name = g_dir_read_name(d))) {
        char *path = g_build_filename(folder, name, NULL);
        char *key = g_strconcat(prefix, name, NULL);
        char *bytes;
        gsize size;

        if (g_file_test(path, G_FILE_TEST_IS_DIR) && !*prefix) {
            char *subfolder = g_strconcat(name, "/", NULL);

            load_folder(path, subfolder);
            g_free(subfolder);
        } else if (g_file_get_contents(path, &bytes, &size, NULL)) {
            if (size <= MAX_FILE_BYTES)
                add_file(key, bytes, size);
            else
                g_free(bytes);
        }
        g_free(key);
        g_free(path);
    }
    if (d)
        g_dir_close(d);
}

void serve_static_open(const char *folder)
{
    char *installed = folder ? NULL : nst_find_data("web");

    files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_file);
    if (folder || installed)
        load_folder(folder ? folder : installed, "");
    if (folder && !g_hash_table_lookup(files, "index.html"))
        serve_log(SERVE_WARNING, "%s: has no index.html", folder);
    free(installed);
}

void serve_static_add(const char *name, const char *text)
{
    size_t size = strlen(text), compressed = 0;
    char *gzip = serve_gzip(text, size, GZIP_LEVEL, &compressed);
    char *key = g_strconcat(name, ".gz", NULL);

    add_file(name, g_memdup2(text, size), size);
    if (gzip)
        add_file(key, gzip, compressed);
    g_free(key);
}

void serve_static_close(void)
{
    g_hash_table_destroy(files);
    files = NULL;
}

static const char *media_type(const char *name)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".webp", "image/webp"},
        {".ico", "image/x-icon"},
        {".woff2", "font/woff2"},
        {".webmanifest", "application/manifest+json"},
        {".json", "application/json"},
        {".txt", "text/plain; charset=utf-8"},
    };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (g_str_has_suffix(name, types[i][0]))
            return types[i][1];
    return "application/octet-stream";
}

/* The best variant of a file that the client accepts; *encoding NULL: uncompressed. */
static const struct static_file *find_file(struct serve_request *r, const char *name,
                                           const char **encoding)
{
    static const char *const encodings[][2] = {{"br", ".br"}, {"gzip", ".gz"}};

    for (size_t i = 0; i < 2; i++)
        if (serve_accepts_encoding(r->connection, encodings[i][0])) {
            char *key = g_strconcat(name, encodings[i][1], NULL);
            const struct static_file *p = g_hash_table_lookup(files, key);

            g_free(key);
            if (p) {
                *encoding = encodings[i][0];
                return p;
            }
        }
    *encoding = NULL;
    return g_hash_table_lookup(files, name);
}

/* The policy allows scripts, styles and pictures from this service only, and films that
 * the page itself holds: it decodes a film that the user has dropped. */
static struct MHD_Response *file_response(const char *bytes, size_t size,
                                          const char *type)
{
    struct MHD_Response *r = serve_response_add_headers(
        MHD_create_response_from_buffer(size, (void *)bytes, MHD_RESPMEM_PERSISTENT),
        type);

    MHD_add_response_header(
        r, "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: "
        "data:; media-src blob:; connect-src 'self'; font-src 'self'; manifest-src "
        "'self'; base-uri "
        "'none'; form-action 'none'; frame-ancestors 'none'");
    MHD_add_response_header(r, "Cross-Origin-Opener-Policy", "same-origin");
    MHD_add_response_header(r, "Permissions-Policy",
                            "camera=(self), microphone=(), geolocation=()");
    return r;
}

struct serve_response serve_static_file(struct serve_request *r, const char *name)
{
    static struct static_file fallback = {
        (char *)fallback_page, sizeof fallback_page - 1, {"\"fallback\"", 0}};
    /* file names in assets/ contain a hash of the contents */
    const char *cache = g_str_has_prefix(name, "assets/")
                            ? "public, max-age=31536000, immutable"
                            : "no-cache";
    const char *encoding;
    const struct static_file *p = find_file(r, name, &encoding);
    struct serve_response response;
    struct serve_selection s;

    if (!p && strcmp(name, "index.html") == 0)
        p = &fallback;
    if (!p)
        return serve_response_error(MHD_HTTP_NOT_FOUND, "not found");
    s = serve_select(r->connection, &p->validator, p->size, false);
    if (s.status != MHD_HTTP_OK)
        response = serve_response_unselected(&s, &p->validator, p->size, cache);
    else {
        response = (struct serve_response){
            .status = s.status,
            .mhd = file_response(p->bytes, p->size, media_type(name)),
            .size = p->size};
        serve_response_add_validator(response.mhd, &p->validator, cache);
        if (encoding)
            MHD_add_response_header(response.mhd, MHD_HTTP_HEADER_CONTENT_ENCODING,
                                    encoding);
    }
    MHD_add_response_header(response.mhd, MHD_HTTP_HEADER_VARY,
                            MHD_HTTP_HEADER_ACCEPT_ENCODING);
    return response;
}
