"""Members and operators: accounts, roles, sessions and how they sign in."""
