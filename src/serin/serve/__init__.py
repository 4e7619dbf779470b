"""The gateway and the vLLM revisions behind it. One rule: a client never pays for an experiment."""
