/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/sign_in.h"

#include <stdlib.h>
#include <string.h>

#include "serve/http/auth.h"

#define REMEMBER_SECONDS (30 * 24 * 3600)

/* Who sends the request, and the limits that apply to him. */
static struct serve_response describe(const struct serve_identity *who)
{
    const struct serve_quota *q = &who->quota;
    const struct {
        const char *name;
        int64_t value;
    } quotas[] = {{"waiting", q->waiting},
                  {"running", q->running},
                  {"bytes", q->bytes},
                  {"work_per_day", q->work_per_day}};
    bool signed_in = serve_auth_has_tokens();
    const char *role = who->is_operator ? "operator" : signed_in ? "user" : "visitor";
    json_t *j = json_object();

    for (size_t i = 0; i < sizeof quotas / sizeof *quotas; i++)
        if (quotas[i].value)
            json_object_set_new(j, quotas[i].name, json_integer(quotas[i].value));
    return serve_response_json(
        MHD_HTTP_OK, json_pack("{s:s, s:s, s:b, s:o}", "name", who->owner, "role", role,
                               "signed_in", signed_in, "quota", j));
}

struct serve_response serve_me(struct serve_request *r)
{
    return describe(&r->identity);
}

struct serve_response serve_sign_in(struct serve_request *r)
{
    const char *token;
    int remember = false;
    json_error_t error;
    struct serve_response response;
    char *cookie;

    if (!serve_auth_has_tokens())
        return serve_response_error(MHD_HTTP_BAD_REQUEST,
                                    "token: this service has none; use it without a "
                                    "sign-in");
    if (json_unpack_ex(r->body, &error, JSON_STRICT, "{s:s, s?b}", "token", &token,
                       "remember", &remember) != 0)
        return serve_response_error(MHD_HTTP_BAD_REQUEST,
                                    "token: must be a string; remember, if there, true "
                                    "or false: %s",
                                    error.text);
    if (!serve_auth_sign_in(r->connection, token, remember ? REMEMBER_SECONDS : 0,
                            &r->identity, &cookie, &response))
        return response;
    response = describe(&r->identity);
    MHD_add_response_header(response.mhd, MHD_HTTP_HEADER_SET_COOKIE, cookie);
    free(cookie);
    return response;
}

struct serve_response serve_sign_out(struct serve_request *r)
{
    struct serve_response response = serve_response_json(
        MHD_HTTP_OK, json_pack("{s:s}", "message", "you are signed out"));
    char *cookie = serve_auth_sign_out(r->connection);

    MHD_add_response_header(response.mhd, MHD_HTTP_HEADER_SET_COOKIE, cookie);
    free(cookie);
    return response;
}
