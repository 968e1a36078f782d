/* SPDX-License-Identifier: MIT */
/* openapi.h - the OpenAPI description: openapi.json plus the option table. */
#ifndef NST_SERVE_OPENAPI_H
#define NST_SERVE_OPENAPI_H

#include "base/alloc.h"
#include "nst.h"
#include "serve/settings.h"

/* *out is a new string. NST_ERR_IO or NST_ERR_FORMAT: the installed openapi.json is
 * missing or invalid. */
enum nst_status serve_openapi(char **out, const struct serve_settings *s,
                              struct nst_err *err);

#endif
