/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "serve/queue/redis_scripts.h"

/* Idle time of a released entry, in milliseconds. Half of it is more than the idle time
 * of any entry that a worker holds. */
#define RELEASED_IDLE_MS "1000000000"

/* clang-format off */
#define LUA_COMMON \
    "local call = redis.call\n" \
    "local time = call('TIME')\n" \
    "local now = time[1] + time[2] / 1000000\n" \
    "local function key(id) return 'nst:task:' .. id end\n" \
    "local function get(id, field) return call('HGET', key(id), field) end\n" \
    "local function count(what, n) call('HINCRBY', 'nst:counts', what, n) end\n" \
    "local function row(id)\n" \
    "  local r = call('HMGET', key(id), 'state', 'attempts', 'version', 'record',\n" \
    "                 'step')\n" \
    "  table.insert(r, 1, id)\n" \
    "  return r\n" \
    "end\n" \
    "local function changed(id)\n" \
    "  call('HINCRBY', key(id), 'version', 1)\n" \
    "  call('PUBLISH', 'nst:changes', id)\n" \
    "end\n" \
    "local function set_state(id, state)\n" \
    "  local was = get(id, 'state')\n" \
    "  if was then count(was, -1) end\n" \
    "  count(state, 1)\n" \
    "  call('HSET', key(id), 'state', state)\n" \
    "  changed(id)\n" \
    "end\n" \
    "local function is_done(state) return state ~= 'queued' and state ~= 'running' end\n"

/* End and deletion of tasks. GT only postpones a cleanup: until the later time a worker
 * may still write. */
#define LUA_FINISH \
    "local function schedule_cleanup(id, after)\n" \
    "  call('ZADD', 'nst:untidy', 'GT', now + after, id)\n" \
    "end\n" \
    "local function acknowledge(entry)\n" \
    "  call('XACK', 'nst:queue', 'workers', entry)\n" \
    "  call('XDEL', 'nst:queue', entry)\n" \
    "end\n" \
    "local function delete(id)\n" \
    "  count(get(id, 'state'), -1)\n" \
    "  call('SREM', 'nst:content:' .. get(id, 'content'), id)\n" \
    "  call('ZREM', 'nst:over', id)\n" \
    "  call('ZREM', 'nst:completed', id)\n" \
    "  call('DEL', key(id))\n" \
    "  call('PUBLISH', 'nst:changes', id)\n" \
    "  schedule_cleanup(id, 0)\n" \
    "end\n" \
    "local function finish(id, state, after, max_history)\n" \
    "  local number = get(id, 'number')\n" \
    "  acknowledge(get(id, 'entry'))\n" \
    "  call('ZREM', 'nst:open', id)\n" \
    "  call('ZADD', 'nst:over', number, id)\n" \
    "  if state == 'completed' then call('ZADD', 'nst:completed', number, id) end\n" \
    "  call('HDEL', key(id), 'step')\n" \
    "  call('HINCRBY', key(id), 'ends', 1)\n" \
    "  count('ended:' .. state, 1)\n" \
    "  set_state(id, state)\n" \
    "  schedule_cleanup(id, after)\n" \
    "  local excess = call('ZCARD', 'nst:over') - max_history\n" \
    "  if excess > 0 then\n" \
    "    for _, old in ipairs(call('ZRANGE', 'nst:over', 0, excess - 1)) do\n" \
    "      delete(old)\n" \
    "    end\n" \
    "  end\n" \
    "end\n"

const char serve_script_add[] = LUA_COMMON
    "local id, record, content, limit = unpack(ARGV)\n"
    "if call('EXISTS', key(id)) == 1 then return 'added' end\n"
    "if (tonumber(call('HGET', 'nst:counts', 'queued')) or 0) >= tonumber(limit) then\n"
    "  return 'full'\n"
    "end\n"
    "local number = call('INCR', 'nst:next')\n"
    "local entry = call('XADD', 'nst:queue', '*', 'id', id)\n"
    "call('HSET', key(id), 'record', record, 'content', content, 'number', number,\n"
    "     'attempts', 0, 'entry', entry)\n"
    "call('SADD', 'nst:content:' .. content, id)\n"
    "call('ZADD', 'nst:open', number, id)\n"
    "set_state(id, 'queued')\n"
    "call('PUBLISH', 'nst:work', '')\n"
    "return 'added'\n";

const char serve_script_get[] = LUA_COMMON
    "return get(ARGV[1], 'state') and row(ARGV[1])\n";

const char serve_script_history[] = LUA_COMMON
    "local page = {call('ZCARD', 'nst:completed')}\n"
    "for _, id in ipairs(call('ZREVRANGE', 'nst:completed', ARGV[1], ARGV[2])) do\n"
    "  table.insert(page, row(id))\n"
    "end\n"
    "return page\n";

const char serve_script_range[] = LUA_COMMON
    "local found = call('ZRANGEBYSCORE', ARGV[1], '(' .. ARGV[2], '+inf',\n"
    "                   'WITHSCORES', 'LIMIT', 0, ARGV[3])\n"
    "local page = {tonumber(found[#found] or ARGV[2])}\n"
    "for i = 1, #found, 2 do table.insert(page, row(found[i])) end\n"
    "return page\n";

