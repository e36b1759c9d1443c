"""Model traffic and its ledger: the gateway, providers, prices, usage events and roll-ups."""
