-- Announce that what admission depends on changes. Answers the new epoch.
-- ARGV: mode (begin, end), clock, the writer's token, how long its dirty mark lasts.
-- Both ends give a new epoch: should the writer die after its commit, what was read before its beginning is stale
-- all the same, and nothing read in between was kept.
local mode, now, mark = ARGV[1], clock(ARGV[2]), 'd' .. ARGV[3]
local state = prefix .. ':state'
local fields = call('HGETALL', state)
local before = 0
for i = 1, #fields, 2 do
  if fields[i] == 'e' then
    before = tonumber(fields[i + 1])
  elseif tonumber(fields[i + 1]) <= now then
    call('HDEL', state, fields[i])
  end
end
if mode == 'begin' then
  call('HSET', state, mark, format('%.0f', now + ARGV[4]))
else
  call('HDEL', state, mark)
end
local epoch = format('%.0f', math.max(before + 1, microseconds()))
call('HSET', state, 'e', epoch)
call('PEXPIRE', state, 40 * DAY)
return epoch
