"""Money: plans, subscriptions, periods, statements, invoices, and Stripe."""
