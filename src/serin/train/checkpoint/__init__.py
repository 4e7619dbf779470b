"""States of a run on disk and in storage. One rule: complete or ignored."""
