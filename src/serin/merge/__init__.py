"""Base + adapter in one set of weights. One rule: arithmetic in float32, rounded once, one tensor at a time."""
