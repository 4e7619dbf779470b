"""Base against tuned on held-out questions. One rule: the figures and the gate are pure functions of the answers."""
