-- SPDX-License-Identifier: MIT
-- The end and deletion of tasks, after common.lua.

-- GT only postpones a cleanup: until the later time a worker may still write.
local function schedule_cleanup(id, after)
  call('ZADD', 'nst:untidy', 'GT', now + after, id)
end

local function acknowledge(entry)
  call('XACK', 'nst:queue', 'workers', entry)
  call('XDEL', 'nst:queue', entry)
end

local function delete(id)
  count(get(id, 'state'), -1)
  call('SREM', 'nst:content:' .. get(id, 'content'), id)
  call('ZREM', 'nst:over', id)
  call('ZREM', 'nst:completed', id)
  call('ZREM', 'nst:completed:' .. owner_of(id), id)
  call('DEL', key(id))
  call('PUBLISH', 'nst:changes', id)
  schedule_cleanup(id, 0)
end

local function finish(id, state, after, max_history)
  local number, entry, party = unpack(call('HMGET', key(id), 'number', 'entry',
                                           'party'))
  if entry then acknowledge(entry) end
  call('ZREM', 'nst:open', id)
  call('ZADD', 'nst:over', number, id)
  if state == 'completed' then
    call('ZADD', 'nst:completed', number, id)
    call('ZADD', 'nst:completed:' .. owner_of(id), number, id)
  end
  call('HDEL', key(id), 'step')
  call('HINCRBY', key(id), 'ends', 1)
  count('ended:' .. state, 1)
  local was = get(id, 'state')
  set_state(id, state)
  if party and was == 'queued' then stop_waiting(id, party) end
  if party and was == 'running' then to_end_of_turn(party) end
  if call('EXISTS', 'nst:parties') == 1 then call('PUBLISH', 'nst:work', '') end
  schedule_cleanup(id, after)
  local excess = call('ZCARD', 'nst:over') - max_history
  if excess > 0 then
    for _, old in ipairs(call('ZRANGE', 'nst:over', 0, excess - 1)) do
      delete(old)
    end
  end
end
