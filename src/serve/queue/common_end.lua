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
  local party = get(id, 'party') or ''
  adopt()
  if call('ZREM', 'nst:over:' .. party, id) == 1 and
     call('ZINCRBY', 'nst:kept', -1, party) == '0' then
    call('ZREM', 'nst:kept', party)
  end
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
  adopt()
  call('ZREM', 'nst:open', id)
  call('ZADD', 'nst:over', number, id)
  keep(id)
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
  for _ = 1, call('ZCARD', 'nst:over') - max_history do
    local party = call('ZREVRANGE', 'nst:kept', 0, 0)[1]
    delete(call('ZRANGE', party and 'nst:over:' .. party or 'nst:over', 0, 0)[1])
  end
end
