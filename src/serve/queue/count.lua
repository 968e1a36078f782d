-- SPDX-License-Identifier: MIT
-- No ARGV.
-- Returns the hash nst:counts.

return redis.call('HGETALL', 'nst:counts')
