/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/redis_scripts.h"

#include "serve/queue/redis_lua.h" /* LUA_NAME: the text of NAME.lua */

const char serve_script_add[] = LUA_COMMON LUA_ADD;
const char serve_script_get[] = LUA_COMMON LUA_GET;
const char serve_script_history[] = LUA_COMMON LUA_HISTORY;
const char serve_script_range[] = LUA_COMMON LUA_RANGE;
const char serve_script_order[] = LUA_COMMON LUA_ORDER;
const char serve_script_usage[] = LUA_COMMON LUA_USAGE;
const char serve_script_cancel[] = LUA_COMMON LUA_COMMON_END LUA_CANCEL;
const char serve_script_delete[] = LUA_COMMON LUA_COMMON_END LUA_DELETE;
const char serve_script_delete_task[] = LUA_COMMON LUA_COMMON_END LUA_DELETE_TASK;
const char serve_script_stop[] = LUA_COMMON LUA_STOP;
const char serve_script_count[] = LUA_COUNT;
const char serve_script_claim[] = LUA_COMMON LUA_COMMON_END LUA_CLAIM;
const char serve_script_heartbeat[] = LUA_COMMON LUA_HEARTBEAT;
const char serve_script_finish[] = LUA_COMMON LUA_COMMON_END LUA_FINISH;
const char serve_script_release[] = LUA_COMMON LUA_RELEASE;
const char serve_script_cleanup_due[] = LUA_COMMON LUA_CLEANUP_DUE;
const char serve_script_cleanup_done[] = LUA_COMMON LUA_CLEANUP_DONE;
const char serve_script_observe[] = LUA_OBSERVE;
