/* SPDX-License-Identifier: MIT */
/*
 * queue.h - implementations of the queue of tasks.h: in this process, with threads that
 * run the tasks (local.c), or in Redis, with separate workers (redis_queue.c,
 * worker.c). The functions are those of tasks.h.
 */
#ifndef NST_SERVE_QUEUE_QUEUE_H
#define NST_SERVE_QUEUE_QUEUE_H

#include "serve/queue/tasks.h"

struct serve_queue {
    enum nst_status (*open)(const struct serve_settings *s,
                            void (*on_change)(const char *id), struct nst_err *err);
    void (*drain)(void);
    unsigned (*running)(void);
    void (*stop)(void);
    void (*close)(void);
    /* NULL in a worker, which serves no requests */
    bool (*reachable)(void);
    enum serve_add_status (*add)(const char *id, json_t *record);
    json_t *(*progress)(const char *id, unsigned *version, bool *is_final);
    enum serve_cancel_status (*cancel)(const char *id);
    json_t *(*list)(void);
    json_t *(*history)(size_t offset, size_t limit, size_t *total);
    enum serve_delete_status (*delete)(const char *content);
    enum serve_style_status (*style_status)(const char *style);
    void (*sweep)(int64_t max_age, size_t max_files);
    void (*count)(struct serve_counts *out);
};

extern const struct serve_queue serve_queue_local, serve_queue_redis, serve_worker;

#endif
