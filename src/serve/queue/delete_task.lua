-- SPDX-License-Identifier: MIT
-- Delete a finished task.
-- ARGV: id.
-- Returns "deleted", "busy" or "unknown".

local id = ARGV[1]
local state = get(id, 'state')
if not state then return 'unknown' end
if not is_done(state) then return 'busy' end
delete(id)
return 'deleted'
