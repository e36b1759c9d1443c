-- Have every budget on some subjects seeded anew, also those whose seeding is under way: its reading may be too old.
-- ARGV: subjects.
local forgotten = 0
for i = 1, #ARGV do
  local list = prefix .. ':seeded:' .. ARGV[i]
  for _, entry in ipairs(call('ZRANGE', list, 0, -1)) do
    invalidate(string.match(entry, '^%d+ (.*)$'))
    forgotten = forgotten + 1
  end
  call('DEL', list)
end
for _, budget in ipairs(call('ZRANGE', prefix .. ':seeding', 0, -1)) do invalidate(budget) end
call('DEL', prefix .. ':seeding')
return forgotten
