"""FineTunes on Kubernetes: pure decisions, and one loop that observes and acts. One rule: nothing here imports torch."""
