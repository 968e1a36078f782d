-- SPDX-License-Identifier: MIT
-- ARGV: first, last (indices), who.
-- Returns the number of completed tasks, then their rows, newest first.

local first, last, who = unpack(ARGV)
local page, ids
adopt()
if who == '*' then
  page = {call('ZCARD', 'nst:completed')}
  ids = call('ZREVRANGE', 'nst:completed', first, last)
else
  local all = call('ZUNION', 2, 'nst:completed:', 'nst:completed:' .. who,
                   'AGGREGATE', 'MIN')
  page, ids = {#all}, {}
  for i = #all - first, math.max(#all - last, 1), -1 do table.insert(ids, all[i]) end
end
for _, id in ipairs(ids) do table.insert(page, row(id)) end
return page
