"""What a model knew before it was tuned: general questions, and tasks of lm-evaluation-harness."""
