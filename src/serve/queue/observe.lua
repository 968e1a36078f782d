-- SPDX-License-Identifier: MIT
-- Add a duration to a histogram; if the reply is lost, perhaps twice.
-- ARGV: name, bucket, seconds.

local name, bucket, seconds = unpack(ARGV)
redis.call('HINCRBY', 'nst:counts', name .. ':' .. bucket, 1)
redis.call('HINCRBYFLOAT', 'nst:counts', name .. ':sum', seconds)
return 1
