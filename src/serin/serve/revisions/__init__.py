"""What a revision is to Ray Serve: vLLM with one model, on a route of its own, closed to all but the gateway."""
