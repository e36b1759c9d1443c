-- Keep a lease for longer. Answers its new expiry, or 0 if it has ended.
-- ARGV: clock, lease, milliseconds from now.
local now, lease = clock(ARGV[1]), ARGV[2]
local key = prefix .. ':l:' .. lease
local record = call('GET', key)
if not is_live(record) then return 0 end

local expiry = now + ARGV[3]
local holds = cmsgpack.unpack(record)
if #holds[3] > 0 then
  call('ZADD', prefix .. ':leases', expiry, lease)
else
  call('PEXPIRE', key, ARGV[3] + 60000)
end
for _, slot in ipairs(holds[4]) do
  call('ZADD', prefix .. ':c:' .. slot, expiry, lease)
  call('PEXPIRE', prefix .. ':c:' .. slot, 40 * DAY)
end
return expiry
