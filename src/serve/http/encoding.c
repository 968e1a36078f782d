/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/encoding.h"

#include <gio/gio.h>
#include <string.h>

#define MIN_BYTES 1024 /* a shorter text fits into one packet */
#define LEVEL 4        /* of texts that are compressed for each request */

/* The quality of an element of the list, such as "gzip;q=0.5": 0 to 1. */
static double quality(const char *element)
{
    const char *parameter = strchr(element, ';');

    if (!parameter)
        return 1;
    parameter += 1 + strspn(parameter + 1, " \t");
    return g_ascii_strncasecmp(parameter, "q=", 2) == 0
               ? g_ascii_strtod(parameter + 2, NULL)
               : 1;
}

/* True if the name of the element is this one. */
static bool is_named(const char *element, const char *name)
{
    size_t n = strcspn(element, "; \t");

    return n == strlen(name) && g_ascii_strncasecmp(element, name, n) == 0;
}

bool serve_accepts_encoding(struct MHD_Connection *c, const char *coding)
{
    const char *list = MHD_lookup_connection_value(c, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_ACCEPT_ENCODING);
    double named = -1, others = 0;
    gchar **elements;

    if (!list)
        return false;
    elements = g_strsplit(list, ",", -1);
    for (int i = 0; elements[i]; i++) {
        const char *element = g_strstrip(elements[i]);

        if (is_named(element, coding))
            named = quality(element);
        else if (is_named(element, "*"))
            others = quality(element);
    }
    g_strfreev(elements);
    return (named < 0 ? others : named) > 0;
}

char *serve_gzip(const char *bytes, size_t size, int level, size_t *out_size)
{
    GZlibCompressor *gzip = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, level);
    char *out = g_malloc(size + 1);
    gsize read, written;

    if (g_converter_convert(G_CONVERTER(gzip), bytes, size, out, size,
                            G_CONVERTER_INPUT_AT_END, &read, &written,
                            NULL) == G_CONVERTER_FINISHED)
        *out_size = written;
    else { /* no room for the rest: it is not shorter */
        g_free(out);
        out = NULL;
    }
    g_object_unref(gzip);
    return out;
}

/* MHD_KeyValueIterator */
static enum MHD_Result copy_header(void *cls, enum MHD_ValueKind kind, const char *key,
                                   const char *value)
{
    (void)kind;
    return MHD_add_response_header(cls, key, value);
}

void serve_response_compress(struct serve_response *response, struct MHD_Connection *c)
{
    size_t size = (size_t)response->size, compressed;
    struct MHD_Response *r;
    char *bytes;

    if (!response->text || size < MIN_BYTES)
        return;
    MHD_add_response_header(response->mhd, MHD_HTTP_HEADER_VARY,
                            MHD_HTTP_HEADER_ACCEPT_ENCODING);
    if (!serve_accepts_encoding(c, "gzip") ||
        !(bytes = serve_gzip(response->text, size, LEVEL, &compressed)))
        return;
    r = MHD_create_response_from_buffer_with_free_callback(compressed, bytes, g_free);
    MHD_get_response_headers(response->mhd, copy_header, r);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    MHD_destroy_response(response->mhd);
    response->mhd = r;
    response->text = NULL;
    response->size = compressed;
}
