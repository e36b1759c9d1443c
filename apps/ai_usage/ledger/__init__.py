"""The ledger's way in: records, group commit, and the spool for when PostgreSQL is away."""
