-- Let one request through under all its limits, or hold nothing and say why.
-- KEYS: tenant prefix, generation. ARGV: see `_dynamic` in engine.py and `CompiledLimits` in limits.py.
local OK, REFUSED, STALE, UNSEEDED, LOST, WINDOW, DUPLICATE = 1, 2, 3, 4, 5, 6, 7
local REQUESTS, TOKENS, SLOTS, BUDGET = '1', '2', '3', '4'
local NEVER = 2 ^ 53
local FIRST = 21  -- each limit is six arguments: kind, name, limit, period or window end, trusted since, flags
local ORPHANS = 64

local now = clock(ARGV[5])
local budgets_asked = ARGV[16] == '1'

-- Everything that is a string comes with one command: the generation, the epoch, and the fills of the rates.
local kinds, names, limits, thirds, soft, estimated = {}, {}, {}, {}, {}, {}
local strings, count, rates = {KEYS[2], prefix .. ':epoch', prefix .. ':dirty'}, 0, 3
for i = FIRST, #ARGV, 6 do
  count = count + 1
  local kind, flags = ARGV[i], ARGV[i + 5]
  kinds[count], limits[count], thirds[count] = kind, tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  soft[count] = flags == '1' or flags == '3'
  if kind == BUDGET then
    names[count], estimated[count] = prefix .. ':b:' .. ARGV[i + 1], flags >= '2'
  elseif kind == SLOTS then
    names[count] = prefix .. ':c:' .. ARGV[i + 1]
  else
    rates = rates + 1
    names[count] = prefix .. ':r:' .. ARGV[i + 1]
    strings[rates] = names[count]
  end
end
local values = call('MGET', unpack(strings))

local generation = renewed(values[1], KEYS[2], now, ARGV[15])
local generation_since = tonumber(string.match(generation, '^%d+'))
local recovery_left = budgets_asked and generation_since + ARGV[4] - now or 0
if recovery_left > 2 * ARGV[4] then recovery_left = 0 end  -- the clock was put back since
if generation ~= ARGV[3] or recovery_left > 0 then
  return {LOST, now, generation, recovery_left > 0 and recovery_left or 0}
end

local epoch, dirty = values[2], values[3] and tonumber(values[3]) > now
if not epoch then
  epoch = format('%.0f', microseconds())
  call('SET', prefix .. ':epoch', epoch, 'PX', 40 * DAY)
end
if epoch ~= ARGV[1] or (dirty and ARGV[2] ~= '1') then
  return {STALE, now, epoch, dirty and 1 or 0}
end

if now < tonumber(ARGV[17]) or now >= tonumber(ARGV[18]) then return {WINDOW, now} end

