-- SPDX-License-Identifier: MIT
-- The beginning of every script but count.lua. No script has KEYS: all keys are fixed,
-- or made of an id or a name. A row of a task is id, state, attempts, version, record,
-- step. "who" is an owner, or "*" for all.

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

-- A task of an older version has no owner: it is everybody's, as one with owner "".
local function owner_of(id) return get(id, 'owner') or '' end
local function sees(who, id)
  local owner = owner_of(id)
  return who == '*' or owner == '' or owner == who
end

-- The finished tasks of a party and their number, to delete the oldest of the party that
-- has the most.
local function keep(id)
  local party = get(id, 'party') or ''
  if call('ZADD', 'nst:over:' .. party, get(id, 'number'), id) == 1 then
    call('ZINCRBY', 'nst:kept', 1, party)
  end
end

-- Once: put the tasks that an older version has finished where they are looked for.
local function adopt()
  if call('SET', 'nst:owned', 1, 'NX') then
    for _, id in ipairs(call('ZRANGE', 'nst:over', 0, -1)) do
      keep(id)
      if get(id, 'state') == 'completed' then
        call('ZADD', 'nst:completed:' .. owner_of(id), get(id, 'number'), id)
      end
    end
  end
end

local function changed(id)
  call('HINCRBY', key(id), 'version', 1)
  call('PUBLISH', 'nst:changes', id)
end

local function party_key(party) return 'nst:party:' .. party end
local function wait_key(party) return 'nst:wait:' .. party end
local function party_count(party, state)
  return tonumber(call('HGET', party_key(party), state)) or 0
end

-- Forget a party without tasks.
local function count_party(party, state, n)
  if state ~= 'queued' and state ~= 'running' then return end
  call('HINCRBY', party_key(party), state, n)
  if party_count(party, 'queued') == 0 and party_count(party, 'running') == 0 then
    call('DEL', party_key(party))
  end
end

local function set_state(id, state)
  local was, party = get(id, 'state'), get(id, 'party')
  if party then count_party(party, state, 1) end
  if party and was then count_party(party, was, -1) end
  if was then count(was, -1) end
  count(state, 1)
  call('HSET', key(id), 'state', state)
  changed(id)
end

local function is_done(state) return state ~= 'queued' and state ~= 'running' end
local function queued()
  return tonumber(call('HGET', 'nst:counts', 'queued')) or 0
end

-- The turn of parties with waiting tasks: see fair.h.
local function to_end_of_turn(party)
  if call('EXISTS', wait_key(party)) == 1 then
    call('ZADD', 'nst:parties', call('INCR', 'nst:turn'), party)
  else call('ZREM', 'nst:parties', party) end
end

local function wait(id, party, number)
  local first = call('EXISTS', wait_key(party)) == 0
  call('ZADD', wait_key(party), number, id)
  if first then to_end_of_turn(party) end
end

-- The places of the others change: nst:moves is added to their versions, see get.lua.
local function stop_waiting(id, party)
  if call('ZREM', wait_key(party), id) == 1 then
    call('HINCRBY', key(id), 'version', call('INCR', 'nst:moves'))
    call('PUBLISH', 'nst:changes', '')
  end
  if call('EXISTS', wait_key(party)) == 0 then to_end_of_turn(party) end
end

-- The parties with waiting tasks, in the order in which they are next.
local function parties_in_turn()
  local list = {}
  for i, party in ipairs(call('ZRANGE', 'nst:parties', 0, -1)) do
    list[i] = {name = party, running = party_count(party, 'running'), turn = i}
  end
  table.sort(list, function(a, b)
    if a.running ~= b.running then return a.running < b.running end
    return a.turn < b.turn
  end)
  return list
end

-- The place of a task among those that wait; a released one is next. 0: it does not
-- wait.
local function position(id)
  if get(id, 'state') ~= 'queued' then return 0 end
  local party = get(id, 'party')
  local before = party and call('ZRANK', wait_key(party), id)
  if not before then return 1 end
  local n, more = before + 1, 1
  for _, other in ipairs(parties_in_turn()) do
    if other.name == party then more = 0
    else n = n + math.min(call('ZCARD', wait_key(other.name)), before + more) end
  end
  return n
end

-- The idle time of a released entry. Half of it is more than the idle time of any entry
-- that a worker holds.
local released_idle_ms = 1000000000
