-- SPDX-License-Identifier: MIT
-- ARGV: first, last (indices).
-- Returns the number of completed tasks, then their rows, newest first.

local page = {call('ZCARD', 'nst:completed')}
for _, id in ipairs(call('ZREVRANGE', 'nst:completed', ARGV[1], ARGV[2])) do
  table.insert(page, row(id))
end
return page
