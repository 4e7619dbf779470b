"""Raw files to clean, deduplicated, split conversations. One rule: every record read is kept or rejected with a reason."""
