"""Answers to questions, from a model in this process or behind an endpoint, kept as they come."""
