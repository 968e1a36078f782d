/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/share_page.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "serve/http/address.h"
#include "serve/store.h"

static const char base_style[] =
    ":root{color-scheme:light dark}"
    "body{margin:0;background:light-dark(#eef4fd,#0a1122)}"
    "main{min-height:100vh;min-height:100dvh;box-sizing:border-box;padding:"
    "1rem;"
    "display:flex;flex-direction:column;align-items:center;justify-content:center;"
    "gap:.75rem;text-align:center;font:1rem/1.5 system-ui,'Segoe UI',Roboto,sans-serif;"
    "color:light-dark(#101c36,#edf2fc)}"
    "img{display:block;height:auto;border-radius:.75rem;box-shadow:0 .5rem 2rem #0004}"
    "h1{margin:0;font-size:1.25rem;overflow-wrap:anywhere}"
    "p{margin:0;color:light-dark(#4a5a78,#a9b8d4)}";

/* The style of a page with a picture of these sides: as large as the window allows, up
 * to twice its size. A new string. */
static char *picture_style(int width, int height)
{
    return nst_xasprintf("%simg{width:min(100%%,(100vh - 8rem)*%d/%d,%dpx);"
                         "width:min(100%%,(100dvh - 8rem)*%d/%d,%dpx)}",
                         base_style, width, height, 2 * width, width, height,
                         2 * width);
}

/* Add a display name for van-gogh or starry_night.jpg: every word is capitalised. */
static void add_readable(GString *to, const char *name)
{
    const char *dot = strrchr(name, '.');
    size_t n = dot ? (size_t)(dot - name) : strlen(name);
    bool begins = true;

    for (size_t i = 0; i < n; i++) {
        bool gap = strchr("-_. ", name[i]) != NULL;

        if (!gap && begins && to->len && to->str[to->len - 1] != ' ')
            g_string_append_c(to, ' ');
        if (!gap)
            g_string_append_c(to, begins ? g_ascii_toupper(name[i]) : name[i]);
        begins = gap;
    }
}

/* The names of uploads are generated, and say nothing. */
static void add_style(GString *to, const char *name)
{
    if (!name || serve_store_is_generated_name(name))
        return;
    if (to->len)
        g_string_append(to, " + ");
    add_readable(to, name);
}

char *serve_share_title(const json_t *progress)
{
    const json_t *request = json_object_get(progress, "request"), *one;
    GString *names = g_string_new(NULL);
    char *title;
    size_t i;

    add_style(names, json_string_value(json_object_get(request, "style_image")));
    json_array_foreach(json_object_get(request, "styles"), i, one)
        add_style(names, json_string_value(json_object_get(one, "name")));
    title = names->len ? nst_xasprintf("In the style of %s", names->str)
                       : nst_xstrdup("A painting of a photograph");
    g_string_free(names, TRUE);
    return title;
}

static void add_meta(GString *s, const char *kind, const char *name,
                     const char *content)
{
    char *text = g_markup_escape_text(content, -1);

    g_string_append_printf(s, "<meta %s=\"%s\" content=\"%s\">\n", kind, name, text);
    g_free(text);
}

static void add_number(GString *s, const char *name, int n)
{
    char text[16];

    g_snprintf(text, sizeof text, "%d", n);
    add_meta(s, "property", name, text);
}

/* The address of the page for other machines; without a Host header, its path. */
static char *address_of(const struct serve_request *r, const char *token)
{
    const char *host = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_HOST);
    json_t *path = serve_url("share", token);
    const char *scheme = serve_client_uses_tls(r->connection, r->settings->behind_proxy)
                             ? "https"
                             : "http";
    char *address =
        host ? nst_xasprintf("%s://%s%s", scheme, host, json_string_value(path))
             : nst_xstrdup(json_string_value(path));

    json_decref(path);
    return address;
}

