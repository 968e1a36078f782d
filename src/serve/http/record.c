/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/http/record.h"

#include <string.h>
#include <sys/socket.h>

#include "serve/clock.h"
#include "serve/http/auth.h"
#include "serve/http/statistics.h"
#include "serve/log.h"

/* True for a connection of serve_http_connect(). */
static bool is_internal(struct MHD_Connection *c)
{
    const struct sockaddr *a =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;

    return a && a->sa_family == AF_UNSPEC;
}

void serve_record_begin(struct serve_record *record, struct serve_request *r,
                        const char *method, const char *path, bool nul,
                        const char *version)
{
    record->is_internal = is_internal(r->connection);
    record->is_head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    serve_auth_address(r->connection, r->identity.address);
    if (!record->is_internal)
        serve_access_begin(&record->access, method, path, nul, version);
}

static void log_change(const struct serve_request *r)
{
    const char *id = *r->created ? r->created : r->argument;

    if (*id)
        serve_log_change(r->change ? r->change : r->route->change, id,
                         r->identity.owner, r->identity.address);
}

void serve_record_answer(const struct serve_record *record,
                         const struct serve_request *r,
                         const struct serve_response *response)
{
    if (record->is_internal)
        return;
    serve_statistics_answer(r->route, response,
                            nst_clock_seconds() - record->access.start);
    if (r->route && r->route->change && response->status / 100 == 2)
        log_change(r);
}

void serve_record_end(struct serve_record *record, const struct serve_request *r,
                      const struct serve_response *response, uint64_t received,
                      bool is_complete)
{
    const struct serve_access_end end = {.connection = r->connection,
                                         .identity = &r->identity,
                                         .status = response->mhd ? response->status : 0,
                                         .size = record->is_head ? 0 : response->size,
                                         .is_complete = is_complete};
    bool is_known = is_complete && end.size != SERVE_SIZE_UNKNOWN;

    if (record->is_internal)
        return;
    serve_statistics_end(r->route, end.status, received, is_known ? end.size : 0);
    serve_access_finish(&record->access, &end);
}
