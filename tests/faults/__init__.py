"""The fault harness: mixed load, seeded accidents, and a checker of all books afterwards (docs/faults.md)."""