-- Read every limit before judging any.
local tokens = tonumber(ARGV[9])
local used, held = {}, {}  -- rates: fill; slots: taken; budgets: spent and reserved
local room = NEVER         -- the least that is left in a hard budget which holds the full bound
local unseeded
rates = 3
for n = 1, count do
  local kind = kinds[n]
  if kind == BUDGET then
    local counter = call('HMGET', names[n], 's', 'r', 'f')
    local spent, seeded_at = tonumber(counter[1]), tonumber(counter[3])
    if not spent or seeded_at < generation_since or seeded_at < tonumber(ARGV[FIRST + n * 6 - 2]) then
      unseeded = unseeded or {}
      unseeded[#unseeded + 1] = n
    else
      local reserved = tonumber(counter[2] or 0)
      used[n], held[n] = spent, reserved
      local left = limits[n] - spent - reserved
      if left < room and not soft[n] and not estimated[n] then room = left end
    end
  elseif kind == SLOTS then
    used[n] = call('ZCOUNT', names[n], '(' .. format('%.0f', now), '+inf')
  else
    rates = rates + 1
    used[n] = fill(values[rates], limits[n], now)
  end
end

if unseeded then
  local answer, open = {UNSEEDED, now, #unseeded}, {}
  local has_reservations = false
  for _, n in ipairs(unseeded) do
    local counter = names[n]
    local fields = call('HMGET', counter, 's', 'r', 'k')
    if fields[1] then  -- seeded before this generation or before the limit was in force: not to be trusted
      invalidate(ARGV[FIRST + n * 6 - 5])
      fields[3] = false
    end
    -- A seeding under way keeps its token, so that two processes help each other instead of starting over.
    local token = fields[3]
    if not token then
      token = format('%.0f', microseconds())
      call('HSET', counter, 'k', token)
      call('PEXPIRE', counter, counter_ttl(thirds[n], now))
    end
    answer[#answer + 1] = n
    answer[#answer + 1] = token
    has_reservations = has_reservations or tonumber(fields[2] or 0) > 0
    for _, lease in ipairs(call('HKEYS', counter .. ':late')) do open[#open + 1] = lease end
  end
  if has_reservations then
    for _, lease in ipairs(call('ZRANGE', prefix .. ':leases', 0, -1)) do open[#open + 1] = lease end
  end
  for _, lease in ipairs(open) do answer[#answer + 1] = lease end
  return answer
end

-- The hold is the full bound, or the most output that fits when that is no less than the floor.
local input, granted, price, least = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local hold = input + ceil(granted * price / 1000)
if hold > room and least >= 0 and least < granted then
  local fitting = least
  if room > input then fitting = floor((room - input) * 1000 / price) end
  granted = fitting > least and fitting or least
  hold = input + ceil(granted * price / 1000)
end
local estimate = tonumber(ARGV[14])
if estimate < 0 or estimate > hold then estimate = hold end

local refusing, latest, remaining, budget_refuses = nil, -1, 0, 0
local shadowed = {}
for n = 1, count do
  local kind, limit = kinds[n], limits[n]
  local reset, left
  if kind == BUDGET then
    if not soft[n] then
      left = limit - used[n] - held[n]
      if (estimated[n] and estimate or hold) > left then
        reset = thirds[n] > 0 and thirds[n] or NEVER
        budget_refuses = 1
      end
    end
  elseif kind == SLOTS then
    if used[n] >= limit and not soft[n] then left, reset = 0, now + 1000 end
  else
    local period, quantity = thirds[n], kind == REQUESTS and 1 or tokens
    local excess = used[n] + quantity * period - limit * period
    if excess > 0 then
      if soft[n] then
        shadowed[n] = true  -- would have refused: the fill stays as it is and the answer says so
      else
        left = floor((limit * period - used[n]) / period)
        reset = quantity > limit and NEVER or now + ceil(excess / limit)
      end
    end
  end
  if reset and reset > latest then refusing, latest, remaining = n, reset, left end
end

-- Leases past their end still hold budget, since their owner may have died between the ledger and the settlement.
-- Whoever asks next looks them up in the ledger and resolves them; their slots were free when they expired.
local orphans = budgets_asked and call('ZRANGEBYSCORE', prefix .. ':leases', '-inf', now, 'LIMIT', 0, ORPHANS) or {}

if granted < tonumber(ARGV[11]) and orphans[1] and not refusing then
  -- Less than asked, and dead leases hold some of it: to be resolved first, like a refusal by a budget.
  refusing, budget_refuses = 1, 1
end

if refusing then
  local answer = {
    REFUSED, now, refusing, remaining > 0 and remaining or 0, latest == NEVER and -1 or latest, budget_refuses,
  }
  for _, orphan in ipairs(orphans) do answer[#answer + 1] = orphan end
  return answer
end

local lease, expiry = ARGV[6], now + ARGV[7]
local budgets, slots, buckets = {}, {}, {}
for n = 1, count do
  local kind, name = kinds[n], ARGV[FIRST + n * 6 - 5]
  if kind == BUDGET then
    local size = #budgets
    budgets[size + 1], budgets[size + 2], budgets[size + 3] = name, estimated[n] and estimate or hold, 0
  elseif kind == SLOTS then
    slots[#slots + 1] = name
  elseif kind == TOKENS and not shadowed[n] then
    local size = #buckets
    buckets[size + 1], buckets[size + 2], buckets[size + 3], buckets[size + 4] = name, tokens, limits[n], thirds[n]
  end
end
local record = cmsgpack.pack({now, ARGV[19], ARGV[20], budgets, slots, buckets})
if not call('SET', prefix .. ':l:' .. lease, record, 'NX', 'PX', ARGV[8]) then return {DUPLICATE, now} end

-- Keys that every admission touches get their life renewed now and then, not each time.
local renew = now % 64 == 0
local answer, size = {OK, now, expiry, granted, hold}, 5
for n = 1, count do
  local kind, limit = kinds[n], limits[n]
  if kind == BUDGET then
    local reserved = held[n] + (estimated[n] and estimate or hold)
    call('HSET', names[n], 'r', format('%.0f', reserved))
    if thirds[n] == 0 then call('PEXPIRE', names[n], 40 * DAY) end
    if held[n] == 0 then renew = true end
    answer[size + 1], answer[size + 2] = used[n], reserved
  elseif kind == SLOTS then
    call('ZADD', names[n], expiry, lease)
    if renew or used[n] == 0 then
      call('ZREMRANGEBYSCORE', names[n], '-inf', now)
      call('PEXPIRE', names[n], 40 * DAY)
    end
    answer[size + 1], answer[size + 2] = limit - used[n] - 1, 0
  else
    local period, level = thirds[n], used[n]
    if shadowed[n] then
      answer[size + 1] = -1
    else
      level = level + (kind == REQUESTS and 1 or tokens) * period
      set_fill(names[n], level, limit, now)
      answer[size + 1] = floor((limit * period - level) / period)
    end
    answer[size + 2] = limit > 0 and now + ceil(level / limit) or -1
  end
  size = size + 2
end
if budgets_asked then
  call('ZADD', prefix .. ':leases', expiry, lease)
  if renew then call('PEXPIRE', prefix .. ':leases', 40 * DAY) end
end
for i = 1, #orphans do answer[size + i] = orphans[i] end
return answer
