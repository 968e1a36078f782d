-- SPDX-License-Identifier: MIT
-- ARGV: id, who.
-- Returns the row of the task, its position and the number of tasks that wait; or nil.

local id, who = unpack(ARGV)
if not get(id, 'state') or not sees(who, id) then return false end
local r = row(id)
table.insert(r, position(id))
table.insert(r, queued())
return r
