/* SPDX-License-Identifier: MIT */
/* routes.h - the route table of the API; openapi.json describes each route. */
#ifndef NST_SERVE_ROUTES_H
#define NST_SERVE_ROUTES_H

#include "serve/http/server.h"

/* *out is the table for serve_http_open(), borrowed. Errors: serve_openapi(). */
enum nst_status serve_routes_open(const struct serve_route **out,
                                  const struct serve_settings *s, struct nst_err *err);

#endif
