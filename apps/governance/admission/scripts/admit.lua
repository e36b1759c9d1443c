-- Let one request through under all its limits, or hold nothing and say why.
-- KEYS: tenant prefix, generation. ARGV: see `_pack` in engine.py and `CompiledLimits` in limits.py. Numbers come as
-- packed doubles and kinds as bytes: reading them one by one from their digits took a fifth of the script's time.
local OK, REFUSED, STALE, UNSEEDED, LOST, WINDOW, DUPLICATE = 1, 2, 3, 4, 5, 6, 7
local REQUESTS, TOKENS, SLOTS, BUDGET = 1, 2, 3, 4
local SOFT, ESTIMATE = 1, 2
local IN_TOKENS = 4  -- added to the flags of a budget that counts tokens
local NEVER = 2 ^ 53
local NAME = 12  -- where the names of the limits begin, less one
local ORPHANS = 64

local now = clock(ARGV[1])
local expected_epoch, expected_generation, lease, record_ms = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local recovery_ms, accept_dirty, lease_ms, tokens, input, asked, price, least, estimate, input_tokens =
  struct.unpack('>dddddddddd', ARGV[7])
local kinds, flags = {string.byte(ARGV[9], 1, -1)}, {string.byte(ARGV[10], 1, -1)}
-- Whether there are budgets, when their windows begin and end, then of each limit: the limit, its period or the end of
-- its window, and since when it has been in force.
local numbers = {struct.unpack(ARGV[11], ARGV[12])}
local budgets_asked, count = numbers[1] == 1, #kinds

-- Everything that is a string comes with one command: the generation, the epoch, and the fills of the rates.
local names = {'', '', '', '', '', '', '', ''}  -- made at this size, since growing costs more
local strings, rates = {KEYS[2], prefix .. ':epoch', prefix .. ':dirty', nil, nil, nil, nil}, 3
for n = 1, count do
  local kind = kinds[n]
  if kind == BUDGET then
    names[n] = prefix .. ':b:' .. ARGV[NAME + n]
  elseif kind == SLOTS then
    names[n] = prefix .. ':c:' .. ARGV[NAME + n]
  else
    rates = rates + 1
    names[n] = prefix .. ':r:' .. ARGV[NAME + n]
    strings[rates] = names[n]
  end
end
local values = call('MGET', unpack(strings))

local generation = renewed(values[1], KEYS[2], now, ARGV[6])
local generation_since, renewed_at = string.match(generation, '^(%d+)-(%d+)')
generation_since = tonumber(generation_since)
local recovery_left = budgets_asked and generation_since + recovery_ms - now or 0
if recovery_left > 2 * recovery_ms then recovery_left = 0 end  -- the clock was put back since
if generation ~= expected_generation or recovery_left > 0 then
  return {LOST, now, generation, recovery_left > 0 and recovery_left or 0}
end

local epoch, dirty = values[2], values[3] and tonumber(values[3]) > now
if not epoch or tonumber(epoch) < tonumber(renewed_at) then
  -- None, or one from before Valkey was away: what changed meanwhile could not be announced.
  epoch = format('%.0f', microseconds())
  call('SET', prefix .. ':epoch', epoch, 'PX', 40 * DAY)
end
if epoch ~= expected_epoch or (dirty and accept_dirty == 0) then
  return {STALE, now, epoch, dirty and 1 or 0}
end

if now < numbers[2] or now >= numbers[3] then return {WINDOW, now} end

