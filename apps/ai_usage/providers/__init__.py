"""The official SDKs, for what workers do. Nothing outside this package imports them."""
