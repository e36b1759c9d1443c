-- Say which generation of data this is; keep it alive. KEYS: tenant prefix (unused), generation. ARGV: clock, server.
local now = clock(ARGV[1])
local generation = generation_of(KEYS[2], now, ARGV[2])
call('PEXPIRE', KEYS[2], 40 * DAY)
return {now, generation}
