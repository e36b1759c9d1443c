-- Say which generation of data this is; keep it alive. KEYS: tenant prefix (unused), generation. ARGV: clock, server.
local now = clock(ARGV[1])
local generation = renewed(call('GET', KEYS[2]), KEYS[2], now, ARGV[2])
call('PEXPIRE', KEYS[2], 40 * DAY)
return {now, generation}
