-- SPDX-License-Identifier: MIT
-- Queue a task, once.
-- ARGV: id, record, content, queue limit.
-- Returns "added" or "full".

local id, record, content, limit = unpack(ARGV)
if call('EXISTS', key(id)) == 1 then return 'added' end
if (tonumber(call('HGET', 'nst:counts', 'queued')) or 0) >= tonumber(limit) then
  return 'full'
end
local number = call('INCR', 'nst:next')
local entry = call('XADD', 'nst:queue', '*', 'id', id)
call('HSET', key(id), 'record', record, 'content', content, 'number', number,
     'attempts', 0, 'entry', entry)
call('SADD', 'nst:content:' .. content, id)
call('ZADD', 'nst:open', number, id)
set_state(id, 'queued')
call('PUBLISH', 'nst:work', '')
return 'added'
