-- SPDX-License-Identifier: MIT
-- Delete the tasks of a picture.
-- ARGV: content.
-- Returns "forgotten", "busy" or "unknown".

local ids = call('SMEMBERS', 'nst:content:' .. ARGV[1])
for _, id in ipairs(ids) do
  if not is_done(get(id, 'state')) then return 'busy' end
end
for _, id in ipairs(ids) do delete(id) end
return ids[1] and 'forgotten' or 'unknown'
