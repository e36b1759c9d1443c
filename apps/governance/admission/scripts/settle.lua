-- End a lease once: give back what it holds, and count what was really used.
-- ARGV: mode (S settle by its owner, O resolve for an owner that is gone, R release unused), clock, lease,
--       amount, tokens (-1: unknown, leave what is held), then the budgets it holds as far as the caller knows.
local SETTLED, ALREADY, UNKNOWN = 1, 2, 3
local KEEP = 120000  -- how long the end of a lease is remembered; a later repeat only costs a question to the ledger
local mode, lease = ARGV[1], ARGV[3]
local amount, tokens = tonumber(ARGV[4]), tonumber(ARGV[5])
local key = prefix .. ':l:' .. lease

local record = call('GET', key)
if not is_live(record) then
  -- An orphan whose record has gone at last; nobody is to be told of it again.
  if mode == 'O' then call('ZREM', prefix .. ':leases', lease) end
  if record and (mode ~= 'S' or record == 'S' or tonumber(string.sub(record, 2)) == amount) then return {ALREADY} end
  if mode == 'S' then
    -- The lease ended without its owner, or was lost. Its amount is in the ledger; whether the counters have it
    -- cannot be told from here, so they are asked for anew.
    for i = 6, #ARGV do invalidate(ARGV[i]) end
    call('SET', key, 'S', 'PX', KEEP)
  end
  return {UNKNOWN}
end

local admitted, subjects, budgets, slots, buckets = unpack(cmsgpack.unpack(record))
local answer = {SETTLED}
for i = 1, #budgets, 3 do
  local hold, counted = budgets[i + 1], budgets[i + 2]
  local amount = amount
  if counts_tokens(budgets[i]) then amount = tokens >= 0 and tokens or hold end
  local counter = prefix .. ':b:' .. budgets[i]
  local fields = call('HMGET', counter, 's', 'r', 'k')
  local spent, reserved = tonumber(fields[1]), tonumber(fields[2])
  local n = #answer
  answer[n + 1], answer[n + 2] = -1, 0
  if reserved then
    reserved = reserved - (hold > counted and hold - counted or 0)
    if reserved < 0 then reserved = 0 end
    if spent then
      local added = amount - counted  -- counted: what a seeding found of it in the ledger already
      spent = spent + added
      call('HSET', counter, 'r', format('%.0f', reserved), 's', format('%.0f', spent))
      answer[n + 1], answer[n + 2] = spent, added
    else
      call('HSET', counter, 'r', format('%.0f', reserved))
      if fields[3] then
        -- The seeding under way read the ledger before or after this amount was committed; it knows which.
        call('HSET', counter .. ':late', lease, format('%.0f', amount))
        call('PEXPIRE', counter .. ':late', 40 * DAY)
      end
    end
  end
end
if #budgets > 0 then call('ZREM', prefix .. ':leases', lease) end
for i = 1, #slots do call('ZREM', prefix .. ':c:' .. slots[i], lease) end

if tokens >= 0 and #buckets > 0 and mode ~= 'O' then
  local now = clock(ARGV[2])
  for i = 1, #buckets, 4 do
    local correction = tokens - buckets[i + 1]
    if correction ~= 0 then
      local bucket, limit = prefix .. ':r:' .. buckets[i], tonumber(buckets[i + 2])
      set_fill(bucket, fill(call('GET', bucket), limit, now) + correction * buckets[i + 3], limit, now)
    end
  end
end

if amount > 0 or tokens > 0 then
  -- Counters that do not hear of this amount although the ledger counts it in them: of budgets set up while the call
  -- was under way, or not in force at present. They are read from the ledger when they are next asked for.
  for subject in string.gmatch(subjects, '%S+') do
    local list = prefix .. ':seeded:' .. subject
    for _, entry in ipairs(call('ZRANGE', list, 0, -1)) do
      local start, budget = string.match(entry, '^(%d+) (.*)$')
      local is_told = admitted < tonumber(start)
      for i = 1, #budgets, 3 do is_told = is_told or budgets[i] == budget end
      if not is_told then
        invalidate(budget)
        call('ZREM', list, entry)
      end
    end
  end
end

call('SET', key, mode == 'S' and 'S' or format('O%.0f', amount), 'PX', KEEP)
return answer
