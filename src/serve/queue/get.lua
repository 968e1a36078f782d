-- SPDX-License-Identifier: MIT
-- ARGV: id, who.
-- Returns the row of the task, its position and the number of tasks that wait; or nil.

local id, who = unpack(ARGV)
if not get(id, 'state') or not sees(who, id) then return false end
local r = row(id)
local party = get(id, 'party')
if party and call('ZSCORE', wait_key(party), id) then
  r[4] = tostring(r[4] + (tonumber(call('GET', 'nst:moves')) or 0))
end
table.insert(r, position(id))
table.insert(r, queued())
return r
