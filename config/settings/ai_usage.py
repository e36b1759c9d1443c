"""The gateway's bounds. Times in seconds, sizes in bytes."""

from config import env

GATEWAY_MAX_BODY = env.number("GATEWAY_MAX_BODY", 32 * 1024 * 1024)
GATEWAY_BODY_TIMEOUT = env.number("GATEWAY_BODY_TIMEOUT", 30)
GATEWAY_MAX_RESPONSE = env.number("GATEWAY_MAX_RESPONSE", 64 * 1024 * 1024)
GATEWAY_DRAIN_SECONDS = env.number("GATEWAY_DRAIN_SECONDS", 60)
GATEWAY_MAX_DRAINS = env.number("GATEWAY_MAX_DRAINS", 1000)
# How long a process that is asked to stop lets calls go on whose clients have gone; below the server's own patience.
GATEWAY_STOP_SECONDS = env.number("GATEWAY_STOP_SECONDS", 5)
GATEWAY_LEASE_SECONDS = env.number("GATEWAY_LEASE_SECONDS", 60)
# How often the last uses of keys, noted in memory, are written.
GATEWAY_LAST_USE_SECONDS = env.number("GATEWAY_LAST_USE_SECONDS", 30)
GATEWAY_DATABASE_CONNECTIONS = env.number("GATEWAY_DATABASE_CONNECTIONS", 4)
# How many calls of the provider's own billed tools (web searches) to hold money for where the request sets no limit.
GATEWAY_TOOL_CALLS = env.number("GATEWAY_TOOL_CALLS", 10)
# How many bytes of usage events may wait on disk while PostgreSQL is away before admission stops.
GATEWAY_SPOOL_LIMIT = env.number("GATEWAY_SPOOL_LIMIT", 256 * 1024 * 1024)
# Ask each pooled connection whether it still answers before using it: costs a round trip per commit. Without it
# the first commit after a database restart goes to the spool and is replayed within a second.
GATEWAY_CHECK_CONNECTIONS = env.flag("GATEWAY_CHECK_CONNECTIONS", False)
# How long a text may be inspected before the policy's failure mode answers, and how many characters of a stream
# are held back at most, so that a value in several pieces is found whole.
DATA_BOUNDARY_TIMEOUT_MS = env.number("DATA_BOUNDARY_TIMEOUT_MS", 2000)
DATA_BOUNDARY_WINDOW = env.number("DATA_BOUNDARY_WINDOW", 512)

# Answers to identical requests from memory, for tenants that switch it on. The longest they may be kept; 0: never.
ANSWER_CACHE_LONGEST_SECONDS = env.number("ANSWER_CACHE_LONGEST_SECONDS", 24 * 3600)
# What such an answer is charged where the plan does not say: per cent of the price of a call.
ANSWER_CACHE_PRICE_PERCENT = env.number("ANSWER_CACHE_PRICE_PERCENT", 0)
ANSWER_CACHE_LARGEST = env.number("ANSWER_CACHE_LARGEST", 256 * 1024)
# Valkey's memory for the answers of one tenant.
ANSWER_CACHE_TENANT_BYTES = env.number("ANSWER_CACHE_TENANT_BYTES", 16 * 1024 * 1024)
