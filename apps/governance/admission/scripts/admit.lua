-- Let one request through under all its limits, or hold nothing and say why.
-- KEYS: tenant prefix, generation. ARGV: see `_dynamic` in engine.py and `CompiledLimits` in limits.py.
local OK, REFUSED, STALE, UNSEEDED, LOST, WINDOW, DUPLICATE = 1, 2, 3, 4, 5, 6, 7
local REQUESTS, TOKENS, SLOTS = '1', '2', '3'
local NEVER = 2 ^ 53
local FIRST = 21  -- each limit is six arguments: kind, name, limit, period or window end, trusted since, flags
local ORPHANS = 64

local now = clock(ARGV[5])

local generation = generation_of(KEYS[2], now, ARGV[15])
local budgets_asked = ARGV[16] == '1'
local generation_since = tonumber(string.match(generation, '^%d+'))
local recovery_left = budgets_asked and generation_since + ARGV[4] - now or 0
if generation ~= ARGV[3] or recovery_left > 0 then
  return {LOST, now, generation, recovery_left > 0 and recovery_left or 0}
end

local epoch, dirty = nil, false
local state = call('HGETALL', prefix .. ':state')
for i = 1, #state, 2 do
  if state[i] == 'e' then
    epoch = state[i + 1]
  elseif tonumber(state[i + 1]) > now then
    dirty = true
  end
end
if not epoch then
  epoch = format('%.0f', microseconds())
  call('HSET', prefix .. ':state', 'e', epoch)
  call('PEXPIRE', prefix .. ':state', 40 * DAY)
end
if epoch ~= ARGV[1] or (dirty and ARGV[2] ~= '1') then
  return {STALE, now, epoch, dirty and 1 or 0}
end

if now < tonumber(ARGV[17]) or now >= tonumber(ARGV[18]) then return {WINDOW, now} end

