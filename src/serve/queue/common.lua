-- SPDX-License-Identifier: MIT
-- The beginning of every script but count.lua. No script has KEYS: all keys are fixed,
-- or made of an id. A row of a task is id, state, attempts, version, record, step.

local call = redis.call
local time = call('TIME')
local now = time[1] + time[2] / 1000000
local function key(id) return 'nst:task:' .. id end
local function get(id, field) return call('HGET', key(id), field) end
local function count(what, n) call('HINCRBY', 'nst:counts', what, n) end
local function row(id)
  local r = call('HMGET', key(id), 'state', 'attempts', 'version', 'record',
                 'step')
  table.insert(r, 1, id)
  return r
end

local function changed(id)
  call('HINCRBY', key(id), 'version', 1)
  call('PUBLISH', 'nst:changes', id)
end

local function set_state(id, state)
  local was = get(id, 'state')
  if was then count(was, -1) end
  count(state, 1)
  call('HSET', key(id), 'state', state)
  changed(id)
end

local function is_done(state) return state ~= 'queued' and state ~= 'running' end

-- The idle time of a released entry. Half of it is more than the idle time of any entry
-- that a worker holds.
local released_idle_ms = 1000000000
