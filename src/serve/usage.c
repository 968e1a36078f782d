/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/usage.h"

#include <stdio.h>
#include <time.h>

#include "nst.h"
#include "serve/film.h"
#include "serve/owners.h"
#include "serve/request.h"

#define RETRY_SECONDS 10
#define SECONDS_OF_DAY 86400

/* The steps at all scales. */
static int64_t all_steps(const struct nst_params *p)
{
    int64_t sum = 0;

    if (p->scale_iterations.count == 0)
        return p->iterations;
    for (int i = 0; i < p->scale_iterations.count; i++)
        sum += p->scale_iterations.value[i];
    return sum;
}

int64_t serve_usage_work(const json_t *record)
{
    const char *preset = json_string_value(json_object_get(record, "preset")), *name;
    struct nst_params p;
    int64_t work;
    json_t *v;

    nst_params_init(&p);
    if (preset)
        nst_preset_apply(&p, preset, NULL);
    json_object_foreach(json_object_get(record, "options"), name, v)
        nst_params_set(&p, name, json_string_value(v), NULL);
    /* a network paints in one pass, whatever steps are asked for */
    work = p.size * p.size * (serve_request_is_net(record) ? 1 : all_steps(&p)) *
           MAX(serve_film_frames(record), 1);
    nst_params_clear(&p);
    return work;
}

/* The name of who in a message. */
static const char *name_of(const struct serve_identity *who)
{
    return *serve_party(who) ? serve_party(who) : "this address";
}

bool serve_usage_allows_bytes(const struct serve_identity *who, uint64_t bytes,
                              struct serve_response *response)
{
    int64_t quota = who->quota.bytes,
            used = quota ? serve_party_bytes(serve_party(who)) : 0;

    if (!quota || (bytes <= (uint64_t)quota && used <= quota - (int64_t)bytes))
        return true;
    *response = serve_response_error(MHD_HTTP_INSUFFICIENT_STORAGE,
                                     "bytes: the pictures of %s have %lld bytes of a "
                                     "quota of %lld: delete some first",
                                     name_of(who), (long long)used, (long long)quota);
    return false;
}

static int64_t left_of_day(void)
{
    return SECONDS_OF_DAY - (int64_t)time(NULL) % SECONDS_OF_DAY;
}

struct serve_response serve_usage_refusal(const struct serve_identity *who,
                                          const struct serve_settings *s,
                                          enum serve_add_status status, int64_t work)
{
    struct serve_usage used = {0};

    if (status == SERVE_ADD_PARTY_FULL)
        return serve_response_retry_after(MHD_HTTP_TOO_MANY_REQUESTS, RETRY_SECONDS,
                                          "waiting: %s has %lld tasks in the queue, as "
                                          "many as it may: try again later",
                                          name_of(who),
                                          (long long)serve_party_share(who, s));
    serve_queue->usage(serve_party(who), &used);
    return serve_response_retry_after(
        MHD_HTTP_TOO_MANY_REQUESTS, (unsigned)left_of_day(),
        "work: this task needs %lld (pixels x steps), but %s has used %lld of %lld "
        "today: "
        "make it smaller, or try again after 00:00 UTC",
        (long long)work, name_of(who), (long long)used.work,
        (long long)who->quota.work_per_day);
}

static json_t *share(int64_t used, int64_t limit)
{
    return json_pack("{s:I, s:o}", "used", (json_int_t)used, "limit",
                     limit ? json_integer(limit) : json_null());
}

json_t *serve_usage_json(const struct serve_identity *who,
                         const struct serve_settings *s)
{
    const struct serve_quota *q = &who->quota;
    struct serve_usage used;

    if (!serve_queue->usage(serve_party(who), &used))
        return NULL;
    return json_pack("{s:o, s:o, s:o, s:o}", "waiting",
                     share(used.waiting, serve_party_share(who, s)), "running",
                     share(used.running, q->running), "bytes",
                     share(serve_party_bytes(serve_party(who)), q->bytes), "work",
                     share(used.work, q->work_per_day));
}
