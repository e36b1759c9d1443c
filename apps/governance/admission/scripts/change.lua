-- Announce that what admission depends on changes. Answers the new epoch.
-- ARGV: mode (begin, end), clock, the writer's mark, how long it lasts.
-- Both ends give a new epoch: should the writer die after its commit, what was read before its beginning is stale
-- all the same, and nothing read in between was kept.
local mode, now, mark = ARGV[1], clock(ARGV[2]), ARGV[3]
local writers = prefix .. ':writers'
if mode == 'begin' then
  call('HSET', writers, mark, format('%.0f', now + ARGV[4]))
  call('PEXPIRE', writers, DAY)
else
  call('HDEL', writers, mark)
end

local until_when = 0
local marks = call('HGETALL', writers)
for i = 1, #marks, 2 do
  local ends = tonumber(marks[i + 1])
  if ends <= now then
    call('HDEL', writers, marks[i])
  elseif ends > until_when then
    until_when = ends
  end
end
if until_when > 0 then
  call('SET', prefix .. ':dirty', format('%.0f', until_when), 'PX', DAY)
else
  call('DEL', prefix .. ':dirty')
end

local before = tonumber(call('GET', prefix .. ':epoch') or 0)
local epoch = format('%.0f', math.max(before + 1, microseconds()))
call('SET', prefix .. ':epoch', epoch, 'PX', 40 * DAY)
return epoch
