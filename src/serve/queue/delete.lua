-- SPDX-License-Identifier: MIT
-- Delete the tasks of a picture.
-- ARGV: content, who.
-- Returns "forgotten", "kept" (the tasks of others keep the picture), "busy" or
-- "unknown".

local content, who = unpack(ARGV)
local mine, others = {}, false
for _, id in ipairs(call('SMEMBERS', 'nst:content:' .. content)) do
  if not sees(who, id) then others = true
  elseif is_done(get(id, 'state')) then table.insert(mine, id)
  else return 'busy' end
end
for _, id in ipairs(mine) do delete(id) end
if not mine[1] then return 'unknown' end
return others and 'kept' or 'forgotten'
