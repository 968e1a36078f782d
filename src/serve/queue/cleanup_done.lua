-- SPDX-License-Identifier: MIT
-- Has no effect if the state has changed since the cleanup.
-- ARGV: id, state at the cleanup, "" or seconds until a retry.
-- Returns 1.

local id, state, after = unpack(ARGV)
if (get(id, 'state') or '') == state then
  if after == '' then call('ZREM', 'nst:untidy', id)
  else call('ZADD', 'nst:untidy', 'XX', now + after, id) end
end
return 1
