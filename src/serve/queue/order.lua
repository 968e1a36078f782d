-- SPDX-License-Identifier: MIT
-- No ARGV.
-- Returns the number of queued tasks, then the ids of those that wait for a turn, in the
-- order in which they start.

local order, lists, round = {queued()}, {}, 1
for i, party in ipairs(parties_in_turn()) do
  lists[i] = call('ZRANGE', wait_key(party.name), 0, -1)
end
repeat
  local n = #order
  for _, list in ipairs(lists) do table.insert(order, list[round]) end
  round = round + 1
until #order == n
return order
