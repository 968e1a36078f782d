-- SPDX-License-Identifier: MIT
-- Also removes consumers without entries that were idle for an hour.
-- No ARGV.
-- Returns the ids of tasks whose cleanup is due.

local list = redis.pcall('XINFO', 'CONSUMERS', 'nst:queue', 'workers')
for _, c in ipairs(list) do
  if c[4] == 0 and c[6] > 3600000 then
    call('XGROUP', 'DELCONSUMER', 'nst:queue', 'workers', c[2])
  end
end
return call('ZRANGEBYSCORE', 'nst:untidy', '-inf', now, 'LIMIT', 0, 100)
