-- SPDX-License-Identifier: MIT
-- ARGV: party, day.
-- Returns its waiting and running tasks, and the work of the tasks of that day.

local party, day = unpack(ARGV)
return {party_count(party, 'queued'), party_count(party, 'running'),
        tonumber(call('HGET', 'nst:spent:' .. day, party)) or 0}
