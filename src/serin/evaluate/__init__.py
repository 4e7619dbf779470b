"""A candidate against its base and production on held-out questions. One rule: figures and gate are pure functions of answers."""
