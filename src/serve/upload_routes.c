/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/upload_routes.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "serve/labels.h"
#include "serve/store.h"
#include "serve/styles.h"
#include "serve/usage.h"

/* A message with the name and URLs of a stored picture. */
static json_t *stored(const char *message, const char *folder, const char *name)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:o}", "message", message, "filename", name,
                     "url", serve_url(folder, name), "thumbnail", serve_thumb_url(name),
                     "rendition", serve_version_url("renditions", name));
}

/* Whether the limits allow the picture of the request. False: *response. */
static bool may_store(struct serve_request *r, const char *folder,
                      struct serve_response *response)
{
    bool is_style = strcmp(folder, "styles") == 0;

    if (is_style && serve_styles_count() >= (size_t)r->settings->max_styles) {
        *response = serve_response_because(
            SERVE_REASON_STYLES_FULL,
            serve_response_error(MHD_HTTP_INSUFFICIENT_STORAGE,
                                 "there are %lld styles already: delete one first",
                                 (long long)r->settings->max_styles));
        return false;
    }
    return serve_usage_allows_bytes(&r->identity, serve_upload_size(r->upload),
                                    response);
}

/* Keep the picture of the request: its name, a new string. NULL: *response is the
 * error. */
static char *store_picture(struct serve_request *r, const char *folder,
                           struct serve_response *response)
{
    char *name = serve_upload_name(r->upload, folder, &r->identity, response);

    if (!name || serve_upload_is_stored(folder, name) ||
        (may_store(r, folder, response) &&
         serve_upload_store(r->upload, folder, name, &r->identity, response)))
        return name;
    free(name);
    return NULL;
}

struct serve_response serve_post_content(struct serve_request *r)
{
    struct serve_response response;
    char *name = store_picture(r, "uploads", &response);

    if (!name)
        return response;
    g_strlcpy(r->created, name, sizeof r->created);
    free(name);
    return serve_response_json(MHD_HTTP_OK,
                               stored("the picture is stored", "uploads", r->created));
}

/* Set the label of one's own style. False: *response. */
static bool set_label(struct serve_request *r, const char *style, const char *label,
                      struct serve_response *response)
{
    switch (serve_styles_rename(&r->identity, style, label)) {
    case SERVE_RENAME_OK:
        return true;
    case SERVE_RENAME_UNKNOWN:
        *response = serve_response_unknown("style", style);
        return false;
    default:
        *response = serve_response_error(serve_store_is_disk_full(errno)
                                             ? MHD_HTTP_INSUFFICIENT_STORAGE
                                             : MHD_HTTP_INTERNAL_SERVER_ERROR,
                                         "label: cannot be kept: %s", strerror(errno));
        return false;
    }
}

struct serve_response serve_post_style(struct serve_request *r)
{
    struct serve_response response;
    char *name = store_picture(r, "styles", &response), *label;
    json_t *j;

    if (!name)
        return response;
    g_strlcpy(r->created, name, sizeof r->created);
    free(name);
    serve_styles_add(r->created);
    label = serve_upload_label(r->upload);
    if (label && !set_label(r, r->created, label, &response)) {
        free(label);
        return response;
    }
    j = stored("the style is stored", "styles", r->created);
    json_object_set_new(j, "label", label ? json_string(label) : json_null());
    free(label);
    return serve_response_json(MHD_HTTP_OK, j);
}

struct serve_response serve_patch_style(struct serve_request *r)
{
    const char *text = json_string_value(json_object_get(r->body, "label"));
    char *label = text ? serve_label_clean(text) : NULL;
    struct serve_response response;

    if (json_object_size(r->body) > 1) {
        free(label);
        return serve_response_error(MHD_HTTP_BAD_REQUEST,
                                    "only the label of a style can be changed: send no "
                                    "other field");
    }
    if (!label)
        return serve_response_error(MHD_HTTP_BAD_REQUEST,
                                    "label: must be a text of 1 to %d characters: give "
                                    "the style a name",
                                    SERVE_MAX_LABEL);
    if (set_label(r, r->argument, label, &response))
        response = serve_response_json(
            MHD_HTTP_OK,
            json_pack("{s:s, s:s}", "message", "the style is renamed", "label", label));
    free(label);
    return response;
}
