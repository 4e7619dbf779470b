"""Serving on one machine: the supervisor, Ray under it, and every process of one start."""
