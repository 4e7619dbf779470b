"""Talking to models. One rule: they get what they would get from a server, by the same template."""
