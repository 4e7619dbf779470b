"""Hands to the outside world (files, storage, HTTP, Kubernetes). One rule: no decisions, only faithful transport."""
