"""Decisions without I/O, clock or randomness: everything here is a function of its arguments."""
