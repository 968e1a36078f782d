-- SPDX-License-Identifier: MIT
-- Keeps the holder: if the reply was lost, a second call returns the same.
-- ARGV: id, holder, state, record, seconds, history limit.
-- Returns 1, or 0 if the holder has lost the task.

local id, holder, state, record, seconds, max_history = unpack(ARGV)
if get(id, 'holder') ~= holder then return 0 end
if get(id, 'state') == 'running' then
  call('HSET', key(id), 'record', record)
  call('HINCRBYFLOAT', 'nst:counts', 'seconds', seconds)
  finish(id, state, 0, max_history)
end
return 1
