-- SPDX-License-Identifier: MIT
-- ARGV: id, lease in seconds, history limit, who.
-- Returns "done", "over" or "unknown".

local id, lease, max_history, who = unpack(ARGV)
local state = get(id, 'state')
if not state or not sees(who, id) then return 'unknown' end
if is_done(state) then return 'over' end
call('HDEL', key(id), 'holder')
call('PUBLISH', 'nst:work', id)
finish(id, 'cancelled', state == 'running' and lease or 0, max_history)
return 'done'
