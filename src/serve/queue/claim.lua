-- SPDX-License-Identifier: MIT
-- Claim the next task. After a start of Redis, workers have a full lease to send
-- heartbeats: until then only released entries are claimed.
-- ARGV: consumer, holder, lease in ms.
-- Returns a row and the previous state, or nil.

local consumer, holder, min_idle = ARGV[1], ARGV[2], tonumber(ARGV[3])
local uptime = call('INFO', 'server'):match('uptime_in_seconds:(%d+)') * 1000
if uptime < min_idle then min_idle = released_idle_ms / 2 end
local idle = redis.pcall('XPENDING', 'nst:queue', 'workers', 'IDLE', min_idle,
                         '-', '+', 1)
if idle.err then
  call('XGROUP', 'CREATE', 'nst:queue', 'workers', '0', 'MKSTREAM')
  idle = {}
end
local got
if idle[1] then
  got = call('XCLAIM', 'nst:queue', 'workers', consumer, 0, idle[1][1])
else
  got = call('XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', 1,
             'STREAMS', 'nst:queue', '>')
  got = got and got[1][2]
end
if not got or not got[1] then return false end
local entry, id = got[1][1], got[1][2][2]
local was = get(id, 'state')
if is_done(was) then acknowledge(entry) return false end
if was == 'queued' then call('HINCRBY', key(id), 'attempts', 1) end
call('HSET', key(id), 'holder', holder)
call('HDEL', key(id), 'step')
set_state(id, 'running')
local r = row(id)
table.insert(r, was)
return r
