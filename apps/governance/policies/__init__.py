"""Policies: which of the things a plan allows may really be used. Rules as values, and the decision without I/O."""
