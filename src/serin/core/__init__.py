"""Values and decisions that every other package shares. One rule: no I/O, no clock, no randomness of its own."""
