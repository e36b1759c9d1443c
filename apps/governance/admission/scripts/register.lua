-- Put an open lease back after Valkey lost it, from what its owner remembers.
-- KEYS: tenant prefix, generation. ARGV: generation, clock, lease, milliseconds left, record's milliseconds, admitted at,
--       subjects, number of budgets, then for each: name, hold, window end; then the names of its slots.
local now = clock(ARGV[2])
if call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local lease, expiry = ARGV[3], now + ARGV[4]
local key = prefix .. ':l:' .. lease
local record = call('GET', key)
if record == 'S' or is_live(record) then return 1 end

local budgets, slots = {}, {}
for i = 9, 8 + ARGV[8] * 3, 3 do
  local counter = prefix .. ':b:' .. ARGV[i]
  call('HINCRBY', counter, 'r', ARGV[i + 1])
  -- A counter seeded without knowing of this lease cannot tell whether the ledger had it.
  invalidate(ARGV[i])
  call('PEXPIRE', counter, counter_ttl(tonumber(ARGV[i + 2]), now))
  local n = #budgets
  budgets[n + 1], budgets[n + 2], budgets[n + 3] = ARGV[i], tonumber(ARGV[i + 1]), 0
end
for i = 9 + ARGV[8] * 3, #ARGV do
  slots[#slots + 1] = ARGV[i]
  call('ZADD', prefix .. ':c:' .. ARGV[i], expiry, lease)
  call('PEXPIRE', prefix .. ':c:' .. ARGV[i], 40 * DAY)
end
if #budgets > 0 then
  call('ZADD', prefix .. ':leases', expiry, lease)
  call('PEXPIRE', prefix .. ':leases', 40 * DAY)
end
-- Token buckets started fresh without this lease's estimate, so there is nothing to correct in them.
call('SET', key, cmsgpack.pack({tonumber(ARGV[6]), ARGV[7], budgets, slots, {}}), 'PX', ARGV[5])
return 1
