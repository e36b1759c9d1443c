"""What the keys app is told about the apps above it."""

# Charges by key for the portal's pages: (key ids, since) → {key id: (price, currency)}. The keys app may not
# import the ledger, so the assembly names it here, as it does with middleware.
KEY_SPEND = "apps.ai_usage.key_spend.spend_of_keys"
