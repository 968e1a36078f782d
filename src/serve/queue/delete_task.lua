-- SPDX-License-Identifier: MIT
-- Delete a finished task.
-- ARGV: id, who.
-- Returns "deleted", "busy" or "unknown".

local id, who = unpack(ARGV)
local state = get(id, 'state')
if not state or not sees(who, id) then return 'unknown' end
if not is_done(state) then return 'busy' end
delete(id)
return 'deleted'
