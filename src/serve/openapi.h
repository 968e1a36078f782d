/* SPDX-License-Identifier: MIT */
/* openapi.h - the description of the API: openapi.json, completed by the option table.
 */
#ifndef NST_SERVE_OPENAPI_H
#define NST_SERVE_OPENAPI_H

#include "nst.h"
#include "serve/settings.h"

/* The whole text: a new string. NST_ERR_IO or NST_ERR_FORMAT if what is installed of it
 * cannot be read. */
enum nst_status serve_openapi(char **out, const struct serve_settings *s,
                              struct nst_err *err);

#endif
