"""Removing models from storage. One rule: first what makes them visible, and nothing that anything may still need."""
