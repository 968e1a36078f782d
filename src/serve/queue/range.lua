-- SPDX-License-Identifier: MIT
-- ARGV: sorted set, number, limit.
-- Returns the largest number found, then the rows after that number.

local found = call('ZRANGEBYSCORE', ARGV[1], '(' .. ARGV[2], '+inf',
                   'WITHSCORES', 'LIMIT', 0, ARGV[3])
local page = {tonumber(found[#found] or ARGV[2])}
for i = 1, #found, 2 do table.insert(page, row(found[i])) end
return page
