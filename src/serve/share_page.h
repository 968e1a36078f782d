/* SPDX-License-Identifier: MIT */
/* share_page.h - the page of a link: one picture and its title, without scripts, and
 * what messengers show of it (Open Graph). */
#ifndef NST_SERVE_SHARE_PAGE_H
#define NST_SERVE_SHARE_PAGE_H

#include <jansson.h>

#include "serve/http/server.h"

/* The title for the styles of a task, a new string; progress: its progress object. */
char *serve_share_title(const json_t *progress);

/* The page of what serve_share_load() returns; token: of its link. */
struct serve_response serve_share_page(const struct serve_request *r, const char *token,
                                       const json_t *share);
/* 404: a page that says that there is no such link. */
struct serve_response serve_share_gone(void);

#endif