const char serve_script_cancel[] = LUA_COMMON LUA_FINISH
    "local id, lease, max_history = unpack(ARGV)\n"
    "local state = get(id, 'state')\n"
    "if not state then return 'unknown' end\n"
    "if is_done(state) then return 'over' end\n"
    "call('HDEL', key(id), 'holder')\n"
    "call('PUBLISH', 'nst:work', id)\n"
    "finish(id, 'cancelled', state == 'running' and lease or 0, max_history)\n"
    "return 'done'\n";

const char serve_script_delete[] = LUA_COMMON LUA_FINISH
    "local ids = call('SMEMBERS', 'nst:content:' .. ARGV[1])\n"
    "for _, id in ipairs(ids) do\n"
    "  if not is_done(get(id, 'state')) then return 'busy' end\n"
    "end\n"
    "for _, id in ipairs(ids) do delete(id) end\n"
    "return ids[1] and 'forgotten' or 'unknown'\n";

const char serve_script_count[] = "return redis.call('HGETALL', 'nst:counts')\n";

/* After a start of Redis, workers have a full lease to send heartbeats: until then only
 * released entries are claimed. */
const char serve_script_claim[] = LUA_COMMON LUA_FINISH
    "local consumer, holder, min_idle = ARGV[1], ARGV[2], tonumber(ARGV[3])\n"
    "local uptime = call('INFO', 'server'):match('uptime_in_seconds:(%d+)') * 1000\n"
    "if uptime < min_idle then min_idle = " RELEASED_IDLE_MS " / 2 end\n"
    "local idle = redis.pcall('XPENDING', 'nst:queue', 'workers', 'IDLE', min_idle,\n"
    "                         '-', '+', 1)\n"
    "if idle.err then\n"
    "  call('XGROUP', 'CREATE', 'nst:queue', 'workers', '0', 'MKSTREAM')\n"
    "  idle = {}\n"
    "end\n"
    "local got\n"
    "if idle[1] then\n"
    "  got = call('XCLAIM', 'nst:queue', 'workers', consumer, 0, idle[1][1])\n"
    "else\n"
    "  got = call('XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', 1,\n"
    "             'STREAMS', 'nst:queue', '>')\n"
    "  got = got and got[1][2]\n"
    "end\n"
    "if not got or not got[1] then return false end\n"
    "local entry, id = got[1][1], got[1][2][2]\n"
    "local was = get(id, 'state')\n"
    "if is_done(was) then acknowledge(entry) return false end\n"
    "if was == 'queued' then call('HINCRBY', key(id), 'attempts', 1) end\n"
    "call('HSET', key(id), 'holder', holder)\n"
    "call('HDEL', key(id), 'step')\n"
    "set_state(id, 'running')\n"
    "local r = row(id)\n"
    "table.insert(r, was)\n"
    "return r\n";

const char serve_script_heartbeat[] = LUA_COMMON
    "local id, holder, consumer, step = unpack(ARGV)\n"
    "if get(id, 'holder') ~= holder then return 0 end\n"
    "call('XCLAIM', 'nst:queue', 'workers', consumer, 0, get(id, 'entry'), 'JUSTID')\n"
    "if step ~= '' and get(id, 'state') == 'running' then\n"
    "  call('HSET', key(id), 'step', step)\n"
    "  changed(id)\n"
    "end\n"
    "return 1\n";

/* Keeps the holder: if the reply was lost, a second call returns the same. */
const char serve_script_finish[] = LUA_COMMON LUA_FINISH
    "local id, holder, state, record, seconds, max_history = unpack(ARGV)\n"
    "if get(id, 'holder') ~= holder then return 0 end\n"
    "if get(id, 'state') == 'running' then\n"
    "  call('HSET', key(id), 'record', record)\n"
    "  call('HINCRBYFLOAT', 'nst:counts', 'seconds', seconds)\n"
    "  finish(id, state, 0, max_history)\n"
    "end\n"
    "return 1\n";

const char serve_script_release[] = LUA_COMMON
    "local id, holder, attempts, retries = unpack(ARGV)\n"
    "if get(id, 'holder') ~= holder then return 0 end\n"
    "call('HDEL', key(id), 'holder', 'step')\n"
    "call('HSET', key(id), 'attempts', attempts)\n"
    "call('XCLAIM', 'nst:queue', 'workers', 'nobody', 0, get(id, 'entry'),\n"
    "     'IDLE', " RELEASED_IDLE_MS ", 'JUSTID')\n"
    "count('retries', retries)\n"
    "set_state(id, 'queued')\n"
    "call('PUBLISH', 'nst:work', '')\n"
    "return 1\n";

/* Also removes consumers without entries that were idle for an hour. */
const char serve_script_cleanup_due[] = LUA_COMMON
    "local list = redis.pcall('XINFO', 'CONSUMERS', 'nst:queue', 'workers')\n"
    "for _, c in ipairs(list) do\n"
    "  if c[4] == 0 and c[6] > 3600000 then\n"
    "    call('XGROUP', 'DELCONSUMER', 'nst:queue', 'workers', c[2])\n"
    "  end\n"
    "end\n"
    "return call('ZRANGEBYSCORE', 'nst:untidy', '-inf', now, 'LIMIT', 0, 100)\n";

const char serve_script_cleanup_done[] = LUA_COMMON
    "local id, state, after = unpack(ARGV)\n"
    "if (get(id, 'state') or '') == state then\n"
    "  if after == '' then call('ZREM', 'nst:untidy', id)\n"
    "  else call('ZADD', 'nst:untidy', 'XX', now + after, id) end\n"
    "end\n"
    "return 1\n";
/* clang-format on */
