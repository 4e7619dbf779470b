"""Pins the base model by content. One rule: later stages refuse another content."""
