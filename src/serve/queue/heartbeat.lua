-- SPDX-License-Identifier: MIT
-- ARGV: id, holder, consumer, step or "".
-- Returns 1, 2 if the task shall end with the picture so far, or 0 if the holder has
-- lost it.

local id, holder, consumer, step = unpack(ARGV)
if get(id, 'holder') ~= holder then return 0 end
call('XCLAIM', 'nst:queue', 'workers', consumer, 0, get(id, 'entry'), 'JUSTID')
if step ~= '' and get(id, 'state') == 'running' then
  call('HSET', key(id), 'step', step)
  changed(id)
end
return get(id, 'keep') and 2 or 1
