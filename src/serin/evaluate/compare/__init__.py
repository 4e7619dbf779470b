"""Two models on the same questions. One rule: pure functions of the scores."""
