"""What goes wrong while bringing the local system up, said to the person at the terminal."""


class LocalServiceError(Exception):
    """One clear sentence: what is wrong, and what to do about it."""
