-- SPDX-License-Identifier: MIT
-- Queue a task, once.
-- ARGV: id, record, content, queue limit, owner, party, its limits of waiting and of
-- running tasks ("0": none), work, limit of the party's work in a day ("0": none), day.
-- Returns "added", position, waiting; or "full", "share" or "work".

local id, record, content, limit, owner, party, share, max_running, work, max_work,
  day = unpack(ARGV)
local function place() return {'added', position(id), queued()} end
if call('EXISTS', key(id)) == 1 then return place() end
if queued() >= tonumber(limit) then return {'full'} end
if share ~= '0' and party_count(party, 'queued') >= tonumber(share) then
  return {'share'}
end
if max_work ~= '0' then
  local spent = 'nst:spent:' .. day
  if (tonumber(call('HGET', spent, party)) or 0) + work > tonumber(max_work) then
    return {'work'}
  end
  call('HINCRBY', spent, party, work)
  call('EXPIRE', spent, 172800)
end
local number = call('INCR', 'nst:next')
call('HSET', key(id), 'record', record, 'content', content, 'number', number,
     'attempts', 0, 'owner', owner, 'party', party)
call('SADD', 'nst:content:' .. content, id)
call('ZADD', 'nst:open', number, id)
set_state(id, 'queued')
call('HSET', party_key(party), 'max_running', max_running)
wait(id, party, number)
call('PUBLISH', 'nst:work', '')
return place()
