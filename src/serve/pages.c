/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/pages.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "serve/log.h"

#define MOST_BYTES ((size_t)8 << 20) /* of a file */

struct page {
    char *bytes;
    gsize size;
};

static GHashTable *pages; /* by their path in the folder */

static const char plain[] =
    "<!doctype html><html lang=en><meta charset=utf-8><title>nst</title>"
    "<h1>nst</h1><p>Neural style transfer. The interface is described by "
    "<a href=openapi.json>openapi.json</a>.";

static void free_page(gpointer p)
{
    g_free(((struct page *)p)->bytes);
    g_free(p);
}

/* All files of the folder and of those in it, two deep. */
static void read_folder(const char *folder, const char *below)
{
    GDir *d = g_dir_open(folder, 0, NULL);
    const char *name;

    while (d && (name = g_dir_read_name(d))) {
        char *path = g_build_filename(folder, name, NULL);
        char *key = g_strconcat(below, name, NULL);
        struct page p;

        if (g_file_test(path, G_FILE_TEST_IS_DIR) && !*below) {
            char *inner = g_strconcat(name, "/", NULL);

            read_folder(path, inner);
            g_free(inner);
        } else if (g_file_get_contents(path, &p.bytes, &p.size, NULL)) {
            if (p.size <= MOST_BYTES)
                g_hash_table_insert(pages, g_strdup(key), g_memdup2(&p, sizeof p));
            else
                g_free(p.bytes);
        }
        g_free(key);
        g_free(path);
    }
    if (d)
        g_dir_close(d);
}

void serve_pages_open(const char *folder)
{
    char *installed = folder ? NULL : nst_search_data("web");

    pages = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_page);
    if (folder || installed)
        read_folder(folder ? folder : installed, "");
    if (folder && !g_hash_table_lookup(pages, "index.html"))
        serve_log(SERVE_WARNING, "%s: has no index.html", folder);
    free(installed);
}

void serve_pages_close(void)
{
    g_hash_table_destroy(pages);
    pages = NULL;
}

static const char *type_of(const char *name)
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

/* Is it in a list as of Accept-Encoding, and not with a quality of 0? */
static bool takes(const char *list, const char *coding)
{
    gchar **each = g_strsplit(list, ",", -1);
    bool taken = false;

    for (int i = 0; each[i] && !taken; i++) {
        const char *q = strchr(each[i], ';');
        char *name = g_strndup(each[i], q ? (gsize)(q - each[i]) : strlen(each[i]));

        if (q)
            q = strstr(q, "q=");
        taken = g_ascii_strcasecmp(g_strstrip(name), coding) == 0 &&
                !(q && g_ascii_strtod(q + 2, NULL) <= 0);
        g_free(name);
    }
    g_strfreev(each);
    return taken;
}

/* What is there of the file in a form that the client takes; *encoding may be NULL. */
static const struct page *find(struct serve_request *r, const char *name,
                               const char **encoding)
{
    static const char *const forms[][2] = {{"br", ".br"}, {"gzip", ".gz"}};
    const char *list = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_ACCEPT_ENCODING);

    for (size_t i = 0; list && i < 2; i++)
        if (takes(list, forms[i][0])) {
            char *key = g_strconcat(name, forms[i][1], NULL);
            const struct page *p = g_hash_table_lookup(pages, key);

            g_free(key);
            if (p) {
                *encoding = forms[i][0];
                return p;
            }
        }
    *encoding = NULL;
    return g_hash_table_lookup(pages, name);
}

/* Scripts, styles and pictures from here alone. */
static struct MHD_Response *page_response(const char *bytes, size_t size,
                                          const char *type)
{
    struct MHD_Response *r = serve_response(
        MHD_create_response_from_buffer(size, (void *)bytes, MHD_RESPMEM_PERSISTENT),
        type);

    MHD_add_response_header(
        r, "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: "
        "data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri "
        "'none'; form-action 'none'; frame-ancestors 'none'");
    MHD_add_response_header(r, "Cross-Origin-Opener-Policy", "same-origin");
    MHD_add_response_header(r, "Permissions-Policy",
                            "camera=(self), microphone=(), geolocation=()");
    return r;
}

struct serve_answer serve_page(struct serve_request *r, const char *name)
{
    const char *encoding;
    const struct page *p = find(r, name, &encoding);
    struct MHD_Response *response;

    if (p)
        response = page_response(p->bytes, p->size, type_of(name));
    else if (strcmp(name, "index.html") == 0)
        response = page_response(plain, sizeof plain - 1, type_of(name));
    else
        return serve_answer_error(MHD_HTTP_NOT_FOUND, "not found");
    if (encoding)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, encoding);
    MHD_add_response_header(response, MHD_HTTP_HEADER_VARY,
                            MHD_HTTP_HEADER_ACCEPT_ENCODING);
    /* the names below assets/ change with what is in them */
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
                            g_str_has_prefix(name, "assets/")
                                ? "public, max-age=31536000, immutable"
                                : "no-cache");
    return (struct serve_answer){MHD_HTTP_OK, response};
}
