/* SPDX-License-Identifier: MIT */
/* sign_in.h - the handlers of /api/login, /api/logout and /api/me. */
#ifndef NST_SERVE_HTTP_SIGN_IN_H
#define NST_SERVE_HTTP_SIGN_IN_H

#include "serve/http/server.h"

struct serve_response serve_sign_in(struct serve_request *r);
struct serve_response serve_sign_out(struct serve_request *r);
struct serve_response serve_me(struct serve_request *r);

#endif
