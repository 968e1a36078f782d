/* SPDX-License-Identifier: MIT */
/* record.h - what remains of a request: counts, a line in the access log, and a line in
 * the log if it has changed something. */
#ifndef NST_SERVE_HTTP_RECORD_H
#define NST_SERVE_HTTP_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "serve/http/access_log.h"
#include "serve/http/server.h"

struct serve_record {
    struct serve_access access;
    bool is_head, is_internal; /* is_internal: of serve_http_connect(), not recorded */
};

/* The head of a request; nul: the path goes on after a NUL byte. Sets the address of
 * r->identity, which may be all that is known of the client. */
void serve_record_begin(struct serve_record *record, struct serve_request *r,
                        const char *method, const char *path, bool nul,
                        const char *version);
/* The response is ready. */
void serve_record_answer(const struct serve_record *record,
                         const struct serve_request *r,
                         const struct serve_response *response);
/* The request has ended; response.mhd NULL: before there was a response. received:
 * bytes of its body. */
void serve_record_end(struct serve_record *record, const struct serve_request *r,
                      const struct serve_response *response, uint64_t received,
                      bool is_complete);

#endif