-- Read every limit before judging any.
local used, held = {0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0}
-- rates: fill; slots: taken; budgets: spent and reserved
local room, token_room = NEVER, NEVER  -- the least that is left in a hard budget which holds the full bound
local unseeded
rates = 3
for n = 1, count do
  local kind = kinds[n]
  if kind == BUDGET then
    local counter = call('HMGET', names[n], 's', 'r', 'f')
    local spent, seeded_at = tonumber(counter[1]), tonumber(counter[3])
    if not spent or seeded_at < generation_since or seeded_at < numbers[n * 3 + 3] then
      unseeded = unseeded or {}
      unseeded[#unseeded + 1] = n
    else
      local reserved = tonumber(counter[2] or 0)
      used[n], held[n] = spent, reserved
      if flags[n] == 0 then
        local left = numbers[n * 3 + 1] - spent - reserved
        if left < room then room = left end
      elseif flags[n] == IN_TOKENS then
        local left = numbers[n * 3 + 1] - spent - reserved
        if left < token_room then token_room = left end
      end
    end
  elseif kind == SLOTS then
    used[n] = call('ZCOUNT', names[n], '(' .. format('%.0f', now), '+inf')
  else
    rates = rates + 1
    used[n] = fill(values[rates], numbers[n * 3 + 1], now)
  end
end

if unseeded then
  local answer, open = {UNSEEDED, now, #unseeded}, {}
  local has_reservations = false
  for _, n in ipairs(unseeded) do
    local counter = names[n]
    local fields = call('HMGET', counter, 's', 'r', 'k')
    if fields[1] then  -- seeded before this generation or before the limit was in force: not to be trusted
      invalidate(ARGV[NAME + n])
      fields[3] = false
    end
    -- A seeding under way keeps its token, so that two processes help each other instead of starting over.
    local token = fields[3]
    if not token then
      token = format('%.0f', microseconds())
      call('HSET', counter, 'k', token)
      call('PEXPIRE', counter, counter_ttl(numbers[n * 3 + 2], now))
      call('ZADD', prefix .. ':seeding', now, ARGV[NAME + n])
      call('PEXPIRE', prefix .. ':seeding', DAY)
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
local granted = asked
local hold, token_hold = input + ceil(granted * price / 1000), input_tokens + granted
if (hold > room or token_hold > token_room) and least >= 0 and least < granted then
  local fitting = granted
  if hold > room then fitting = room > input and floor((room - input) * 1000 / price) or least end
  if token_hold > token_room and token_room - input_tokens < fitting then fitting = token_room - input_tokens end
  granted = fitting > least and fitting or least
  hold, token_hold = input + ceil(granted * price / 1000), input_tokens + granted
end
if estimate < 0 or estimate > hold then estimate = hold end
local token_estimate = tokens < token_hold and tokens or token_hold

-- What the call holds of a budget, by the budget's flags.
local function holding(flag)
  if flag >= IN_TOKENS then return flag - IN_TOKENS >= ESTIMATE and token_estimate or token_hold end
  return flag >= ESTIMATE and estimate or hold
end

local refusing, latest, remaining, budget_refuses = nil, -1, 0, 0
local shadowed = {}
for n = 1, count do
  local kind, limit, is_soft = kinds[n], numbers[n * 3 + 1], flags[n] % 2 == SOFT
  local reset, left
  if kind == BUDGET then
    if not is_soft then
      left = limit - used[n] - held[n]
      if holding(flags[n]) > left then
        reset = numbers[n * 3 + 2] > 0 and numbers[n * 3 + 2] or NEVER
        budget_refuses = 1
      end
    end
  elseif kind == SLOTS then
    if used[n] >= limit and not is_soft then left, reset = 0, now + 1000 end
  else
    local period, quantity = numbers[n * 3 + 2], kind == REQUESTS and 1 or tokens
    local excess = used[n] + quantity * period - limit * period
    if excess > 0 then
      if is_soft then
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

if granted < asked and orphans[1] and not refusing then
  -- Less than asked, and dead leases hold some of it: to be resolved first, like a refusal by a budget.
  refusing, budget_refuses = 1, 1
end

-- Decided, and nothing is held yet: peek.lua takes it from here where nothing is to be held (lua.py).

if refusing then
  local answer = {
    REFUSED, now, refusing, remaining > 0 and remaining or 0, latest == NEVER and -1 or latest, budget_refuses,
  }
  for _, orphan in ipairs(orphans) do answer[#answer + 1] = orphan end
  return answer
end

local expiry = now + lease_ms
local budgets, slots, buckets = {}, {}, {}
for n = 1, count do
  local kind, name = kinds[n], ARGV[NAME + n]
  if kind == BUDGET then
    local size = #budgets
    budgets[size + 1], budgets[size + 2], budgets[size + 3] = name, holding(flags[n]), 0
  elseif kind == SLOTS then
    slots[#slots + 1] = name
  elseif kind == TOKENS and not shadowed[n] then
    local size = #buckets
    buckets[size + 1], buckets[size + 2], buckets[size + 3], buckets[size + 4] =
      name, tokens, numbers[n * 3 + 1], numbers[n * 3 + 2]
  end
end
local record = cmsgpack.pack({now, ARGV[8], budgets, slots, buckets})
if not call('SET', prefix .. ':l:' .. lease, record, 'NX', 'PX', record_ms) then return {DUPLICATE, now} end

-- Keys that every admission touches get their life renewed now and then, not each time.
local renew = now % 64 == 0
local answer, size = {OK, now, expiry, granted, hold}, 5
for n = 1, count do
  local kind, limit = kinds[n], numbers[n * 3 + 1]
  if kind == BUDGET then
    local reserved = held[n] + holding(flags[n])
    call('HSET', names[n], 'r', format('%.0f', reserved))
    if numbers[n * 3 + 2] == 0 then call('PEXPIRE', names[n], 40 * DAY) end
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
    local period, level = numbers[n * 3 + 2], used[n]
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
