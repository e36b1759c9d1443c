-- Keep an answer for a while, within a tenant's share of memory.
-- KEYS: when each ends (zset), how large each is (hash, their sum under ''), what every answer's key begins with.
-- ARGV: name, answer, milliseconds to keep it, bytes for all answers of the tenant.
local ends, sizes, prefix = KEYS[1], KEYS[2], KEYS[3]
local name, answer, life, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function forget(each)
  local size = call('HGET', sizes, each)
  call('ZREM', ends, each)
  call('HDEL', sizes, each)
  call('DEL', prefix .. each)
  if size then call('HINCRBY', sizes, '', -size) end
end

for _, each in ipairs(call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 1000)) do forget(each) end
forget(name)
if #answer > most then return 0 end
while tonumber(call('HGET', sizes, '') or 0) + #answer > most do
  local first = call('ZRANGE', ends, 0, 0)[1]
  if not first then break end
  forget(first)
end
call('SET', prefix .. name, answer, 'PX', life)
call('ZADD', ends, now + life, name)
call('HSET', sizes, name, #answer)
call('HINCRBY', sizes, '', #answer)
-- As long as the longest-lived answer, and a while: without them nobody would know what there is.
for _, key in ipairs({ends, sizes}) do
  if call('PTTL', key) < life + 60000 then call('PEXPIRE', key, life + 60000) end
end
return 1
