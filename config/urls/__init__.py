"""The map of the product: one URLconf per kind of host, each line includes one app."""
