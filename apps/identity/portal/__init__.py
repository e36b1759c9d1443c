"""Pages of the tenant's host about people: members, own profile and sessions, sign-in."""
