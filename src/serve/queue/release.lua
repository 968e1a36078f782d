-- SPDX-License-Identifier: MIT
-- Queue a running task again.
-- ARGV: id, holder, attempts, retries to count (0 or 1).
-- Returns 1, or 0 if the holder has lost the task.

local id, holder, attempts, retries = unpack(ARGV)
if get(id, 'holder') ~= holder then return 0 end
call('HDEL', key(id), 'holder', 'step')
call('HSET', key(id), 'attempts', attempts)
call('XCLAIM', 'nst:queue', 'workers', 'nobody', 0, get(id, 'entry'),
     'IDLE', released_idle_ms, 'JUSTID')
count('retries', retries)
set_state(id, 'queued')
call('PUBLISH', 'nst:work', '')
return 1