-- Read every limit before judging any.
local tokens = tonumber(ARGV[9])
local count = 0
local used, held = {}, {}  -- rates: fill; slots: taken; budgets: spent and reserved
local room = NEVER         -- the least that is left in a hard budget which holds the full bound
local unseeded
for i = FIRST, #ARGV, 6 do
  count = count + 1
  local kind = ARGV[i]
  if kind == REQUESTS or kind == TOKENS then
    used[count] = fill(prefix .. ':r:' .. ARGV[i + 1], ARGV[i + 2], now)
  elseif kind == SLOTS then
    used[count] = call('ZCOUNT', prefix .. ':c:' .. ARGV[i + 1], '(' .. format('%.0f', now), '+inf')
  else
    local counter = call('HMGET', prefix .. ':b:' .. ARGV[i + 1], 's', 'r', 'f')
    local spent, reserved = tonumber(counter[1]), tonumber(counter[2] or 0)
    if not spent or tonumber(counter[3]) < tonumber(ARGV[i + 4])
      or tonumber(counter[3]) < generation_since then
      unseeded = unseeded or {}
      unseeded[#unseeded + 1] = count
    else
      used[count], held[count] = spent, reserved
      if ARGV[i + 5] == '0' then
        local left = ARGV[i + 2] - spent - reserved
        if left < room then room = left end
      end
    end
  end
end

if unseeded then
  local answer, open = {UNSEEDED, now, #unseeded}, {}
  local has_reservations = false
  for _, index in ipairs(unseeded) do
    local i = FIRST + (index - 1) * 6
    local counter = prefix .. ':b:' .. ARGV[i + 1]
    local fields = call('HMGET', counter, 's', 'r', 'k')
    if fields[1] then  -- seeded before this generation or before the limit was in force: not to be trusted
      invalidate(ARGV[i + 1])
      fields[3] = false
    end
    -- A seeding under way keeps its token, so that two processes help each other instead of starting over.
    local token = fields[3]
    if not token then
      token = format('%.0f', microseconds())
      call('HSET', counter, 'k', token)
      call('PEXPIRE', counter, counter_ttl(tonumber(ARGV[i + 3]), now))
    end
    answer[#answer + 1] = index
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
for index = 1, count do
  local i = FIRST + (index - 1) * 6
  local kind, limit = ARGV[i], tonumber(ARGV[i + 2])
  local soft = ARGV[i + 5] == '1' or ARGV[i + 5] == '3'
  local reset, left
  if kind == REQUESTS or kind == TOKENS then
    local period = tonumber(ARGV[i + 3])
    local quantity = kind == REQUESTS and 1 or tokens
    local excess = used[index] + quantity * period - limit * period
    if excess > 0 then
      if soft then
        held[index] = true  -- would have refused: the fill stays as it is and the answer says so
      else
        left = floor((limit * period - used[index]) / period)
        reset = quantity > limit and NEVER or now + ceil(excess / limit)
      end
    end
  elseif kind == SLOTS then
    if not soft and used[index] >= limit then left, reset = 0, now + 1000 end
  elseif not soft then
    left = limit - used[index] - held[index]
    if (ARGV[i + 5] == '2' and estimate or hold) > left then
      reset = tonumber(ARGV[i + 3])
      if reset == 0 then reset = NEVER end
      budget_refuses = 1
    end
  end
  if reset and reset > latest then refusing, latest, remaining = index, reset, left end
end

-- Leases past their end still hold budget, since their owner may have died between the ledger and the settlement.
-- Whoever asks next looks them up in the ledger and resolves them; their slots were free when they expired.
local orphans = {}
if budgets_asked then
  orphans = call('ZRANGEBYSCORE', prefix .. ':leases', '-inf', format('%.0f', now), 'LIMIT', 0, ORPHANS)
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
for index = 1, count do
  local i = FIRST + (index - 1) * 6
  local kind = ARGV[i]
  if kind == TOKENS then
    if not held[index] then
      local n = #buckets
      buckets[n + 1], buckets[n + 2], buckets[n + 3], buckets[n + 4] = ARGV[i + 1], tokens, ARGV[i + 2], ARGV[i + 3]
    end
  elseif kind == SLOTS then
    slots[#slots + 1] = ARGV[i + 1]
  elseif kind ~= REQUESTS then
    local n = #budgets
    budgets[n + 1], budgets[n + 2], budgets[n + 3] = ARGV[i + 1], ARGV[i + 5] >= '2' and estimate or hold, 0
  end
end
local record = cmsgpack.pack({now, ARGV[19], ARGV[20], budgets, slots, buckets})
if not call('SET', prefix .. ':l:' .. lease, record, 'NX', 'PX', ARGV[8]) then return {DUPLICATE, now} end

local answer = {OK, now, expiry, granted, hold}
for index = 1, count do
  local i = FIRST + (index - 1) * 6
  local kind, limit = ARGV[i], tonumber(ARGV[i + 2])
  local first, second
  if kind == REQUESTS or kind == TOKENS then
    local period = tonumber(ARGV[i + 3])
    local level = used[index]
    if held[index] then
      first = -1
    else
      level = level + (kind == REQUESTS and 1 or tokens) * period
      set_fill(prefix .. ':r:' .. ARGV[i + 1], level, limit, now)
      first = floor((limit * period - level) / period)
    end
    second = limit > 0 and now + ceil(level / limit) or -1
  elseif kind == SLOTS then
    local key = prefix .. ':c:' .. ARGV[i + 1]
    call('ZREMRANGEBYSCORE', key, '-inf', format('%.0f', now))
    call('ZADD', key, format('%.0f', expiry), lease)
    call('PEXPIRE', key, DAY)
    first, second = limit - used[index] - 1, 0
  else
    local counter = prefix .. ':b:' .. ARGV[i + 1]
    first, second = used[index], held[index] + (ARGV[i + 5] >= '2' and estimate or hold)
    call('HSET', counter, 'r', format('%.0f', second))
    if ARGV[i + 3] == '0' then call('PEXPIRE', counter, 40 * DAY) end
  end
  local n = #answer
  answer[n + 1], answer[n + 2] = first, second
end
if budgets_asked then
  call('ZADD', prefix .. ':leases', format('%.0f', expiry), lease)
  call('PEXPIRE', prefix .. ':leases', 40 * DAY)
end
for _, orphan in ipairs(orphans) do answer[#answer + 1] = orphan end
return answer
