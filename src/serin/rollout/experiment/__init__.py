"""``serin experiment``: several revisions at fixed shares of the users. One rule: it concludes, and never makes stable."""
