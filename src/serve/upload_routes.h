/* SPDX-License-Identifier: MIT */
/* upload_routes.h - the handlers that store pictures, and name styles. */
#ifndef NST_SERVE_UPLOAD_ROUTES_H
#define NST_SERVE_UPLOAD_ROUTES_H

#include "serve/http/server.h"

struct serve_response serve_post_content(struct serve_request *r);
struct serve_response serve_post_style(struct serve_request *r);
struct serve_response serve_patch_style(struct serve_request *r);

#endif
