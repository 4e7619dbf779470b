"""Optimizer steps, one after the other. One rule: what comes out depends on params and data alone, not on kills."""
