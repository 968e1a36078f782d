/* SPDX-License-Identifier: MIT */
/* routes.h - the API: which request does what. openapi.json describes each of them. */
#ifndef NST_SERVE_ROUTES_H
#define NST_SERVE_ROUTES_H

#include "serve/http.h"

/* The table, for serve_http_open(). NST_ERR_IO, NST_ERR_FORMAT: openapi.json. */
enum nst_status serve_routes_open(const struct serve_route **out,
                                  const struct serve_settings *s, struct nst_err *err);
void serve_routes_close(void);

#endif