static void add_head(GString *s, const char *title, const char *style)
{
    char *text = g_markup_escape_text(title, -1);

    g_string_append_printf(
        s,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"robots\" content=\"noindex, nofollow\">\n"
        "<title>%s · nst</title>\n<style>%s</style>\n",
        text, style);
    g_free(text);
}

/* The policy allows this style and pictures of this service, and nothing else. The text
 * is taken over. */
static struct serve_response page(unsigned status, GString *s, const char *style)
{
    size_t size = s->len, digest_size = 32;
    char *text = g_string_free(s, FALSE), *hash, *policy;
    struct serve_response response = {
        .status = status,
        .mhd = serve_response_add_headers(
            MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE),
            "text/html; charset=utf-8"),
        .text = text,
        .size = size};
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
    guint8 digest[32];

    g_checksum_update(sum, (const guchar *)style, (gssize)strlen(style));
    g_checksum_get_digest(sum, digest, &digest_size);
    hash = g_base64_encode(digest, digest_size);
    policy = nst_xasprintf("default-src 'none'; img-src 'self'; style-src 'sha256-%s'; "
                           "base-uri 'none'; form-action 'none'; frame-ancestors "
                           "'none'",
                           hash);
    MHD_add_response_header(response.mhd, "Content-Security-Policy", policy);
    MHD_add_response_header(response.mhd, "X-Robots-Tag", "noindex, nofollow");
    MHD_add_response_header(response.mhd, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    free(policy);
    g_free(hash);
    g_checksum_free(sum);
    return response;
}

static void add_open_graph(GString *s, const char *address, const json_t *share)
{
    const char *title = json_string_value(json_object_get(share, "title"));
    char *picture = nst_xasprintf("%s/picture.jpg", address);

    add_meta(s, "property", "og:type", "website");
    add_meta(s, "property", "og:site_name", "nst");
    add_meta(s, "property", "og:title", title);
    add_meta(s, "property", "og:description", "A photograph, painted by a computer");
    add_meta(s, "property", "og:url", address);
    add_meta(s, "property", "og:image", picture);
    add_meta(s, "property", "og:image:type", "image/jpeg");
    add_number(s, "og:image:width",
               (int)json_integer_value(json_object_get(share, "width")));
    add_number(s, "og:image:height",
               (int)json_integer_value(json_object_get(share, "height")));
    add_meta(s, "property", "og:image:alt", title);
    add_meta(s, "name", "twitter:card", "summary_large_image");
    free(picture);
}

struct serve_response serve_share_page(const struct serve_request *r, const char *token,
                                       const json_t *share)
{
    const char *title = json_string_value(json_object_get(share, "title"));
    int width = (int)json_integer_value(json_object_get(share, "width"));
    int height = (int)json_integer_value(json_object_get(share, "height"));
    char *text = g_markup_escape_text(title, -1), *address = address_of(r, token);
    char *style = picture_style(width, height);
    GString *s = g_string_new(NULL);
    struct serve_response response;

    add_head(s, title, style);
    add_open_graph(s, address, share);
    g_string_append_printf(
        s,
        "<link rel=\"icon\" href=\"%s/picture.jpg\">\n"
        "</head>\n<body>\n<main>\n<img src=\"%s/picture.jpg\" width=\"%d\" "
        "height=\"%d\" "
        "alt=\"%s\">\n<h1>%s</h1>\n<p>A photograph, painted by a computer</p>\n"
        "</main>\n</body>\n</html>\n",
        token, token, width, height, text, text);
    response = page(MHD_HTTP_OK, s, style);
    free(style);
    free(address);
    g_free(text);
    return response;
}

struct serve_response serve_share_gone(void)
{
    GString *s = g_string_new(NULL);

    add_head(s, "This picture is not shared", base_style);
    g_string_append(
        s, "</head>\n<body>\n<main>\n<h1>This picture is not shared</h1>\n<p>Its "
           "owner has deleted it or ended the link, or the address is not "
           "complete.</p>\n</main>\n</body>\n</html>\n");
    return page(MHD_HTTP_NOT_FOUND, s, base_style);
}
