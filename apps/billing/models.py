"""Plans, subscriptions, periods and invoices."""
