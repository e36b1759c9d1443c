"""Pages of usage and calls in the portal."""
