"""Hands to the outside world (files, storage, HTTP). One rule: no decisions, only faithful transport."""
