"""Django's database backend for Lockstep."""
