/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/queue.h"

const struct serve_queue *serve_queue;

enum nst_status serve_queue_open(const struct serve_settings *s,
                                 void (*on_change)(const char *id), struct nst_err *err)
{
    serve_queue = s->worker  ? &serve_worker
                  : s->queue ? &serve_queue_redis
                             : &serve_queue_local;
    return serve_queue->open(s, on_change, err);
}
