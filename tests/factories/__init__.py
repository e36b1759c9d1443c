"""State for tests, made through services so that it is true."""
