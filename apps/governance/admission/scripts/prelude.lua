-- Shared by every script of admission. KEYS[1] is the tenant's prefix, `lockstep:{<tenant>}`; every other key of the
-- tenant is made from it, so all of them live in one hash slot:
--   :epoch          string what admission reads from the database is of this epoch
--   :dirty          string until when some writer is between its announcement and its commit
--   :writers        hash   those writers, each with the end of its own mark
--   :r:<limit>      string a rate's fill and when that was so (see rates below)
--   :c:<limit>      zset   leases holding a concurrency slot, scored by expiry
--   :b:<budget>     hash   s = spent, r = reserved, f = when seeded, k = token of a seeding under way
--   :b:<budget>:late  hash lease -> amount, of leases settled while that seeding is under way
--   :seeded:<subject>  zset  "<window start> <budget>" of the counters that have a value, scored by the window's end
--   :seeding        zset   counters whose seeding is under way, scored by when it began
--   :leases         zset   leases that hold budget, scored by expiry
--   :l:<lease>      string what a lease holds (msgpack), or after its end S (settled), O<amount> (returned)
-- Amounts are whole nano-units below 2^53, where Lua's doubles are exact. They are written with %.0f, since Valkey would
-- write 1e+15; as scores that does no harm.
local call = redis.call
local format = string.format
local floor, ceil = math.floor, math.ceil
local prefix = KEYS[1]
local DAY = 86400000

local function microseconds()
  local time = call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Milliseconds by Valkey's clock, the only one that all processes share. Tests may pass their own.
local function clock(given)
  if given ~= '' then return tonumber(given) end
  return floor(microseconds() / 1000)
end

-- A value that lasts as long as Valkey's data and process do: "<since when>-<unique>-<server>". Whoever finds another
-- knows that data may be lost: all of it, or the last second's when a server came back from its own file.
local function renewed(generation, key, now, server)
  if not generation or string.sub(generation, -#server - 1) ~= '-' .. server then
    generation = format('%.0f-%.0f-%s', now, microseconds(), server)
    call('SET', key, generation, 'PX', 40 * DAY)
  end
  return generation
end

-- How long a budget's counter is kept: two days beyond its window; one without an end, forty days since last used.
local function counter_ttl(window_end, now)
  if window_end > 0 then return format('%.0f', window_end - now + 2 * DAY) end
  return 40 * DAY
end

-- Budgets count nano-units of money, or tokens where their name says so.
local function counts_tokens(budget) return string.find(budget, ':token_', 1, true) ~= nil end

-- Forget what was spent, so that the next admission asks the ledger. Reservations stay: they are not in the ledger.
local function invalidate(budget)
  local counter = prefix .. ':b:' .. budget
  call('HDEL', counter, 's', 'f', 'k')
  call('DEL', counter .. ':late')
end

-- Rates are GCRA in exact integers. A request of quantity q fills q * period units; the fill drains `limit` units a
-- millisecond and never exceeds limit * period. (The usual form keeps a time of arrival and rounds it each time.)
local function fill(value, limit, now)
  if not value then return 0 end
  local level, at = struct.unpack('>dd', value)
  if now > at then level = level - (now - at) * limit end
  return level > 0 and level or 0
end

local function set_fill(key, level, limit, now)
  if level > 0 then
    call('SET', key, struct.pack('>dd', level, now), 'PX', format('%.0f', ceil(level / limit) + 1))
  else
    call('DEL', key)
  end
end

local function is_live(record)
  local first = record and string.byte(record)
  return first and first ~= 83 and first ~= 79  -- S, O
end
