-- SPDX-License-Identifier: MIT
-- Ask the worker of a running task to end it with the picture so far.
-- ARGV: id, who.
-- Returns "stopping", "queued", "over" or "unknown".

local id, who = unpack(ARGV)
local state = get(id, 'state')
if not state or not sees(who, id) then return 'unknown' end
if is_done(state) then return 'over' end
if state == 'queued' then return 'queued' end
call('HSET', key(id), 'keep', 1)
call('PUBLISH', 'nst:work', id)
return 'stopping'
