-- SPDX-License-Identifier: MIT
-- Claim the next task: one that its worker released or lost, one that an older version
-- has put into the stream, or one that waits. After a start of Redis, workers have a
-- full lease to send heartbeats: until then only released entries are claimed.
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

local function read()
  local got = call('XREADGROUP', 'GROUP', 'workers', consumer, 'COUNT', 1,
                   'STREAMS', 'nst:queue', '>')
  return got and got[1][2]
end

-- Put the next task that waits into the stream. False if none may start.
local function start()
  for _, party in ipairs(parties_in_turn()) do
    local limit = party_count(party.name, 'max_running')
    if limit == 0 or party.running < limit then
      local id = call('ZRANGE', wait_key(party.name), 0, 0)[1]
      stop_waiting(id, party.name)
      call('HSET', key(id), 'entry', call('XADD', 'nst:queue', '*', 'id', id))
      to_end_of_turn(party.name)
      return true
    end
  end
  return false
end

local got
if idle[1] then
  got = call('XCLAIM', 'nst:queue', 'workers', consumer, 0, idle[1][1])
else
  got = read()
  if not got and start() then got = read() end
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
