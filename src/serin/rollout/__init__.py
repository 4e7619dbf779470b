"""Moves traffic on evidence. One rule: statistics and policy are pure; one loop observes and applies."""
