"""A small, real Stripe for machines without internet: state, a clock, idempotency keys, signed webhooks,
faults."""
