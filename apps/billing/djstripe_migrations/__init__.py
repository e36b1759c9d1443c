"""dj-stripe's tables in one step; its own history costs every tenant half a minute (docs/billing.md)."""
