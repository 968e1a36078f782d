-- SPDX-License-Identifier: MIT
-- ARGV: id.
-- Returns the row of the task, or nil.

return get(ARGV[1], 'state') and row(ARGV[1])
