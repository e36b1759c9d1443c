-- Set what was spent, as read from the ledger, on counters that lack it.
-- KEYS: tenant prefix, generation. ARGV: generation, clock, number of budgets, then for each: name, token, spent,
--       window start, window end, trusted since, subject; then of the open leases that the same reading of the ledger
--       counted: lease, amount, tokens.
local now, count = clock(ARGV[2]), tonumber(ARGV[3])
if call('GET', KEYS[2]) ~= ARGV[1] then return 0 end

local committed = {}
for i = 4 + count * 7, #ARGV, 3 do committed[ARGV[i]] = {tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])} end

local function counted_in(budget, lease)
  local amounts = committed[lease]
  return amounts and amounts[counts_tokens(budget) and 2 or 1] or 0
end

local seeded, accepted = {}, 0
local generation_since = tonumber(string.match(ARGV[1], '^%d+'))
for i = 4, 3 + count * 7, 7 do
  local counter = prefix .. ':b:' .. ARGV[i]
  local fields = call('HMGET', counter, 's', 'k')
  -- Another process was first, or a settlement made this reading doubtful: then it is not used.
  if not fields[1] and fields[2] == ARGV[i + 1] then
    local spent = tonumber(ARGV[i + 2])
    local late = call('HGETALL', counter .. ':late')
    for j = 1, #late, 2 do spent = spent + late[j + 1] - counted_in(ARGV[i], late[j]) end
    local seeded_at = math.max(now, generation_since, tonumber(ARGV[i + 5]))
    call('HSET', counter, 's', format('%.0f', spent), 'f', format('%.0f', seeded_at))
    call('HDEL', counter, 'k')
    call('DEL', counter .. ':late')
    call('ZREM', prefix .. ':seeding', ARGV[i])
    call('PEXPIRE', counter, counter_ttl(tonumber(ARGV[i + 4]), now))
    local list, window_end = prefix .. ':seeded:' .. ARGV[i + 6], tonumber(ARGV[i + 4])
    call('ZREMRANGEBYSCORE', list, '-inf', now)
    call('ZADD', list, window_end > 0 and window_end or '+inf', ARGV[i + 3] .. ' ' .. ARGV[i])
    call('PEXPIRE', list, 400 * DAY)
    seeded[ARGV[i]] = counter
    accepted = accepted + 1
  end
end

-- An open lease whose event is in the ledger is in `spent` now; its settlement adds only what came after.
for lease in pairs(committed) do
  local key = prefix .. ':l:' .. lease
  local record = call('GET', key)
  if is_live(record) then
    local holds = cmsgpack.unpack(record)
    local budgets, changed = holds[3], false
    for i = 1, #budgets, 3 do
      local counter, hold, before = seeded[budgets[i]], budgets[i + 1], budgets[i + 2]
      local amount = counted_in(budgets[i], lease)
      if counter and before ~= amount then
        local reserved = tonumber(call('HGET', counter, 'r') or 0)
        reserved = reserved - math.max(0, hold - before) + math.max(0, hold - amount)
        call('HSET', counter, 'r', format('%.0f', math.max(0, reserved)))
        budgets[i + 2], changed = amount, true
      end
    end
    if changed then call('SET', key, cmsgpack.pack(holds), 'KEEPTTL') end
  end
end
return accepted
