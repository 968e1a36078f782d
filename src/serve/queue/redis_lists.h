/* SPDX-License-Identifier: MIT */
/*
 * redis_lists.h - what a front end asks about many tasks in Redis: lists, the history,
 * and which files unfinished tasks use. They are read in pages, so that no reply is
 * large. Each is the member of struct serve_queue (queue.h) with this name.
 */
#ifndef NST_SERVE_QUEUE_REDIS_LISTS_H
#define NST_SERVE_QUEUE_REDIS_LISTS_H

#include "serve/queue/queue.h"

json_t *serve_redis_list_open(const struct serve_identity *who); /* .list */
json_t *serve_redis_list_state(const struct serve_identity *who, enum serve_state state,
                               size_t limit);
json_t *serve_redis_history(const struct serve_identity *who, size_t offset,
                            size_t limit, size_t *total);
enum serve_delete_status serve_redis_delete_content(const struct serve_identity *who,
                                                    const char *content);
enum serve_style_status serve_redis_style_status(const char *style);
void serve_redis_sweep(int64_t max_age, size_t max_files);

#endif
