"""Watching a run: progress for people and controllers, and trackers. One rule: a watcher changes nothing of the run."""
