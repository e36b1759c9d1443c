"""The catalogue file: reading it strictly, applying it, and writing the same form."""
