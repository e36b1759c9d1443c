"""Where tenants' webhooks may be sent."""

from config import env

# Development only: http, any port and loopback, for endpoints on this machine.
WEBHOOK_ALLOW_LOCAL = env.flag("WEBHOOK_ALLOW_LOCAL", False)
WEBHOOK_PORTS = [int(port) for port in env.listing("WEBHOOK_PORTS", "443,8443")]
# Networks of the operator's own that endpoints may be in although they are private (on premises).
WEBHOOK_PRIVATE_NETWORKS = env.listing("WEBHOOK_PRIVATE_NETWORKS")
# Name and port → addresses. Tests put a resolver of theirs here.
WEBHOOK_RESOLVER = "apps.governance.webhooks.addresses.system_addresses"
