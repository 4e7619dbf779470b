"""A model compares two answers. One rule: it sees each pair in both orders, and does not know whose they are."""
