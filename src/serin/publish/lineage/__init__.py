"""The way back from a revision to its data, and what tells two revisions apart. One rule: only what was recorded is told."""
