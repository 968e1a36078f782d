/* SPDX-License-Identifier: MIT */
/*
 * share.h - the handlers of shared results. The owner of a result makes a link on
 * request (share_store.h); who has the link sees one picture, without a token, and
 * nothing else of the owner.
 */
#ifndef NST_SERVE_SHARE_H
#define NST_SERVE_SHARE_H

#include "serve/http/server.h"

/* /api/tasks/ID/share: the URL of the link, or null; make one; remove it. */
struct serve_response serve_get_share(struct serve_request *r);
struct serve_response serve_post_share(struct serve_request *r);
struct serve_response serve_delete_share(struct serve_request *r);

/* /share/TOKEN and /share/TOKEN/picture.jpg */
struct serve_response serve_get_shared_page(struct serve_request *r);
struct serve_response serve_get_shared_picture(struct serve_request *r);

#endif
