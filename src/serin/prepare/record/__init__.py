"""What can be said of a record by itself. One rule: no record knows of another."""
