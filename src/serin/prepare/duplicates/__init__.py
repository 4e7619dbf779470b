"""Records that resemble another. One rule: the first of its kind stays."""
